"""Protects docs/published.md: small cases of what it reproduces, and the tools that fill it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from docs.tools.published import __main__ as page
from docs.tools.published import cube, dispersion, edge, knee, laws, linear_width, phases
from docs.tools.published.parts import PARTS
from ntk_sweep import mean_field
from tests.helpers.places import ROOT


@pytest.mark.parametrize("setting", cube.SETTINGS[1:5], ids=lambda setting: setting.name)
def test_eigenvalues_on_the_cube_are_those_of_the_recursion_and_of_the_authors(setting):
    assert cube.worst_of_degrees(setting) < cube.TOLERANCE
    relative, bounded = cube.worst_of_spectrum(setting)
    assert relative < cube.TOLERANCE
    assert bounded
    assert cube.by_degree(setting) == pytest.approx(setting.source, rel=cube.SHOWN)
    assert sum(cube.MULTIPLICITIES) == cube.POINTS


@pytest.mark.parametrize("name", list(phases.SCALES))
def test_fixed_points_are_those_of_mpmath(name):
    own, true = (
        mean_field("erf", *phases.SCALES[name]),
        phases.fixed_point("erf", phases.SCALES[name]),
    )
    assert own.variance == pytest.approx(float(true["q"]), rel=1e-13)
    assert own.slope == pytest.approx(float(true["chi"]), rel=1e-13)
    if name == "chaotic":
        assert own.ntk_limit_off_diagonal == pytest.approx(float(true["other"]), rel=1e-12)
    else:
        assert own.ntk_limit == pytest.approx(float(true["p"]), rel=1e-12)


def test_a_smooth_activation_in_order_loses_its_smallest_eigenvalue_at_the_stated_rate():
    scales = phases.SCALES["strongly ordered"]
    own = mean_field("erf", *scales)
    found = phases.kernels("erf", scales, (17, 18, 19, 20))
    scaled = [float(found[d].eigenvalues[0]) / own.slope**d for d in (17, 18, 19, 20)]
    assert np.diff(scaled) == pytest.approx(2.321, abs=2e-3)
    assert found[20].kernel[0, 0] == pytest.approx(2.94408320, abs=5e-9)
    assert phases.worst("erf", scales, 12) < 1e-11


def test_a_kink_halves_the_exponent():
    found = phases.kernels("relu", (1.0, 1.0), (19, 20))
    assert found[20].eigenvalues[0] / found[19].eigenvalues[0] == pytest.approx(0.5**0.5, rel=1e-3)


def test_the_condition_number_of_deep_critical_networks():
    relu, erf = edge.edge("relu", (100, 200, 400, 2000)), edge.edge("erf", (2000,))
    conditions = [edge.condition(relu[depth], 4) for depth in (100, 200, 400, 2000)]
    assert conditions[:3] == pytest.approx([2.4995, 2.4279, 2.3858], abs=5e-5)
    assert 7 / 3 < conditions[-1] < 7 / 3 + 0.02
    assert edge.condition(erf[2000], 4) == pytest.approx(3, abs=0.03)


def moments_of_draws(width, depth, seeds):
    """Θ_ii and K_1 K_D of ReLU networks, both divided by their scale, in plain NumPy."""
    rng = np.random.default_rng(0)
    forward = [np.ones((seeds, 1))]
    weights, active = [], []
    for _ in range(depth - 1):
        fan_in = forward[-1].shape[1]
        weights.append(rng.standard_normal((seeds, width, fan_in)) * np.sqrt(2 / fan_in))
        z = np.einsum("rij,rj->ri", weights[-1], forward[-1])
        active.append(z > 0)
        forward.append(z * active[-1])
    gradient = rng.standard_normal((seeds, width)) * np.sqrt(2 / width)
    layers = [2 * (forward[-1] ** 2).mean(axis=1)]
    for place in reversed(range(depth - 1)):
        gradient = gradient * active[place]
        layers.append(2 * (forward[place] ** 2).mean(axis=1) * (gradient**2).sum(axis=1))
        gradient = np.einsum("ri,rij->rj", gradient, weights[place])
    return sum(layers) / (2 * depth), layers[0] * layers[-1] / 4


def test_second_moments_of_relu_are_exact():
    theta, product = moments_of_draws(3, 3, 200_000)
    for values, true, other in (
        (theta**2, dispersion.second_moment(3, 3), None),
        (product, dispersion.between_layers(3, 2), dispersion.independent(3, 2)),
    ):
        found, half = dispersion.mean(values)
        assert abs(found - true) < 2 * half
        assert other is None or abs(found - other) > 3 * half
    found, half = dispersion.mean(theta)
    assert abs(found - 1) < 2 * half < 0.02


def test_second_moments_tend_to_their_limit():
    for share in (0.2, 1.0):
        near = dispersion.second_moment(2000, round(2000 * share))
        assert near == pytest.approx(dispersion.infinite(share), rel=0.02)


def test_draws_have_the_mean_of_the_limit_only_for_relu():
    relu, half = dispersion.mean(dispersion.draws("relu", (1.0, 1.0), 5, 3, 100).mean(axis=1))
    assert abs(relu - 1) < 2 * half < 0.3
    product, half = dispersion.mean(dispersion.products(20, 3, 60))
    assert abs(product - dispersion.between_layers(20, 2)) < 2 * half < 1


def test_the_law_of_one_layer_is_that_of_marcenko_and_pastur():
    for share in (0.3, 1.5):
        z = np.linspace(0.05, 5, 40) + 1e-3j
        own = linear_width.conjugate_transform(z, [linear_width.Layer(share, 0.0, 1.0)])
        closed = linear_width.marcenko_pastur(z, share)
        assert own == pytest.approx(closed, rel=1e-10)
        assert (own.imag > 0).all()
        assert share * z * closed**2 == pytest.approx((1 - share - z) * closed - 1, rel=1e-10)


def test_the_law_of_two_layers_solves_its_equation():
    maps = linear_width.layers(100, 80, 60, 2, 2.0)
    z = np.linspace(0.1, 4, 9) + 0.3j
    m = linear_width.conjugate_transform(z, maps)
    top = maps[-1]
    c = 1 - top.share - top.share * z * m
    below = linear_width.conjugate_transform((z - top.constant * c) / (top.slope * c), maps[:-1])
    assert m == pytest.approx(below / (top.slope * c), rel=1e-9)
    assert (m.imag > 0).all(), "the equation has one solution in the upper half plane"


def test_drawn_eigenvalues_follow_the_laws():
    for case, greatest in zip(laws.CASES, (0.04, 0.04, 0.12), strict=True):
        values, readout = case.draw(100, 0)
        law = case.law(1.3 * values[-1], readout)
        assert law.distance(values) < greatest
        assert law.distance(1.2 * values) > greatest / 2
        steps = np.diff(law.points) * (law.density[1:] + law.density[:-1]) / 2
        assert steps.sum() + law.atom == pytest.approx(1, abs=0.03)


def test_a_knee_is_found_where_it_is():
    widths = np.array(knee.SHARES) * 200
    ratios = np.minimum(widths / 120, 1.0)[:, None] * np.ones(knee.SEEDS)
    curve = knee.Curve(200, 2, ratios)
    assert curve.knee() == pytest.approx(60, rel=1e-9)
    assert curve.growth() == pytest.approx(1)
    assert knee.knees([curve]).std() < 1e-9


def test_every_place_of_the_page_is_filled():
    places = re.findall(r"<!-- (\w+) -->", (ROOT / "docs" / page.PAGE).read_text())
    assert sorted(set(places) - {"end"}) == sorted(name for part in PARTS for name in part)
