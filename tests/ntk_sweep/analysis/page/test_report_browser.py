"""The report in a real browser: it loads in silence and alone, hover and click do what they say,
and nothing is blank."""

from __future__ import annotations

import re

import numpy as np
import pytest

from docs.tools.browser import opened
from ntk_sweep.analysis.rows.cells import cells
from ntk_sweep.analysis.rows.grouping import groups, load
from ntk_sweep.digits import known_digits
from tests.helpers.pixels import colours
from tests.ntk_sweep.analysis.page.conftest import DRAWN

pytestmark = pytest.mark.browser


def choose(page, name, value):
    page.locator(f".explorer >> nth=0 >> [data-control={name}]").select_option(value)


def centre(page, act, column, row, columns=3, rows=2):
    """Where a cell of the map of an activation lies on the screen."""
    place = page.locator(".explorer").first.locator(".map").nth(act)
    place.scroll_into_view_if_needed()
    shape = place.locator(".draglayer .nsewdrag").bounding_box()
    return shape["x"] + shape["width"] * (column + 0.5) / columns, shape["y"] + shape["height"] * (
        1 - (row + 0.5) / rows
    )


def hovered(page, act, column, row):
    page.mouse.move(0, 0)
    x, y = centre(page, act, column, row)
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    label = (
        page.locator(".explorer").first.locator(".map").nth(act).locator(".hoverlayer .hovertext")
    )
    label.wait_for()
    return label.text_content()


def test_it_loads_in_silence_and_asks_for_nothing(report, watched):
    page, faults = watched
    opened(page, report / "page/index.html")
    page.locator("#heatmaps-npz-thesis").scroll_into_view_if_needed()
    other = page.locator(".explorer[data-ready] >> nth=1")
    other.wait_for()
    assert "the extreme eigenvalues alone" in other.inner_text()
    assert not other.locator(".spectrum").is_visible()
    for act in ("0", "1", "all"):
        choose(page, "activation", act)
    assert faults == []
    assert page.title() == "NTK spectra: digits (thesis), npz (thesis)"
    assert "E: <img src=x onerror=alert(1)> & λ" in page.locator("main").inner_text()


def test_every_figure_has_words_and_is_not_blank(report, watched):
    page, _ = watched
    opened(page, report / "page/index.html")
    drawn = (
        page.locator(".explorer").first.locator(".map, .spectrum, .kernel").locator("visible=true")
    )
    assert drawn.count() == 2 + 1  # two activations, and the spectrum of the best network
    for place in drawn.all():
        assert len(place.get_attribute("aria-label")) > 40
        assert colours(place.screenshot()) > 20
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    pictures = page.locator("figure img")
    assert pictures.count() > 10
    for picture in pictures.all():
        assert len(picture.get_attribute("alt")) > 40
        assert picture.evaluate("image => image.complete && image.naturalWidth > 100")
    for index in range(DRAWN):
        assert colours(pictures.nth(index).screenshot()) > 20
    for kind in ("png", "svg", "pdf"):
        assert {
            path.stat().st_size > 500 for path in (report / "page/figures").glob(f"*.{kind}")
        } == {True}


def test_hovering_a_cell_tells_its_numbers(report, watched):
    page, _ = watched
    opened(page, report / "page/index.html")
    group = groups(load(str(report / "r")), "r", "digits")[0]
    cell = cells(group.rows).query("act == 'relu' and width == 400 and depth == 2").iloc[0]
    text = hovered(page, 0, 2, 0)
    assert "ReLU, width 400, depth 2" in text
    # Values 200, 400 and 600: geometric mean 363.4, mean 400 ± 200. Error bounds 1e-9: of the
    # geometric mean 363.4 (1/200 + 1/400 + 1/600) / 3 of that, rounded up.
    assert (f"{cell['geometric_mean']:.1f}", f"{cell['mean']:.1f}", cell["seeds"]) == (
        "363.4",
        "400.0",
        3,
    )
    assert "363.4 ± 1.2 × 10⁻⁹ (error bound)" in text
    assert "of 3 seeds, 95 %: 200 to 600" in text
    assert "mean 400.0 ± 200.0 (sd over seeds)" in text
    assert "unresolved for 1 of 1 seed" in hovered(page, 1, 0, 1)
    crosses = "document.querySelectorAll('.explorer .map')[1].data.slice(1)"
    gap, marks = page.evaluate(f"{crosses}.map((one) => one.z ?? [[...one.x], [...one.y]])")
    assert (gap, marks) == ([[None, None, None], [1, None, None]], [[0], [1]])
    choose(page, "quantity", "alignment")
    assert (
        "Alignment 0.5000mean of 3 seeds, 95 %: 0.500 to 0.500± 0.0000 (sd over seeds)"
        in hovered(page, 0, 2, 0)
    )
    choose(page, "quantity", "lambda_min")
    assert "no result: 1 failed" in hovered(page, 0, 1, 0)
    assert hovered(page, 1, 1, 1) == "no result"


