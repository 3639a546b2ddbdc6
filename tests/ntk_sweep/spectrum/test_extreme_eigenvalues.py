"""Protects the ends of a spectrum that are computed without the rest of it."""

import dataclasses

import numpy as np
import pytest
import torch

from ntk_sweep.kernel.centred_kernel import CentredKernel, centred_kernel
from ntk_sweep.kernel.centred_passes import centred_passes
from ntk_sweep.kernel.pass_errors import PassErrors, seen_errors
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.spectrum import extreme_eigenvalues as extremes
from ntk_sweep.spectrum import lowest_eigenvalue as lowest
from ntk_sweep.spectrum.extreme_eigenvalues import (
    extreme_eigenvalues,
    kernel_extreme_eigenvalues,
)
from ntk_sweep.spectrum.lowest_eigenvalue import LEADING, LOWEST
from ntk_sweep.spectrum.spectrum import ntk_spectrum
from tests.helpers.exact import absolute_errors, exact_spectrum
from tests.helpers.references import FILES, reference


def images(count, features):
    return torch.rand(
        count, features, dtype=torch.float64, generator=torch.Generator().manual_seed(7)
    )


@pytest.mark.parametrize("activation", ["relu", "elu", "lrelu", "sigmoid"])
@pytest.mark.parametrize("shape", [(1, 3, 4, 2), (5, 4, 6, 3), (9, 8, 10, 8)], ids=str)
def test_against_mpmath(activation, shape):
    count, features, width, depth = shape
    network, x = (
        Network.initialise(features, width, depth, activation, "thesis", seed=1),
        images(count, features),
    )
    exact, found = exact_spectrum(network, x), extreme_eigenvalues(network, x)
    errors = absolute_errors(
        torch.tensor([found.lambda_min, found.lambda_max], dtype=torch.float64),
        [exact[0], exact[-1]],
    )
    assert errors[0] <= found.lambda_min_error and errors[1] <= found.lambda_max_error
    assert found.lambda_max_error < 1e-9 * found.lambda_max


@pytest.mark.skipif(not FILES, reason="no reference spectra")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_against_the_reference_spectra(path):
    network, x, exact = reference(path)
    found = extreme_eigenvalues(network, x)
    errors = absolute_errors(
        torch.tensor([found.lambda_min, found.lambda_max], dtype=torch.float64),
        [exact[0], exact[-1]],
    )
    assert errors[0] <= found.lambda_min_error and errors[1] <= found.lambda_max_error
    # condition numbers go up to 7e16
    assert found.lambda_min_error < 1e-9 * found.lambda_min
    assert found.lambda_max_error < 1e-12 * found.lambda_max


def test_leading_vectors_are_those_of_the_whole_spectrum():
    network, x = Network.initialise(8, 40, 3, "relu", "ntk", seed=1), images(60, 8)
    found, whole = extreme_eigenvalues(network, x), ntk_spectrum(network, x)
    assert found.leading.shape == (60, LEADING)
    overlaps = (found.leading * whole.eigenvectors[:, -LEADING:]).sum(0).abs()
    torch.testing.assert_close(
        overlaps, torch.ones(LEADING, dtype=torch.float64), rtol=1e-6, atol=0
    )


def test_the_result_does_not_depend_on_chance():
    network, x = Network.initialise(8, 40, 3, "relu", "ntk", seed=1), images(60, 8)
    first, second = extreme_eigenvalues(network, x), extreme_eigenvalues(network, x)
    assert (first.lambda_min, first.lambda_min_error) == (
        second.lambda_min,
        second.lambda_min_error,
    )


