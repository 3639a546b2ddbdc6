"""Protects the ends of the spectrum of large limit kernels: the whole spectrum has the same."""

import numpy as np
import pytest
import torch

from ntk_sweep.limit import extremes
from ntk_sweep.limit.extremes import limit_extremes
from ntk_sweep.limit.kernel import limit_kernel_spectrum, limit_kernels
from ntk_sweep.limit.recursion import LimitKernel
from ntk_sweep.spectrum.extremes import Extremes


def without_the_rest(monkeypatch, limit):
    """The ends if they come without the whole spectrum."""
    monkeypatch.setattr(extremes, "limit_kernel_spectrum", None)
    found = limit_extremes(limit)
    monkeypatch.undo()
    return found


@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize(("activation", "depth"), [("relu", 3), ("sigmoid", 2), ("sigmoid", 8)])
def test_ends_of_limit_kernels(monkeypatch, activation, depth, equal):
    """Those of deep sigmoid networks, and of equal inputs, are unresolved."""
    x = torch.rand(80, 12, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    if equal:
        x[7] = x[70]
    kernels = limit_kernels(x, activation, 200, depth, "thesis")
    for limit in (kernels.ntk, kernels.nngp):
        whole = Extremes.of(limit_kernel_spectrum(limit))
        found = without_the_rest(monkeypatch, limit)
        assert limit.error_norm < found.lambda_min_error <= whole.lambda_min_error
        assert limit.error_norm < found.lambda_max_error <= whole.lambda_max_error
        assert abs(found.lambda_max - whole.lambda_max) <= whole.lambda_max_error
        assert found.lambda_min >= 0
        assert abs(found.lambda_min - whole.lambda_min) <= whole.lambda_min_error
        assert not (equal and found.resolved)


def of_values(values):
    vectors = np.linalg.qr(np.random.default_rng(1).standard_normal((len(values),) * 2))[0]
    kernel = vectors * values @ vectors.T
    return LimitKernel(torch.from_numpy((kernel + kernel.T) / 2), 1e-12)


def test_a_missed_eigenvalue_is_noticed(monkeypatch):
    """Lanczos may converge to another eigenvector; the factorisation tells."""
    limit = of_values(np.array([1.0, 2.0, *np.linspace(3, 9, 60), 1e4]))
    second = torch.linalg.eigh(limit.kernel).eigenvectors[:, 1:2]
    monkeypatch.setattr(extremes, "lowest_vectors", lambda *_: second)
    assert limit_extremes(limit) == Extremes.of(limit_kernel_spectrum(limit))


@pytest.mark.parametrize("values", [[1.0] * 40, [0.0] * 40, [1e-9, *[1.0] * 39], [1e160] * 40])
def test_where_bounds_would_be_wider_the_whole_spectrum_is_computed(values):
    limit = of_values(np.array(values))
    assert limit_extremes(limit) == Extremes.of(limit_kernel_spectrum(limit))