def test_colours_span_their_own_data_with_round_ticks_and_a_marker(report, watched):
    page, _ = watched
    opened(page, report / "page/index.html")
    own = drawn(page)[0]
    values = [value for line in own["z"] for value in line if value is not None]
    # The prediction, twice as great, has no part in it.
    np.testing.assert_allclose(own["ends"], [min(values), max(values)])
    text = page.evaluate("document.querySelector('.explorer .map').data[0].colorbar.ticktext")
    assert text == ["20", "50", "100", "200"]
    spans = [(-13.2, 0.7), (0.1, 0.35), (-1.3, 1.2), (3.1, 9.4), (2.0, 2.001)]
    for low, high in spans:
        found = page.evaluate("(span) => ticks(...span)", [low, high])
        assert 3 <= len(found["tickvals"]) <= 9, (low, high, found)
        assert all(low - 1e-6 <= place <= high + 1e-6 for place in found["tickvals"])
        for place, label in zip(found["tickvals"], found["ticktext"], strict=True):
            if re.fullmatch(r"[0-9.]+", label):
                assert float(label) == pytest.approx(10**place, rel=0.005)
    about_one = page.evaluate("ticks(-0.08, 0.1)")["ticktext"]
    assert about_one == ["0.9", "1", "1.1", "1.2"]
    marker = page.locator(".explorer .bar-marker").first
    hovered(page, 0, 2, 0)  # the greatest
    bar = page.locator(".explorer .map").first.locator(".cbfills").bounding_box()
    at = marker.bounding_box()
    assert at["y"] + at["height"] / 2 == pytest.approx(bar["y"], abs=2)
    page.mouse.move(0, 0)
    page.wait_for_timeout(200)
    assert not marker.is_visible()


def test_the_page_shows_the_digits_that_the_tables_show(report, watched):
    page, _ = watched
    opened(page, report / "page/index.html")
    cases = [(v, b, 4) for v in (363.4, 9.3e-4, -2.0, 0.0) for b in (0.0, 1.02e-5, 3.0, 1e9)]
    shown = page.evaluate("(cases) => cases.map((one) => knownDigits(...one))", cases)
    assert shown == [known_digits(*case) for case in cases]


def test_choosing_a_cell_shows_its_spectrum_and_its_kernel(report, watched):
    page, faults = watched
    opened(page, report / "page/index.html")
    place = page.locator(".explorer").first
    assert not place.locator(".kernel").is_visible()
    page.mouse.click(*centre(page, 0, 2, 1))
    place.locator(".cell", has_text="ReLU 400 × 3, 3 seeds").wait_for()
    place.locator(".kernel .heatmaplayer image").wait_for(state="attached")
    assert colours(place.locator(".kernel").screenshot()) > 100
    assert (
        place.locator(".kernel")
        .get_attribute("aria-label")
        .startswith("The kernel matrix of ReLU 400 × 3, seed 0")
    )
    theta = np.random.default_rng(0).random((200, 200))
    shades = np.array(page.evaluate("document.querySelector('.explorer .kernel').data[0].z"))
    np.testing.assert_allclose(shades, theta + theta.T, atol=2 / 1023)
    drawn = page.evaluate(
        "document.querySelector('.explorer .spectrum').data.filter((one) => "
        "one.name.startsWith('seed')).map((one) => Array.from(one.y))"
    )
    expected = [400 / 3 * (1 + seed) * 10.0 ** np.arange(5, -1, -1) for seed in range(3)]
    np.testing.assert_allclose(drawn, expected, rtol=1.7e-4)
    assert page.evaluate("document.querySelector('.explorer .spectrum').layout.yaxis.type") == "log"
    # The same by keyboard, and a network that was never computed.
    choose(page, "act", "1")
    place.locator(".cell", has_text="Sigmoid 400 × 3").wait_for()
    assert "geometric" in place.locator(".facts").inner_text()
    choose(page, "width", "75")
    assert place.locator(".cell").inner_text() == "Sigmoid 75 × 3 was not computed."
    assert faults == []


def drawn(page):
    """The heat map traces of the first group: their values, colours' ends and titles."""
    maps = "[...document.querySelector('.explorer .maps').children]"
    return page.evaluate(
        f"{maps}.map((one) => ({{z: one.data[0].z, ends: [one.data[0].zmin, one.data[0].zmax], "
        "title: one.layout.title.text}))"
    )


