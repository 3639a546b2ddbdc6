"""Many rows in a real browser."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ntk_sweep.analysis.page.document import Contents
from ntk_sweep.analysis.page.document import page as page_text
from ntk_sweep.analysis.page.model import PageComparison
from ntk_sweep.analysis.page.row_table import packed_rows
from tests.ntk_sweep.analysis.page.test_page_rows_browser import lit, shown

pytestmark = pytest.mark.browser


def test_twenty_thousand_rows_open_within_three_seconds_and_stay_smooth(browser, tmp_path):
    """In seconds of the page's thread, which other processes do not count in."""
    count, rng = 20_000, np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "act": rng.choice(["relu", "elu", "sigmoid"], count),
            **{name: rng.integers(2, 60, count) for name in ("width", "depth", "seed")},
            **{name: np.exp(rng.normal(size=count)) for name in ("lambda_min", "a", "b", "ratio")},
        }
    )
    held = Contents()
    rows = packed_rows(frame, list(frame), held.numbers)
    text = page_text([], held, comparisons=[PageComparison("rows", "rows", "", rows, [])])
    (tmp_path / "index.html").write_text(text)
    page = browser.new_page()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def seconds():
        found = session.send("Performance.getMetrics")["metrics"]
        return next(one["value"] for one in found if one["name"] == "ThreadTime")

    page.goto((tmp_path / "index.html").as_uri())
    place = page.locator(".workbench")
    place.locator("tr[data-row]").first.wait_for()
    assert lit(place) == (count, count) and place.locator("tr").count() < 100
    assert seconds() < 3
    for canvas in (place.locator(".scatter canvas").first, place.locator(".parallel canvas").first):
        canvas.scroll_into_view_if_needed()
        box, before = canvas.bounding_box(), seconds()
        page.mouse.move(box["x"] + 46, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + 446, box["y"] + 200, steps=30)
        assert seconds() - before < 0.5
        page.mouse.up()
    assert 0 < shown(place) < count
    page.close()
