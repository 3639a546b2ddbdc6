"""Protects the certified method: enclosures hold, are narrow, and meet those of other methods."""

from __future__ import annotations

import importlib.util

import mpmath as mp
import numpy as np
import pytest
import torch

from ntk_sweep.kernel.ball_kernel import CERTIFIABLE
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.settings.schema import SpectrumConfig
from ntk_sweep.spectrum.methods import CERTIFIED, METHODS
from ntk_sweep.spectrum.spectrum import ntk_spectrum
from tests.helpers.exact import absolute_errors, exact_spectrum
from tests.helpers.references import FILES, reference

needs_flint = pytest.mark.skipif(
    importlib.util.find_spec("flint") is None, reason="python-flint is not installed"
)

UNIT = torch.finfo(torch.float64).eps / 2


def inputs(count: int, features: int = 4, seed: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, features, dtype=torch.float64, generator=generator)


@needs_flint
@pytest.mark.parametrize("activation", CERTIFIABLE)
def test_enclosures_hold_the_exact_eigenvalues_to_a_rounding(activation):
    parametrisation = ("thesis", "ntk", "standard")[len(activation) % 3]
    scales = {"weight_std": 1.5, "bias_std": (0.5, None)[len(activation) % 2]}
    network = Network.initialise(4, 7, 3, activation, parametrisation, seed=1, **scales)
    x = inputs(5)
    spectrum = ntk_spectrum(network, x, method=CERTIFIED)
    assert spectrum.method == CERTIFIED
    assert (spectrum.errors <= 1.001 * UNIT * spectrum.eigenvalues).all()
    assert (
        absolute_errors(spectrum.eigenvalues, exact_spectrum(network, x)) <= spectrum.errors
    ).all()
    for method in METHODS:
        other = ntk_spectrum(network, x, method=method)
        apart = (other.eigenvalues - spectrum.eigenvalues).abs()
        assert (apart <= other.errors + spectrum.errors).all(), method


@needs_flint
@pytest.mark.skipif(not FILES, reason="no reference spectra")
def test_reference_eigenvalues_are_enclosed():
    """The smallest of the networks whose eigenvalues are known to 25 digits."""
    network, x, exact = reference(min(FILES, key=lambda path: path.name))
    spectrum = ntk_spectrum(network, x, method=CERTIFIED)
    assert (absolute_errors(spectrum.eigenvalues, exact) <= spectrum.errors).all()


@needs_flint
def test_graded_spectra_are_resolved():
    network = Network.initialise(4, 16, 6, "sigmoid", "thesis", seed=1, weight_std=0.25)
    spectrum = ntk_spectrum(network, inputs(12), method=CERTIFIED)
    assert spectrum.eigenvalues[0] < 1e-17 * spectrum.eigenvalues[-1]
    assert (spectrum.errors <= 1.001 * UNIT * spectrum.eigenvalues).all()
    assert torch.allclose(
        spectrum.eigenvectors.T @ spectrum.eigenvectors, torch.eye(12).double(), atol=1e-14
    )


@needs_flint
def test_zero_eigenvalues_have_bounds_that_say_so():
    """Equal inputs, and a row of zeros that puts every unit of a bias-free network at its kink."""
    x = inputs(5)
    x[1], x[4] = x[0], 0
    network = Network.initialise(4, 16, 3, "relu", "ntk", seed=0, bias_std=None)
    spectrum = ntk_spectrum(network, x, method=CERTIFIED)
    assert (spectrum.errors >= spectrum.eigenvalues)[:2].all()
    assert spectrum.errors[:2].max() < 1e-30
    assert (spectrum.errors[2:] <= 1.001 * UNIT * spectrum.eigenvalues[2:]).all()


@needs_flint
def test_a_ball_around_a_kink_holds_both_sides():
    from flint import arb

    from ntk_sweep.kernel.ball_kernel import _ACTIVATIONS

    for name in ("relu", "lrelu", "elu"):
        value, slope = _ACTIVATIONS[name](arb(0, 1e-3))
        for z in (-1e-3, -1e-9, 0.0, 1e-9, 1e-3):
            exact = torch.tensor(z, dtype=torch.float64)
            assert value.overlaps(arb(float(ACTIVATIONS[name].function(exact)), 1e-16))
            assert slope.contains(arb(float(ACTIVATIONS[name].derivative(exact))))


@needs_flint
def test_enclosures_hold_every_matrix_of_the_ball():
    """A matrix of rational eigenvalues, known only to a radius."""
    from flint import arb, arb_mat

    from ntk_sweep.kernel.ball_kernel import precision
    from ntk_sweep.spectrum.ball_enclosures import enclosures

    draws, radius = np.random.default_rng(0), 1e-6
    rotation = np.linalg.qr(draws.standard_normal((6, 6)))[0]
    middle = rotation * np.array([1e-3, 1.0, 1.0 + 1e-7, 2.0, 5.0, 1e3]) @ rotation.T
    middle = (middle + middle.T) / 2
    with precision(128):
        found = enclosures(arb_mat([[arb(m, radius) for m in row] for row in middle]), 1e-15)
        lower, upper = [float(e) for e in found.lower], [float(e) for e in found.upper]
    for _ in range(50):
        move = draws.choice([-radius, radius], (6, 6))
        values = np.linalg.eigvalsh(middle + np.triu(move) + np.triu(move, 1).T)
        assert (values >= np.array(lower) - 1e-12).all()
        assert (values <= np.array(upper) + 1e-12).all()
    assert np.all(np.array(upper) - np.array(lower) < 60 * radius)


@needs_flint
@pytest.mark.parametrize("case", range(6))
def test_enclosures_hold_whatever_the_vectors_are(case, monkeypatch):
    """They are not improved here, and neither orthonormal nor eigenvectors."""
    from flint import arb_mat

    from ntk_sweep.kernel.ball_kernel import precision
    from ntk_sweep.spectrum import ball_enclosures

    monkeypatch.setattr(ball_enclosures, "ROUNDS", 1)
    draws = np.random.default_rng(case)
    rotation = np.linalg.qr(draws.standard_normal((5, 5)))[0]
    factor = rotation * np.array([1e-4, 1e-2, 1.0, 1.01, 30.0])
    with mp.workdps(50):
        exact = mp.matrix(factor.tolist())
        exact = exact * exact.T
        values = sorted(mp.eigsy(exact, eigvals_only=True))
    angle = 10.0 ** -draws.integers(2, 12)
    start = rotation * (1 + 0.2 * draws.uniform(-1, 1)) + angle * draws.standard_normal((5, 5))
    with precision(200):
        whole = arb_mat(factor.tolist())
        vectors = arb_mat(start.tolist())
        found = ball_enclosures.enclosures(whole * whole.transpose(), 0.0, vectors)
    assert all(
        float(low) <= value <= float(high)
        for low, value, high in zip(found.lower, values, found.upper, strict=True)
    )


def test_without_the_library_the_choice_is_refused_in_words(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "flint" else find(name, *rest),
    )
    network = Network.initialise(4, 8, 2, "relu", "ntk", seed=0)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'ntk-sweep\[certified\]'"):
        ntk_spectrum(network, inputs(3), method=CERTIFIED)
    assert "python-flint" in (SpectrumConfig(method=CERTIFIED).fault or "")


def test_more_inputs_than_it_serves_are_refused():
    network = Network.initialise(4, 8, 2, "relu", "ntk", seed=0)
    with pytest.raises(ValueError, match="serves up to 500 inputs"):
        ntk_spectrum(network, inputs(501), method=CERTIFIED)