def test_the_switches_change_what_is_drawn(report, watched):
    page, _ = watched
    opened(page, report / "page/index.html")
    value = lambda: drawn(page)[0]["z"][0][2]  # noqa: E731
    assert value() == pytest.approx(np.log10(363.424), abs=1e-4)
    # Both cells that may be the greatest have a red frame, and the chosen one its own around it.
    frames = page.evaluate(
        "document.querySelector('.explorer .map').layout.shapes.map((one) => [one.x0, one.y0, "
        "one.line.width])"
    )
    likely = [[1.5, -0.5], [1.5, 0.5]]
    assert frames == [[*one, 4] for one in [*likely, likely[0]]] + [[*one, 2] for one in likely]
    choose(page, "scale", "linear")
    assert value() == pytest.approx(363.424, rel=1e-5)
    choose(page, "view", "predicted")
    assert value() == pytest.approx(np.log10(2 * 363.424), abs=1e-4)
    choose(page, "view", "ratio")
    assert value() == pytest.approx(np.log10(0.5), abs=1e-4)
    choose(page, "view", "spread")
    assert value() == pytest.approx(0.5)
    choose(page, "view", "probability")
    assert 0.3 < value() <= 1
    choose(page, "quantity", "alignment")
    assert value() == 0.5
    for view in ("ratio", "together"):
        assert page.locator(f"[data-control=view] option[value={view}]").first.is_disabled()
    choose(page, "activation", "1")
    assert [one["title"] for one in drawn(page)] == ["Sigmoid"]


def test_maps_share_their_colours_where_these_leave_each_its_differences(report, watched):
    page, _ = watched
    opened(page, report / "page/index.html")
    shared = page.locator("[data-control=shared]").first
    note = page.locator(".explorer .scales").first
    # λ_min of the sigmoid networks lies seven decades below that of the others.
    assert not shared.is_checked() and note.is_visible()
    relu, sigmoid = (one["ends"] for one in drawn(page))
    assert relu[0] > sigmoid[1]
    shared.check()
    relu, sigmoid = (one["ends"] for one in drawn(page))
    assert relu == sigmoid and not note.is_visible()
    choose(page, "view", "spread")
    assert shared.is_checked()


def test_the_views_of_one_activation_side_by_side(report, watched):
    page, faults = watched
    opened(page, report / "page/index.html")
    choose(page, "view", "together")
    assert page.locator("[data-control=activation]").first.input_value() == "0"
    assert not page.locator("[data-control=scale]").first.is_visible()
    measured, predicted, ratio, spread = drawn(page)
    assert [one["title"].split(", ")[1] for one in (measured, predicted, ratio, spread)] == [
        "measured",
        "predicted from infinite width",
        "measured / predicted",
        "spread over seeds",
    ]
    assert measured["ends"] == predicted["ends"]
    # One value alone has the middle colour.
    np.testing.assert_allclose(ratio["ends"], np.log10(0.5) + np.array([-0.3, 0.3]), atol=1e-4)
    cells = [one["z"][0][2] for one in (measured, predicted, ratio, spread)]
    np.testing.assert_allclose(cells, [*np.log10([363.424, 2 * 363.424, 0.5]), 0.5], atol=1e-4)
    page.mouse.click(*centre(page, 1, 0, 0))
    page.locator(".explorer .cell", has_text="ReLU 30 × 2").first.wait_for()
    choose(page, "activation", "all")
    assert [one["title"] for one in drawn(page)] == ["ReLU", "Sigmoid"]
    assert faults == []


def test_the_drift_of_kernels_has_a_panel_an_activation_and_a_line_a_width(report, watched):
    page, faults = watched
    opened(page, report / "page/index.html")
    page.locator("#drift-npz-thesis").scroll_into_view_if_needed()
    place = page.locator(".drift[data-ready]")
    place.wait_for()

    def lines():
        return place.locator(".js-plotly-plot").evaluate_all(
            "places => places.map((one) => [one.layout.title.text, one.data.filter((line) => "
            "line.name).map((line) => [line.name, [...line.x], [...line.y]])])"
        )

    titles, drawn = zip(*lines(), strict=True)
    assert titles == ("ReLU", "ELU")
    assert [name for name, *_ in drawn[0]] == ["width 50", "width 100"]
    place.locator("select").nth(2).select_option("3")
    place.locator("select").nth(1).select_option("lambda_min_ratio")
    ((_, x, y), _), _ = (drawn for _, drawn in lines())
    assert (x, y) == ([0, 2], pytest.approx([1, 0.5], rel=1e-3))
    place.locator("select").nth(1).select_option("change")
    # The median of three seeds, without the zero before training.
    assert lines()[0][1][0][1:] == [[2], pytest.approx([3 / 50 * 2], rel=1e-3)]
    page.wait_for_timeout(100)
    assert "drift.depth=3" in page.url and "Drift" in page.locator("#drift-npz-thesis").inner_text()
    page.reload()
    place.wait_for()  # what the address speaks of stands at once
    assert place.locator("select").nth(2).input_value() == "3"
    assert faults == []


