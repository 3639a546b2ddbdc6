"""Protects what errors of the passes add to the bounds of predictions: errors of known size, much
larger than any pass makes."""

from __future__ import annotations

import math

import mpmath as mp
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntk_sweep.kernel.pass_errors import PassErrors
from ntk_sweep.numerics.double_double import DoubleDouble
from ntk_sweep.spectrum.jacobian_errors import JacobianErrors
from ntk_sweep.spectrum.kernel_regression import KernelRegression
from ntk_sweep.spectrum.kernel_solver import kernel_solver
from tests.helpers.exact import DIGITS
from tests.ntk_sweep.spectrum.test_inverse_form import gram_of, rounded
from tests.ntk_sweep.spectrum.test_kernel_regression import (
    exact,
    exact_left_out,
    exact_predictions,
    off,
)


def wrong_regression(size, tests, digits, seed, shared, row):
    """The regression of J + 1eᵀ + F with its bounds, the exact kernel of J, and targets."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    count = size + tests
    grades = torch.logspace(0, -digits / 2, count, dtype=torch.float64)
    jacobian = torch.linalg.qr(normal(count, count)).Q * grades @ normal(count, count + 3)
    least = float(torch.linalg.svdvals(jacobian[:size])[-1])
    e = normal(1, count + 3)
    e *= shared / e.norm()
    own = normal(count, count + 3)
    own *= row * least / torch.linalg.vector_norm(own, dim=1, keepdim=True)
    whole = rounded(gram_of(jacobian, e.expand(count, -1), own))
    bounds = PassErrors(torch.tensor([shared]), torch.full((count,), row * least).double())
    error = 2.0**-100 * float(torch.linalg.matrix_norm(whole.hi))
    passes = JacobianErrors.of(bounds, whole.hi.diagonal(), size, error)
    theta = DoubleDouble(*(part[:size, :size].contiguous() for part in whole))
    cross = DoubleDouble(*(part[size:, :size].contiguous() for part in whole))
    regression = KernelRegression(kernel_solver(theta, error), cross, passes.rounding, passes)
    return regression, gram_of(jacobian), normal(size)


@settings(max_examples=25, deadline=None)
@given(
    size=st.integers(2, 7),
    digits=st.floats(0, 14),
    seed=st.integers(0, 2**32),
    shared=st.sampled_from([0.0, 1e-9, 1e-4, 1e-2]),
    row=st.sampled_from([0.0, 1e-9, 1e-3, 0.05]),
    time=st.sampled_from([0.1, 1e3, math.inf]),
)
def test_wrong_jacobians(size, digits, seed, shared, row, time):
    regression, whole, targets = wrong_regression(size, 3, digits, seed, shared, row)
    with mp.workdps(DIGITS):
        theta, cross = whole[:size, :size], whole[size:, :size]
    found = regression.predictions(targets, time=time)
    true = exact_predictions(theta, cross, exact(targets), time)
    known = torch.isfinite(found.errors)
    assert (off(found, true)[known] <= found.errors[known]).all()
    left = regression.leave_one_out(targets)
    known = torch.isfinite(left.errors)
    apart = off(left, exact_left_out(theta, exact(targets)))
    assert (apart[known] <= left.errors[known]).all()


@pytest.mark.parametrize(("shared", "row"), [(1e-9, 0.0), (0.0, 1e-6), (1e-8, 1e-4)])
def test_bounds_are_of_use(shared, row):
    regression, whole, targets = wrong_regression(6, 3, 6.0, 1, shared, row)
    with mp.workdps(DIGITS):
        theta, cross = whole[:6, :6], whole[6:, :6]
    found, left = regression.predictions(targets), regression.leave_one_out(targets)
    apart = off(found, exact_predictions(theta, cross, exact(targets)))
    assert (found.errors <= 300 * apart.max()).all()
    apart = off(left, exact_left_out(theta, exact(targets)))
    assert (left.errors <= 300 * apart.max()).all()


def test_errors_of_kernels_are_reached():
    """Where E lies along the leading direction of J, the bound is the error."""
    shared, count = 1e-3, 6
    row = torch.ones(1, 9, dtype=torch.float64)
    jacobian, e = row.expand(count, -1), shared * row / row.norm()
    theta, wrong = ((rows @ rows.T) for rows in (jacobian, jacobian + e))
    bounds = PassErrors(torch.tensor([shared]), torch.zeros(count).double())
    passes = JacobianErrors.of(bounds, wrong.diagonal(), 4, 0.0)
    whole, between = passes.of_kernels(float(torch.linalg.eigvalsh(wrong[:4, :4])[-1]))
    apart = float(torch.linalg.matrix_norm((wrong - theta)[:4, :4]))
    assert apart <= whole <= 1.02 * apart
    rows = torch.linalg.vector_norm((wrong - theta)[4:, :4], dim=1)
    assert (rows <= between).all()
    assert (between <= 1.02 * rows).all()