def kernel_of(values):
    """A kernel without any error, with these eigenvalues."""
    size = len(values)
    vectors = torch.linalg.qr(
        torch.from_numpy(np.random.default_rng(1).standard_normal((size, size)))
    ).Q
    theta = vectors * torch.tensor(values, dtype=torch.float64) @ vectors.T
    nothing = PassErrors(
        torch.zeros(1, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    )
    return CentredKernel(
        (theta + theta.T) / 2, torch.ones(1, dtype=torch.float64), 0.0, nothing, None
    )


@pytest.mark.parametrize("smallest", [1e-3, 1e-10, 0.0, 1e-18])
def test_a_singular_kernel_is_unresolved(smallest):
    found = kernel_extreme_eigenvalues(kernel_of([smallest, *np.geomspace(0.1, 1e3, 39)]))
    assert abs(found.lambda_min - smallest) <= found.lambda_min_error
    assert found.resolved == (smallest > 1e-11)
    assert abs(found.lambda_max - 1e3) <= found.lambda_max_error < 1e-9


@pytest.mark.parametrize("end", [0, -1])
@pytest.mark.parametrize("above", [[], [1100.0, 1101.0], [5e4, 5.1e4]])
def test_a_missed_eigenvalue_widens_the_bound(monkeypatch, end, above):
    """Lanczos may converge to the wrong eigenvalues; the factorisations tell."""
    values = [1.0, 1.5, *np.linspace(2, 1e3, 38), *above]

    def beside(matrix, *_):
        vectors = torch.linalg.eigh(matrix).eigenvectors
        return vectors[:, 1 : LOWEST + 1] if end == 0 else vectors[:, -LEADING - 1 : -1]

    module, name = (lowest, "lowest_vectors") if end == 0 else (extremes, "greatest_vectors")
    monkeypatch.setattr(module, name, beside)
    found = kernel_extreme_eigenvalues(kernel_of(values))
    assert abs(found.lambda_min - values[0]) <= found.lambda_min_error
    assert abs(found.lambda_max - values[-1]) <= found.lambda_max_error


def test_close_smallest_eigenvalues_have_a_bound():
    """More of them than are computed together, so that none of the gaps is known."""
    found = kernel_extreme_eigenvalues(kernel_of([1.0] * 8 + list(np.geomspace(2, 1e3, 32))))
    assert abs(found.lambda_min - 1) <= found.lambda_min_error < 1e-8


def nearly_constant(activation="relu"):
    """A kernel whose second eigenvalue is below the rounding of the first."""
    x = images(60, 6)
    network = Network.initialise(6, 7, 3, activation, "ntk", seed=1, weight_std=1e-3)
    return network.with_parameters(network.weights, [torch.ones_like(b) for b in network.biases]), x


def test_directions_below_the_rounding_of_the_first_are_taken_away():
    network, x = nearly_constant()
    kernel = centred_kernel(centred_passes(network, x))
    orders = 2
    leading = lowest.greatest_vectors(kernel.theta)
    theta, errors = kernel.double_double(orders), kernel.double_double_errors(orders)
    most = float(theta.hi.trace())
    rest = lowest.deflated(theta, errors, leading).rest
    ends = torch.linalg.eigvalsh(rest)
    assert 0 < ends[-1] < 1e-12 * most and ends[0] > -1e-12 * most


@pytest.mark.parametrize("size", [0.0, 1.0])
def test_a_kernel_of_rank_one_has_the_ends_of_the_whole_spectrum(size, monkeypatch):
    network = Network.initialise(3, 4, 3, "relu", "ntk", seed=1, bias_std=None)
    x = torch.full((25, 3), size, dtype=torch.float64)
    found, spectrum = extreme_eigenvalues(network, x), ntk_spectrum(network, x)
    assert found.lambda_min >= 0 and not found.resolved
    apart = abs(found.lambda_max - float(spectrum.eigenvalues[-1]))
    assert apart <= found.lambda_max_error + float(spectrum.errors[-1])
    monkeypatch.setattr(extremes, "REFINED_SAMPLES", 10)
    if size == 0:
        with pytest.raises(ValueError, match="the kernel is zero or of rank one"):
            extreme_eigenvalues(network, x)


def test_kernels_in_tiles_have_the_same_ends(monkeypatch):
    network, x = Network.initialise(8, 40, 3, "sigmoid", "thesis", seed=1), images(60, 8)
    whole = extreme_eigenvalues(network, x)
    monkeypatch.setattr("ntk_sweep.kernel.double_double_kernel.TILE_ROWS", 8)
    monkeypatch.setattr("ntk_sweep.numerics.gram_tiles.DOUBLE_DOUBLE_TILE_ROWS", 8)
    tiled = extreme_eigenvalues(network, x)
    assert abs(tiled.lambda_min - whole.lambda_min) <= tiled.lambda_min_error
    assert tiled.lambda_min_error == pytest.approx(whole.lambda_min_error, rel=0.01, abs=0)


def test_errors_of_other_rows_reach_the_smallest_eigenvalue_squared(monkeypatch):
    """Its own vector sees nothing of them."""
    wrong = torch.diag(torch.tensor([1.0, 2.0**0.5], dtype=torch.float64))
    rows = torch.tensor([[0.0, 0.0], [0.1, 0.0]], dtype=torch.float64)
    change = abs(1 - float(torch.linalg.svdvals(wrong - rows)[-1]) ** 2)
    errors = PassErrors(torch.zeros(1, dtype=torch.float64), rows.norm(dim=1))
    network = Network.initialise(3, 4, 3, "relu", "ntk", seed=1)
    kernel = centred_kernel(centred_passes(network, images(2, 3)))
    kernel = dataclasses.replace(kernel, pass_errors=errors)
    monkeypatch.setattr(extremes, "seen_errors", lambda *_: torch.zeros(1, dtype=torch.float64))
    first = torch.eye(2, dtype=torch.float64)[:, :1]
    values = torch.ones(1, dtype=torch.float64)
    found = lowest.LowestEigenvalue(1.0, 0.0, first, values, beyond=2.0, inverse_norm=1.0)
    assert change <= extremes._seen(kernel, found) <= 20 * change


def test_what_a_vector_sees_is_that_of_the_covariance():
    """For nearly equal inputs, whose errors are shared, and a bias that outweighs them."""
    x = 1 + 1e-6 * images(12, 5)
    network = Network.initialise(5, 20, 3, "sigmoid", "ntk", seed=1, bias_std=30.0)
    passes = centred_passes(network, x)
    errors = centred_kernel(passes).pass_errors
    v = torch.full((12, 1), 12**-0.5, dtype=torch.float64)
    covariance = float(v[:, 0] @ errors.covariance @ v[:, 0]) ** 0.5
    assert 0.99 * covariance <= float(seen_errors(passes, errors, v)) <= 1.5 * covariance


def test_mistakes_are_explained():
    network, x = Network.initialise(8, 40, 3, "relu", "ntk", seed=1), images(30, 8)
    with pytest.raises(ValueError, match="at least one input"):
        extreme_eigenvalues(network, x[:0])
    with pytest.raises(ValueError, match="not finite"):
        extreme_eigenvalues(network, x * 1e200)
