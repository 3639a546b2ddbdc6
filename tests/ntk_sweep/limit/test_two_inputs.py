"""Protects limit kernels between two sets of inputs, and the covariance of the outputs (NNGP)."""

import math
from itertools import cycle

import mpmath as mp
import numpy as np
import pytest
import torch

from ntk_sweep import limit_kernels, limit_nngp, limit_ntk
from ntk_sweep.limit import recursion
from ntk_sweep.limit.kernel import limit_kernel_spectrum, limit_ntks, limits_of
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from tests.helpers.exact_limits import exact_limits
from tests.helpers.limit_inputs import inputs
from tests.ntk_sweep.limit.test_error_bounds import SCALES, rows_of_many_kinds


def two_sets():
    """Rows of many kinds, in either set some that equal or nearly equal one of the other."""
    rows = rows_of_many_kinds()
    return rows[[0, 2, 5, 7]], rows[[0, 1, 3, 4, 6]]


def against(kernel, exact):
    """The difference from mpmath, and √(Θ_ii Θ'_jj) of each entry, for the block of `two_sets`."""
    places = [(i, j) for i in (0, 2, 5, 7) for j in (0, 1, 3, 4, 6)]
    values = kernel.flatten().tolist()
    difference = [
        float(mp.mpf(value) - exact[i, j]) for value, (i, j) in zip(values, places, strict=True)
    ]
    size = [float(mp.sqrt(exact[i, i] * exact[j, j])) for i, j in places]
    return (torch.tensor(of, dtype=torch.float64).reshape(4, 5) for of in (difference, size))


@pytest.mark.parametrize("scales", [(1.0, 1.0), *SCALES], ids=str)
@pytest.mark.parametrize(
    ("activation", "parametrisation"),
    [("relu", "thesis"), ("lrelu", "standard"), ("erf", "ntk"), ("relu", "ntk")],
)
def test_kernels_between_two_sets_against_mpmath(activation, parametrisation, scales):
    x, x2 = two_sets()
    architecture = Architecture(activation, 300, 0, parametrisation, *scales)
    for depth, kernels in limits_of(x, architecture, (2, 5), x2):
        with mp.workdps(80):
            exact = exact_limits(
                rows_of_many_kinds(), activation, 300, depth, parametrisation, *scales
            )
            for limit, expected in zip((kernels.ntk, kernels.nngp), exact, strict=True):
                difference, size = against(limit.kernel, expected)
                assert (difference.abs() <= 1e-12 * size).all(), (difference.abs() / size).max()
                assert float(torch.linalg.matrix_norm(difference, 2)) <= limit.error_norm
                assert limit.error_norm <= 1e-10 * float(size.norm())


@pytest.mark.parametrize(
    ("activation", "parametrisation"), list(zip(ACTIVATIONS, cycle(PARAMETRISATIONS), strict=False))
)
def test_kernels_between_two_sets_are_blocks(activation, parametrisation):
    x = inputs(9)
    joint = limit_kernels(x, activation, 70, 4, parametrisation, 1.3, 0.4)
    between = limit_kernels(x[:4], activation, 70, 4, parametrisation, 1.3, 0.4, x[4:])
    for whole, block in ((joint.ntk, between.ntk), (joint.nngp, between.nngp)):
        assert torch.equal(whole.kernel, whole.kernel.T)
        part = whole.kernel[:4, 4:]
        torch.testing.assert_close(block.kernel, part, rtol=1e-13, atol=0)
        assert float(torch.linalg.matrix_norm(block.kernel - part, 2)) <= 0.01 * block.error_norm
        assert 0 < block.error_norm <= whole.error_norm
    same = limit_ntk(x, activation, 70, 4, parametrisation, 1.3, 0.4, x2=x)
    torch.testing.assert_close(same, joint.ntk.kernel, rtol=1e-12, atol=0)
    arguments = (x[:4], activation, 70, 4, parametrisation, 1.3, 0.4, x[4:])
    assert torch.equal(limit_ntk(*arguments), between.ntk.kernel)
    assert torch.equal(limit_nngp(*arguments), between.nngp.kernel)


@pytest.mark.parametrize("activation", ["relu", "elu"])
def test_two_large_sets_are_taken_in_parts(activation, monkeypatch):
    x = inputs(12)
    arguments = (x[:3], activation, 50, 3, "ntk", 1.0, 1.0, x[3:])
    whole = limit_kernels(*arguments)
    monkeypatch.setattr(recursion, "LIMIT_TILE_ROWS", 2)
    parts = limit_kernels(*arguments)
    for one, other in ((whole.ntk, parts.ntk), (whole.nngp, parts.nngp)):
        torch.testing.assert_close(one.kernel, other.kernel, rtol=1e-13, atol=0)
        assert one.error_norm == pytest.approx(other.error_norm, rel=0.2, abs=0)


