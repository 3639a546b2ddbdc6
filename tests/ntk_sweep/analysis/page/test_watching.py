"""Protects the page that is served while rows arrive."""

from __future__ import annotations

import re
import urllib.error
import urllib.request

import pytest

from docs.tools.browser import LOADED_MS
from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.page import watching
from ntk_sweep.analysis.page.report import report
from ntk_sweep.analysis.page.watching import Watch
from ntk_sweep.analysis.rows.study import studies
from tests.helpers.analysis_rows import row, store


@pytest.fixture
def watch(tmp_path):
    results, folder = str(tmp_path / "r"), tmp_path / "page"
    draw = lambda: report(studies(results), folder, drawn=False)  # noqa: E731
    started = Watch(results, folder, draw)
    yield started
    started.close()


def read(watch: Watch, path: str = "", **headers: str) -> str:
    request = urllib.request.Request(watch.address + path, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def test_the_page_is_drawn_when_rows_arrive_and_only_then(watch, tmp_path):
    assert not watch.look()
    assert "No rows yet" in read(watch) and read(watch, "version") == "0"
    store(tmp_path / "r", [row()])
    assert watch.look() and not watch.look()
    store(tmp_path / "r", [row(width=200)])
    assert watch.look() and read(watch, "version") == "2"
    text = read(watch)
    assert "2 of 2 networks of the grid computed" in text
    assert "default-src 'none'; connect-src 'self';" in text and text.count("</body>") == 1
    # The file has none of it.
    assert "connect-src" not in (tmp_path / "page/index.html").read_text()
    assert "lambda_min" in read(watch, re.search(r'href="(tables/cells[^"]*)"', text)[1])


def test_only_this_machine_and_only_the_page_are_served(watch, tmp_path):
    assert watch.address.startswith("http://127.0.0.1:")
    (tmp_path / "page").mkdir()
    (tmp_path / "page/secret").write_text("x")
    for path, headers in (("secret", {}), ("../r", {}), ("", {"Host": "evil.example"})):
        with pytest.raises(urllib.error.HTTPError):
            read(watch, path, **headers)
    with pytest.raises(AnalysisError, match="choose another with --port"):
        Watch("r", tmp_path, lambda: tmp_path, watch.port)


@pytest.mark.browser
def test_a_browser_shows_new_rows_and_keeps_its_view(watch, tmp_path, browser):
    store(tmp_path / "r", [row(width=width) for width in (50, 100)])
    watch.look()
    page = browser.new_page()
    page.goto(watch.address + "#?fashion_mnist-thesis.rows.where.act=relu")
    count = page.locator(".workbench .count")
    count.wait_for(timeout=LOADED_MS)
    assert count.inner_text().startswith("2 of 2 rows: act relu")
    store(tmp_path / "r", [row(width=150)])
    watch.look()
    page.locator(".workbench .count", has_text="3 of 3 rows: act relu").wait_for(timeout=LOADED_MS)
    page.close()
    assert watching.EVERY <= 5