def test_what_is_drawn_fits_its_place(report, watched):
    page, _ = watched
    opened(page, report / "page/index.html")

    def overlap():
        places = (
            page.locator(".explorer")
            .first.locator(".map, .spectrum, .kernel")
            .locator("visible=true")
        )
        page.wait_for_timeout(300)
        widths = (
            "place => [place.clientWidth, "
            "place.querySelector('.main-svg').getBoundingClientRect().width]"
        )
        return [
            abs(own - drawn) for own, drawn in (place.evaluate(widths) for place in places.all())
        ]

    assert max(overlap()) < 2
    # A kernel beside the spectrum, then one map instead of two, then a narrow window.
    for name, value in (("depth", "3"), ("activation", "1"), ("activation", "all")):
        choose(page, name, value)
        assert max(overlap()) < 2, name
    assert page.locator(".explorer .kernel").first.is_visible()
    page.set_viewport_size({"width": 500, "height": 900})
    assert max(overlap()) < 2


def test_the_page_itself_forbids_requests(report, watched):
    page, _ = watched
    opened(page, report / "page/index.html")
    tried = """async (url) => {
        const refused = "securitypolicyviolation";
        const seen = new Promise((done) =>
            document.addEventListener(refused, (event) => done(event.effectiveDirective)));
        const fetched = await fetch(url).then(() => "fetched", () => "refused");
        const none = new Promise((done) => setTimeout(() => done("no policy"), 3000));
        return [fetched, await Promise.race([seen, none])];
    }"""
    assert page.evaluate(tried, "http://127.0.0.1:9/") == ["refused", "connect-src"]


def test_a_single_seed_says_what_it_means(report, watched):
    page, _ = watched
    opened(page, report / "page/index.html")
    page.locator("#heatmaps-npz-thesis").scroll_into_view_if_needed()
    page.locator(".explorer[data-ready] >> nth=1").wait_for()
    view = page.locator(".explorer").nth(1).locator("[data-control=view]")
    assert "one seed has no spread" in view.inner_text()
    assert (
        "Every cell holds one seed: each value is a single random draw"
        in page.locator(".chapter").nth(1).inner_text()
    )


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_needs_no_sideways_scrolling_in_light_and_dark(report, browser, dark):
    context = browser.new_context(
        viewport={"width": 360, "height": 740},
        is_mobile=True,
        has_touch=True,
        color_scheme="dark" if dark else "light",
    )
    page = opened(context.new_page(), report / "page/index.html")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    paper = "getComputedStyle(document.body).backgroundColor"
    brightness = [sum(map(int, re.findall(r"\d+", page.evaluate(paper))[:3]))]
    page.locator("#theme").tap()
    brightness.append(sum(map(int, re.findall(r"\d+", page.evaluate(paper))[:3])))
    assert [value > 384 for value in brightness] == [not dark, dark]
    ink = page.evaluate("document.querySelector('.explorer .map').layout.font.color")
    assert ink == page.evaluate(
        "getComputedStyle(document.documentElement).getPropertyValue('--ink').trim()"
    )
    # The numbers of a cell are seen beside their names, and letters of figures are not shrunk.
    row = page.locator(".explorer .facts tbody tr").first
    assert row.locator("td").nth(1).bounding_box()["x"] < 200
    picture = page.locator("#prediction-digits-thesis figure img").first
    assert picture.bounding_box()["width"] >= 0.7 * int(picture.get_attribute("width")) - 1
    # A touched cell far above its spectrum offers the way there.
    page.touchscreen.tap(*centre(page, 1, 1, 0))
    jump = page.locator(".explorer .jump").first
    assert jump.inner_text() == "Sigmoid 75 × 2: spectrum ↓"
    jump.tap()
    page.locator(".explorer .cell").first.wait_for()
    page.wait_for_timeout(800)
    assert 0 <= page.locator(".explorer .cell").first.bounding_box()["y"] < 740
    assert not jump.is_visible()
    context.close()


def test_print_and_a_browser_without_scripts_have_the_static_figures(report, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((report / "page/index.html").as_uri())
    assert not page.locator(".explorer").first.is_visible()
    figure = page.locator("#heatmaps-digits-thesis figure").first
    assert "its files lie beside the page" in figure.inner_text()
    assert figure.locator("img").is_visible() and figure.locator("a").count() == 4
    context.close()
    page = opened(browser.new_page(), report / "page/index.html")
    page.emulate_media(media="print")
    assert not page.locator(".explorer").first.is_visible()
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#heatmaps-digits-thesis figure img").first.is_visible()
    page.close()


def test_links_lead_to_files(report, watched):
    page, _ = watched
    opened(page, report / "page/index.html")
    targets = page.eval_on_selector_all(
        "a[download]", "links => links.map((link) => link.getAttribute('href'))"
    )
    assert len(targets) > 40
    assert all((report / "page" / target).is_file() for target in targets)