def test_covariance_at_depth_two_is_that_of_one_hidden_layer():
    # Cho and Saul's kernel of order 1, by hand: K^1 = [[2, 1], [1, 2]] and θ = π/3
    x = math.sqrt(3) * torch.eye(3, dtype=torch.float64)[:2]
    kernel = limit_nngp(x, "relu", 10, 2, "ntk", 1.0, 1.0)
    overlap = 2 / (2 * math.pi) * (math.sin(math.pi / 3) + 2 * math.pi / 3 * 0.5)
    expected = torch.tensor([[2.0, 1 + overlap], [1 + overlap, 2.0]], dtype=torch.float64)
    torch.testing.assert_close(kernel, expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_covariance_is_that_of_outputs(parametrisation):
    """With one hidden layer the covariance of outputs is K at every width."""
    from ntk_sweep import Network

    x = torch.from_numpy(np.random.default_rng(0).standard_normal((3, 4)))
    outputs = torch.stack(
        [
            Network.initialise(
                4, 3, 2, "tanh", parametrisation, seed, weight_std=1.4, bias_std=0.6
            )(x)
            for seed in range(600)
        ]
    )
    products = outputs[:, :, None] * outputs[:, None, :]
    error = products.std(0) / math.sqrt(len(products))
    kernel = limit_nngp(x, "tanh", 3, 2, parametrisation, 1.4, 0.6)
    assert ((products.mean(0) - kernel).abs() <= 5 * error).all()
    assert not ((products.mean(0) - 1.5 * kernel).abs() <= 5 * error).all()


def test_spectrum_of_the_covariance():
    kernels = limit_kernels(inputs(), "erf", 50, 3, "ntk")
    spectrum = limit_kernel_spectrum(kernels.nngp)
    expected = torch.linalg.eigvalsh(kernels.nngp.kernel)
    torch.testing.assert_close(spectrum.eigenvalues[1:], expected[1:], rtol=1e-12, atol=0)


@pytest.mark.usefixtures("unchecked")
def test_second_inputs_are_checked_like_the_first():
    x = inputs(6)
    for wrong, message in (
        (x[:, :4], r"x2 has shape \(6, 4\), but x has 10 features: both sets"),
        (x[0], r"x2 has shape \(10,\), but must be \(N, n_in\)"),
        (x.float(), r"x2 is torch\.float32, but the limit kernel is computed in float64"),
        (x * math.inf, "x2 holds values that are not finite"),
        (x[:0], r"x2 has shape \(0, 10\), but .* at least one input"),
        (x.numpy().astype(str), "x2 is of dtype"),
    ):
        for function in (limit_ntk, limit_nngp, limit_kernels):
            with pytest.raises(ValueError, match=message):
                function(x, "relu", 10, 2, "ntk", x2=wrong)
    same = limit_ntk(x, "relu", 10, 2, "ntk", x2=x[:2].tolist())
    assert torch.equal(same, limit_ntk(x, "relu", 10, 2, "ntk", x2=x[:2]))


def test_kernels_between_two_sets_have_no_eigenvalues():
    between = limit_kernels(inputs(6)[:3], "relu", 10, 2, "ntk", x2=inputs(6)[3:])
    with pytest.raises(ValueError, match=r"\(3, 3\), is not symmetric, but only a kernel of one"):
        limit_kernel_spectrum(between.ntk)


def test_a_covariance_that_overflows_alone_is_no_fault_of_the_kernel():
    x = inputs() / 1e145
    arguments = (x, "relu", 10, 2, "standard", 1e150, None)
    assert torch.isfinite(limit_ntks(*arguments[:3], (2,), *arguments[4:])[2].kernel).all()
    with pytest.raises(ValueError, match="the covariance of the outputs is not finite"):
        limit_nngp(*arguments)


@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_many_inputs_go_in_tiles(monkeypatch, activation):
    x = torch.randn(23, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    x[20] = x[2] + 1e-9 * x[1]  # nearly equal, and in different tiles
    network = Architecture(activation, 50, 5, "thesis")
    whole = dict(limits_of(x, network, (3, 5)))
    monkeypatch.setattr("ntk_sweep.limit.recursion.LIMIT_TILE_ROWS", 5)
    for depth, tiled in limits_of(x, network, (3, 5)):
        for kind in ("ntk", "nngp"):
            one, other = getattr(tiled, kind), getattr(whole[depth], kind)
            difference = torch.linalg.matrix_norm(one.kernel - other.kernel, 2)
            assert float(difference) <= min(one.error_norm, other.error_norm)
            assert one.error_norm == pytest.approx(other.error_norm, rel=0.1, abs=0)
            assert torch.equal(one.kernel, one.kernel.T)
