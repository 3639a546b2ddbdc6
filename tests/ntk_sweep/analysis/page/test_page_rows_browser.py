"""The rows of a report in a real browser: table, scatter plot and parallel coordinates, one
selection, and addresses that lead to a view."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from docs.tools.browser import opened
from ntk_sweep.analysis.rows.grouping import groups, load

pytestmark = pytest.mark.browser

SLUG = "digits-thesis"


@pytest.fixture
def bench(report, watched):
    """The page of the report, and its rows of digits."""
    page, faults = watched
    opened(page, report / "page/index.html")
    place = page.locator(".workbench").first
    page.evaluate("document.querySelector('.all-rows').scrollIntoView()")
    place.locator("tr[data-row]").first.wait_for()
    yield page, place
    assert faults == []


def shown(place):
    """The rows that all views show."""
    return int(place.locator(".count").inner_text().split()[0])


def column(place, name):
    """The values of a column of the table."""
    names = place.locator("th[data-column]").all_inner_texts()
    at = [one.split()[0] for one in names].index(name) + 2
    return place.locator(f"tr[data-row] td:nth-child({at})").all_inner_texts()


def lit(place):
    """How many points the scatter plot shows, and how many lines the parallel coordinates."""
    place.page.wait_for_timeout(100)
    words = place.locator(".scatter canvas").first.get_attribute("aria-label")
    lines = place.locator(".parallel canvas").first.get_attribute("aria-label")
    return int(words.split(" of ")[1].split()[0]), int(lines.split(" of ")[1])


def test_the_table_filters_sorts_and_searches(report, bench):
    page, place = bench
    rows = groups(load(str(report / "r")), "r", "digits")[0].rows
    assert shown(place) == len(rows)
    place.locator("input[data-filter=width]").fill("60..400")
    place.locator("input[data-filter=width]").press("Enter")
    assert shown(place) == len(rows.query("60 <= width <= 400"))
    place.locator("input[data-filter=act]").fill("relu")
    place.locator("input[data-filter=act]").press("Enter")
    kept = rows.query("60 <= width <= 400 and act == 'relu'")
    assert shown(place) == len(kept)
    place.get_by_role("button", name="lambda_min").click()
    place.get_by_role("button", name="lambda_min").click()
    greatest = kept["lambda_min"].dropna().sort_values(ascending=False)
    assert column(place, "lambda_min")[:3] == [f"{value:.5g}"[:6] + ".00" for value in greatest[:3]]
    assert place.locator("th[data-column=lambda_min]").get_attribute("aria-sort") == "descending"
    place.locator("input[type=search]").fill("failed")
    page.wait_for_timeout(300)
    assert shown(place) == (kept["status"] == "failed").sum() == 2
    # A selection made here holds in the others; what failed has no λ_min, and no point.
    assert lit(place) == (0, 2)
    place.get_by_role("button", name="Show all").click()
    assert shown(place) == len(rows)
    place.locator("summary", has_text="Columns").click()
    place.locator(".picker input[value=trace]").check()
    assert len(column(place, "trace")) > 10


def test_selected_rows_leave_as_csv_json_and_commands(report, bench):
    page, place = bench
    place.locator("input[data-filter=status]").fill("ok")
    place.locator("input[data-filter=status]").press("Enter")
    for box in place.locator("tr[data-row] input").all()[:2]:
        box.check()
    texts = {}
    for kind in ("CSV", "JSON"):
        with page.expect_download() as download:
            place.get_by_role("button", name=kind, exact=True).click()
        texts[kind] = download.value.path().read_text()
    records = json.loads(texts["JSON"])
    stored = groups(load(str(report / "r")), "r", "digits")[0].rows.set_index("key")
    assert len(records) == len(list(csv.DictReader(io.StringIO(texts["CSV"])))) == 2
    for record in records:
        (key,) = [one for one in stored.index if one.startswith(record["key"])]
        assert record["lambda_min"] == pytest.approx(stored["lambda_min"][key], rel=2**-15)
        assert [record[name] for name in ("act", "width", "seed")] == list(
            stored.loc[key, ["act", "width", "seed"]]
        )
    place.get_by_role("button", name="Command").click()
    lines = place.locator("pre").inner_text().splitlines()
    assert lines == [
        f"ntk-sweep run -m act=relu width=30 depth=2 seed=0,1 data=digits results={report / 'r'}"
    ]


def test_a_rectangle_and_a_brush_hold_in_all_views(bench):
    page, place = bench
    total = shown(place)
    canvas = place.locator(".scatter canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.45, steps=3)
    page.mouse.up()
    kept = shown(place)
    assert 0 < kept < total and lit(place) == (kept, kept)
    assert place.locator("input[data-filter=width]").input_value()
    place.get_by_role("button", name="Show all").click()
    axes = place.locator(".parallel canvas").first
    axes.scroll_into_view_if_needed()
    box = axes.bounding_box()
    page.mouse.move(box["x"] + 46, box["y"] + 200)  # the lower half of the axis of activations
    page.mouse.down()
    page.mouse.move(box["x"] + 46, box["y"] + 145, steps=3)
    page.mouse.up()
    assert place.locator("input[data-filter=act]").input_value() == "relu"
    assert set(column(place, "act")) == {"relu"}
    # Points by keyboard.
    place.locator(".scatter canvas").first.focus()
    page.keyboard.press("ArrowRight")
    assert "relu 30 × " in place.locator(".tip").inner_text()
    page.keyboard.press("Enter")
    assert "1 ticked" in place.locator(".count").inner_text()
    place.locator(".scatter input").last.check()
    page.wait_for_timeout(100)
    assert "means over seeds" in place.locator(".scatter canvas").first.get_attribute("aria-label")


def test_an_address_leads_to_a_view_and_back_works(report, bench, browser):
    page, place = bench
    explorer = page.locator(".explorer").first
    explorer.locator("[data-control=quantity]").select_option("alignment")
    explorer.locator("[data-control=act]").select_option("1")
    place.locator("input[data-filter=width]").fill("75")
    place.locator("input[data-filter=width]").press("Enter")
    place.get_by_role("button", name="lambda_min").click()
    place.locator("tr[data-row] input").first.check()
    page.wait_for_timeout(100)
    address, count, values = page.url, shown(place), column(place, "lambda_min")
    assert "where.width=75" in address and "quantity=alignment" in address
    other = browser.new_page()
    other.goto(address)
    bench_there = other.locator(".workbench").first
    bench_there.locator("tr[data-row]").first.wait_for()
    other.locator(".explorer[data-ready]").first.wait_for()
    assert (shown(bench_there), column(bench_there, "lambda_min")) == (count, values)
    assert bench_there.locator("tr.ticked").count() == 1
    assert other.locator("[data-control=quantity]").first.input_value() == "alignment"
    assert other.locator("[data-control=act]").first.input_value() == "1"
    other.close()
    for _ in range(3):
        page.go_back()
        page.wait_for_timeout(100)
    assert shown(place) > count and explorer.locator("[data-control=act]").input_value() == "1"
    page.go_forward()
    page.wait_for_timeout(100)
    assert shown(place) == count
    # Links within the page keep the state.
    page.locator(".contents a").first.click()
    assert "quantity=alignment" in page.url and page.url.split("#")[1].startswith("heatmaps-")


def test_maps_and_rows_share_a_selection(bench):
    page, place = bench
    maps = page.locator(".explorer").first
    for name, value in (("act", "0"), ("width", "75"), ("depth", "3")):
        maps.locator(f"[data-control={name}]").select_option(value)
    maps.locator(".own-command").click()
    command = maps.locator(".own-commands").inner_text()
    assert command.startswith("ntk-sweep run -m act=relu width=75 depth=3 seed=0,1,2 data=digits")
    maps.locator(".own-rows").click()
    maps.locator(".faded").wait_for()
    assert shown(place) == 3
    assert set(column(place, "width")) == {"75"} and set(column(place, "act")) == {"relu"}
    faded = "map => map.data.find((one) => one.opacity)?.z.flat().filter(Boolean).length ?? 0"
    page.wait_for_timeout(300)
    # All but one of six cells of ReLU, and all of sigmoid, which lacks one.
    assert [one.evaluate(faded) for one in maps.locator(".map").all()] == [5, 5]
    page.locator("#theme").click()
    assert "page.theme=dark" in page.url
    page.go_back()
    page.go_back()
    maps.locator(".faded").wait_for(state="hidden")
    assert shown(place) > 3
    assert page.evaluate("document.documentElement.dataset.theme ?? ''") == ""
    place.locator("input[data-filter=width]").fill("30,75")
    place.locator("input[data-filter=width]").press("Enter")
    place.get_by_role("button", name="Spectra").click()
    assert maps.locator(".compared li").count() > 2


def test_nothing_stands_in_the_way_of_other_senses(bench):
    """By axe-core, where `NTK_SWEEP_AXE` names its axe.min.js."""
    page, _ = bench
    path = os.environ.get("NTK_SWEEP_AXE")
    if not path:
        pytest.skip("NTK_SWEEP_AXE names no axe.min.js")
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    page.evaluate(Path(path).read_text())
    for width in (1200, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(300)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        assert [one["id"] for one in found] == [], width


def test_a_finger_brushes_an_axis_and_draws_a_rectangle(report, browser):
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True
    )
    page = opened(context.new_page(), report / "page/index.html")
    place = page.locator(".workbench").first
    page.evaluate("document.querySelector('.all-rows').scrollIntoView()")
    place.locator("tr[data-row]").first.wait_for()
    total, touch = shown(place), context.new_cdp_session(page)

    def drawn(canvas, *points):
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        places = [{"x": box["x"] + x, "y": box["y"] + y} for x, y in points]
        for kind, at in zip(["Start", *["Move"] * (len(places) - 1)], places, strict=True):
            touch.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": [at]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    drawn(place.locator(".parallel canvas").first, (46, 200), (46, 170), (46, 145))
    assert place.locator("input[data-filter=act]").input_value() == "relu"
    place.get_by_role("button", name="Show all").tap()
    drawn(place.locator(".scatter canvas").first, (40, 5), (90, 5), (180, 60), (200, 130))
    assert 0 < shown(place) < total
    # Up and down it scrolls the page.
    place.get_by_role("button", name="Show all").tap()
    canvas = place.locator(".scatter canvas").first
    canvas.scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    drawn(canvas, (150, 200), (150, 150), (150, 50), (150, 20))
    page.wait_for_function(f"scrollY > {before} + 50")
    assert shown(place) == total
    context.close()


def test_every_control_is_reached_and_told_by_keyboard(bench):
    page, _ = bench
    unnamed = """() => [...document.querySelectorAll('button, select, input, [tabindex="0"]')]
        .filter((one) => !one.closest('[hidden]') && one.tabIndex < 0)
        .map((one) => one.outerHTML)"""
    assert page.evaluate(unnamed) == []
    # A map: the arrows lead from cell to cell, past the missing ones.
    page.locator(".explorer .map").first.focus()
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    page.keyboard.press("ArrowUp")
    assert page.evaluate(outline) != "none"
    cell, heard = page.locator(".explorer .cell").first, page.locator(".explorer .heard").first
    assert cell.inner_text().startswith("ReLU 400 × 3")
    assert heard.text_content().startswith("ReLU, width 400, depth 3; λmin")
    page.keyboard.press("ArrowLeft")
    assert cell.inner_text().startswith("ReLU 75 × 3")
