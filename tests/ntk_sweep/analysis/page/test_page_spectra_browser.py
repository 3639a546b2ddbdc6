"""Spectra and kernels of several networks in a real browser: chosen, compared, removed, told and
kept in the address."""

from __future__ import annotations

import numpy as np
import pytest

from docs.tools.browser import opened
from ntk_sweep import limit_ntk, limit_spectrum
from ntk_sweep.data.dataset import load_dataset
from tests.ntk_sweep.analysis.page.test_report_browser import centre, choose

pytestmark = pytest.mark.browser

LIMIT = ("relu", 400, 3, "thesis")


@pytest.fixture
def explorer(report, watched):
    """The explorer of the first group."""
    page, faults = watched
    opened(page, report / "page/index.html")
    yield page.locator(".explorer").first
    assert faults == []


def traces(place, part=".spectrum"):
    """What is drawn: name, x, y and the filling of each trace."""
    found = place.locator(part).evaluate(
        "place => place.data.map((one) => [one.name, [...one.x], [...one.y], one.fill])"
    )
    return {name: (x, y, fill) for name, x, y, fill in found}


def shown(place):
    """The networks in the list, and those in the legend."""
    listed = place.locator(".compared li").all_inner_texts()
    drawn = place.locator(".spectrum").evaluate(
        "place => place.data.filter((one) => one.showlegend).map((one) => one.name)"
    )
    return [one.removesuffix("×").strip() for one in listed], drawn


def test_networks_are_compared_by_pointer_and_by_keyboard(explorer):
    page = explorer.page
    assert not explorer.locator(".compared").is_visible()
    page.keyboard.down("Shift")
    page.mouse.click(*centre(page, 1, 0, 1))  # unresolved
    page.keyboard.up("Shift")
    listed, drawn = shown(explorer)
    assert (listed, drawn[0]) == (["ReLU 400 × 2, chosen", drawn[1]], "ReLU 400 × 2")
    explorer.locator(".map").first.focus()
    for key in ("ArrowUp", "Enter", "ArrowLeft"):
        page.keyboard.press(key)
    names = ["ReLU 75 × 3, chosen", "Sigmoid 30 × 3", "ReLU 400 × 3"]
    assert shown(explorer)[0] == names
    assert explorer.locator(".heard").text_content().startswith("ReLU, width 75, depth 3")
    # The error bound of what is not resolved reaches down to the axis.
    band = traces(explorer)["Sigmoid 30 × 3, seed 0: error bound"]
    assert band[2] == "toself" and max(band[1]) > 1e-9 > min(band[1])
    dotted = "document.querySelector('.map').layout.shapes.filter((one) => one.line.dash === 'dot')"
    assert page.evaluate(f"{dotted}.map((one) => [one.x0, one.y0])") == [[1.5, 0.5]]
    address = page.url
    for _ in range(2):
        explorer.locator(".compared button:visible").first.press("Enter")
    assert not explorer.locator(".compared").is_visible() and len(shown(explorer)[1]) > 1
    assert "compared" not in page.url
    page.goto(address)
    page.reload()
    explorer.locator(".compared li").nth(2).wait_for()
    assert shown(explorer)[0] == names


def test_a_density_counts_every_eigenvalue_once_beside_the_predicted(explorer):
    choose(explorer.page, "depth", "3")  # whose kernel is saved
    explorer.locator("[data-control=spectrum]").select_option("density")
    drawn = traces(explorer)
    values, heights, _ = drawn["ReLU 400 × 3"]
    step = np.diff(np.log10(values)).mean()
    assert np.sum(heights) * step == pytest.approx(6)  # of every seed
    x = load_dataset("digits", [0, 9], 100).x
    spectrum = limit_spectrum(x, *LIMIT)
    found = np.sum(drawn["predicted"][1]) * step
    assert found == pytest.approx(int((spectrum.eigenvalues > spectrum.errors).sum()))
    assert "the eigenvalues of Θ̄" in explorer.locator(".about").inner_text()
    assert "spectrum=density" in explorer.page.url
    choose(explorer.page, "width", "75")  # of which λ_min alone is predicted
    assert traces(explorer)["λ<sub>min</sub> predicted"][0] == pytest.approx([2 * 45.43] * 2, 1e-3)
    assert "the least eigenvalue of Θ̄" in explorer.locator(".about").inner_text()


def test_a_kernel_stands_beside_its_limit_and_their_difference(explorer):
    choose(explorer.page, "depth", "3")
    for part in ("", "-limit", "-difference"):
        explorer.locator(f".kernel{part} .heatmaplayer image").wait_for(state="attached")
    theta = np.random.default_rng(0).random((200, 200))
    theta = theta + theta.T
    limit = limit_ntk(load_dataset("digits", [0, 9], 100).x, *LIMIT).numpy()
    images = {
        part: np.array(explorer.locator(f".kernel{part}").evaluate("place => place.data[0].z"))
        for part in ("-limit", "-difference")
    }
    shade = np.ptp(theta - limit) / 255
    np.testing.assert_allclose(images["-difference"], theta - limit, atol=shade)
    np.testing.assert_allclose(images["-limit"], limit, atol=shade)
