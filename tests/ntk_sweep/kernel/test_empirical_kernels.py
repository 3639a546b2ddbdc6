"""Protects the bounds of the entries of empirical kernels, against 70 digits."""

import mpmath as mp
import numpy as np
import pytest
import torch

from ntk_sweep import Network, conjugate_kernel, empirical_kernels, empirical_ntk
from tests.helpers.exact import DIGITS, exact_conjugate_kernel, exact_kernel

GENERATOR = np.random.default_rng(11)
X = torch.from_numpy(GENERATOR.standard_normal((3, 4)))
NEAR = X[:2] + 1e-9 * torch.from_numpy(GENERATOR.standard_normal((2, 4)))
OTHERS = torch.cat([NEAR, torch.from_numpy(GENERATOR.standard_normal((1, 4)))])

CASES = [
    ("relu", "thesis", 12, 4, 1.0, 1.0, 0.0),
    ("relu", "ntk", 12, 3, 2**0.5, 0.0, 1e3),
    ("lrelu", "standard", 9, 3, 1.5, 0.3, 1e6),
    ("elu", "thesis", 9, 5, 0.7, None, 10.0),
    ("sigmoid", "ntk", 12, 6, 3.0, 0.3, 0.0),
    ("tanh", "standard", 1, 3, 1.0, 1.0, 1.0),
    ("erf", "ntk", 9, 4, 0.1, 1.0, 10.0),
    ("gelu", "ntk", 9, 10, 3.0, None, 0.0),
    ("silu", "standard", 9, 3, 1.0, 0.0, 1e3),
]


def network_of(act, parametrisation, width, depth, weight_std, bias_std, **more):
    return Network.initialise(
        4, width, depth, act, parametrisation, 3, weight_std=weight_std, bias_std=bias_std, **more
    )


def off(found, exact):
    """|computed - exact| in units of the bounds."""
    with mp.workdps(DIGITS):
        return np.array(
            [
                [
                    float(abs(mp.mpf(float(value)) - exact[i, j]) / mp.mpf(float(error)))
                    for j, (value, error) in enumerate(zip(*row, strict=True))
                ]
                for i, row in enumerate(zip(found.kernel, found.errors, strict=True))
            ]
        )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_bounds_cover_the_errors(case):
    *setting, offset = case
    network, x, x2 = network_of(*setting), X + offset, OTHERS + offset
    ntk, conjugate = (exact(network, torch.cat([x, x2])) for exact in EXACT)
    between, alone = empirical_kernels(network, x, x2), empirical_kernels(network, x)
    for kind, exact, plain in (
        ("ntk", ntk, empirical_ntk),
        ("conjugate", conjugate, conjugate_kernel),
    ):
        found, own = getattr(between, kind), getattr(alone, kind)
        assert found.kernel.shape == found.errors.shape == (3, 3)
        assert off(found, exact[:3, 3:]).max() < 1
        assert off(own, exact[:3, :3]).max() < 1
        assert torch.equal(own.kernel, own.kernel.T)
        size = own.kernel.diagonal().max().sqrt() * plain(network, x2).diagonal().max().sqrt()
        useful = 1e-7 if setting[3] == 10 else 1e-11  # deep in the chaotic phase errors grow
        assert (found.errors <= useful * size).all()
        torch.testing.assert_close(
            plain(network, x, x2), found.kernel, rtol=1e-10, atol=1e-10 * float(size)
        )
        assert torch.linalg.matrix_norm(found.errors, 2) <= found.error_norm * (1 + 1e-12)
        # a wrong kernel is outside
        wrong = type(found)(found.kernel + 3 * found.errors, found.errors)
        assert off(wrong, exact[:3, 3:]).min() > 1


EXACT = (exact_kernel, exact_conjugate_kernel)


def test_bounds_of_single_precision():
    network = network_of("tanh", "ntk", 12, 4, 1.5, 0.3, dtype=torch.float32)
    x, x2 = X.float(), OTHERS.float()
    found = empirical_kernels(network, x, x2)
    exact = exact_kernel(network, torch.cat([x, x2]))
    assert found.ntk.kernel.dtype == torch.float64
    assert off(found.ntk, exact[:3, 3:]).max() < 1
    assert (found.ntk.errors < 1e-3 * found.ntk.kernel.abs().max()).all()


def test_sets_that_do_not_fit_and_overflow_are_refused():
    network = network_of("relu", "ntk", 5, 3, 1.0, 1.0)
    with pytest.raises(ValueError, match=r"x2 has shape \(1, 3\)"):
        empirical_kernels(network, X, [[1.0, 2.0, 3.0]])
    with pytest.raises(ValueError, match="the kernel is not finite: it overflows float64"):
        empirical_kernels(network, 1e200 * X, X)
