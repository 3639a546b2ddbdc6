"""λ_min of the limit kernel beyond float64, against mpmath and against float64."""

import mpmath as mp
import pytest
import torch

from ntk_sweep.data.dataset import load_dataset
from ntk_sweep.limit.extended_recursion import extended_kernels
from ntk_sweep.limit.kernel import limit_kernel_spectrum, limit_ntks
from ntk_sweep.limit.smallest_eigenvalues import sharp_limits
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.numerics.double_double import (
    DoubleDouble,
    add,
)
from ntk_sweep.numerics.double_double_functions import negative
from ntk_sweep.numerics.smallest_eigenvalue import smallest_eigenvalue
from ntk_sweep.tasks.limit_cache import TARGET, compute_limits
from ntk_sweep.tasks.limit_request import LimitRequest

THREE = torch.tensor([[0.2, -0.4], [0.5, 0.1], [-0.3, 0.8]], dtype=torch.float64)

EXACT = {
    ("sigmoid", "thesis", 3): 0.00082993654367336318974,
    ("sigmoid", "thesis", 4): 0.000047197155593600698076,
    ("tanh", "ntk", 3): 0.062438374437312781851,
    ("tanh", "ntk", 4): 0.03761872780140718869,
    ("silu", "standard", 3): 0.48895905473085838532,
    ("silu", "standard", 4): 0.3100163260519072448,
}
"""λ_min of Θ̄ on THREE at width 20: the plain recursion in mpmath with 50 digits, each dual
activation by the trapezoidal rule in two dimensions, with neither series nor differences."""


@pytest.mark.parametrize("case", EXACT, ids=str)
def test_against_mpmath(case):
    activation, parametrisation, depth = case
    network = Architecture(activation, 20, depth, parametrisation)
    least = sharp_limits(THREE, network, [depth], TARGET)[depth].lambda_min
    assert abs(least.value - EXACT[case]) <= least.error <= 1e-12 * least.value


def test_deep_kernels_of_fewer_and_more_digits_agree():
    """Ten layers, of which the last eight go through Taylor's series: λ_min/λ_max is 1e-15."""
    x = torch.from_numpy(load_dataset("digits", classes=(0, 9), n_per_class=6).x)
    network = Architecture("sigmoid", 1000, 10, "thesis")
    depths = range(2, 11)
    rough, coarse, fine = (
        {depth: each.ntk for depth, each in extended_kernels(x, network, depths, bits)}
        for bits in (52, 58, 84)
    )
    plain = limit_ntks(x, "sigmoid", 1000, depths, "thesis")
    for depth in depths:
        for less in (rough, coarse):
            change = add(fine[depth].kernel, negative(less[depth].kernel)).hi.abs().max()
            assert 12 * float(change) <= less[depth].error_norm
        spread = float(fine[depth].differences.hi.abs().max())
        assert coarse[depth].error_norm <= 1e-13 * spread
        assert rough[depth].error_norm <= 1e-11 * spread
        rows, columns = torch.triu_indices(12, 12)
        apart = coarse[depth].kernel.hi - plain[depth].kernel[rows, columns]
        assert float(apart.abs().max()) <= plain[depth].error_norm


def test_rows_resolve_the_smallest_eigenvalue():
    data = load_dataset("digits", classes=(0, 9), n_per_class=20)
    request = LimitRequest(Architecture("sigmoid", 1000, 10, "thesis"), (3, 10))
    found = compute_limits(request, data)
    plain = limit_ntks(data.x, "sigmoid", 1000, (3, 10), "thesis")
    for depth, limit in found.items():
        assert 0 < limit.lambda_min_error <= TARGET * limit.lambda_min
        before = limit_kernel_spectrum(plain[depth])
        apart = abs(limit.lambda_min - float(before.eigenvalues[0]))
        assert apart <= limit.lambda_min_error + float(before.errors[0])
    assert not limit_kernel_spectrum(plain[10]).resolved[0]
    alone = compute_limits(LimitRequest(request.at(3), (3,)), data)[3]
    assert alone.lambda_min == pytest.approx(found[3].lambda_min, rel=1e-12)


def test_out_of_reach():
    """No formula, identical inputs, inputs of no length and no bias, variances too large."""
    network = Architecture("elu", 20, 3, "thesis")
    assert sharp_limits(THREE, network, [3], TARGET) == {}
    network = Architecture("tanh", 20, 3, "ntk", bias_std=None)
    for x in (THREE[[0, 1, 0]], torch.cat([THREE, 0 * THREE[:1]]), 1e6 * THREE):
        assert sharp_limits(x, network, [3], TARGET) == {}


@pytest.mark.parametrize("tau", [0.0, 1.0, 1e3])
def test_smallest_eigenvalue_of_a_graded_matrix(tau):
    size, generator = 8, torch.Generator().manual_seed(0)
    rows = torch.randn(size, size, generator=generator, dtype=torch.float64)
    rows *= 10.0 ** -torch.arange(size, dtype=torch.float64)
    with mp.workdps(60):
        exact = mp.matrix(rows.tolist()) * mp.matrix(rows.tolist()).T
        high = torch.tensor(
            [[float(exact[i, j]) for j in range(size)] for i in range(size)], dtype=torch.float64
        )
        low = torch.tensor(
            [[float(exact[i, j] - float(high[i, j])) for j in range(size)] for i in range(size)],
            dtype=torch.float64,
        )
        whole = mp.matrix(size, size)
        for i in range(size):
            for j in range(size):
                whole[i, j] = mp.mpf(float(high[i, j])) + float(low[i, j]) + tau
        values = mp.eigsy(whole, eigvals_only=True)
        zero = torch.zeros((), dtype=torch.float64)
        least = smallest_eigenvalue(DoubleDouble(zero + tau, zero), DoubleDouble(high, low))
        assert abs(least.value - min(values)) <= least.error <= 1e-7 * least.value
