"""Protects the bounds of vᵀΘ⁻¹v: the true value lies within them."""

from __future__ import annotations

import dataclasses
import math

import mpmath as mp
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntk_sweep.kernel.centred_kernel import centred_kernel
from ntk_sweep.kernel.centred_passes import centred_passes
from ntk_sweep.kernel.pass_errors import PassErrors
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.numerics.double_double import DoubleDouble
from ntk_sweep.numerics.graded_eigenvalues import graded_spectrum
from ntk_sweep.spectrum import inverse_form as module
from ntk_sweep.spectrum.inverse_form import InverseForm, inverse_form
from ntk_sweep.spectrum.methods import METHODS
from ntk_sweep.spectrum.spectrum import kernel_spectrum, ntk_spectrum
from tests.helpers.exact import DIGITS, exact_inverse_form, exact_kernel


def off_by(value: float, exact: mp.mpf) -> float:
    with mp.workdps(DIGITS):
        return float(abs(mp.mpf(value) - exact))


def gram_of(*terms: torch.Tensor) -> mp.matrix:
    """J Jᵀ of the sum J of these, with `DIGITS` digits."""
    with mp.workdps(DIGITS):
        rows = sum((mp.matrix(term.tolist()) for term in terms[1:]), mp.matrix(terms[0].tolist()))
        return rows * rows.T


def rounded(theta: mp.matrix) -> DoubleDouble:
    """To double-double."""
    with mp.workdps(DIGITS):
        hi = [[float(entry) for entry in row] for row in theta.tolist()]
        lo = [
            [float(entry - mp.mpf(high)) for entry, high in zip(row, highs, strict=True)]
            for row, highs in zip(theta.tolist(), hi, strict=True)
        ]
    return DoubleDouble(*(torch.tensor(part, dtype=torch.float64) for part in (hi, lo)))


def form_of(theta: DoubleDouble, errors: PassErrors) -> InverseForm:
    """The form of a kernel in double-double, rounded from an exact one."""
    graded = graded_spectrum(theta)
    own = 2.0**-100 * float(torch.linalg.matrix_norm(theta.hi))
    error = 2 * graded.relative * graded.eigenvalues + graded.absolute + own
    return InverseForm(
        theta=theta,
        theta_error=own,
        pass_errors=errors,
        eigenvalues=graded.eigenvalues,
        vectors=graded.vectors,
        lower=float((graded.eigenvalues - error)[0]),
        orders=3,
    )


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 9),
    digits=st.floats(3, 17),
    seed=st.integers(0, 2**32),
    shared=st.sampled_from([0.0, 1e-9, 1e-3]),
    rows=st.sampled_from([0.0, 1e-9, 1e-3, 0.05]),
    along=st.integers(0, 9),
)
def test_graded_kernels_of_wrong_jacobians(size, digits, seed, shared, rows, along):
    """The Jacobian of the passes is J + 1eᵀ + F; v is any vector, or an eigenvector."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    least = 10 ** (-digits / 2)
    values = torch.logspace(0, -digits / 2, size, dtype=torch.float64)
    left = torch.linalg.qr(normal(size, size)).Q
    exact = 250 * left * values @ torch.linalg.qr(normal(2 * size, size)).Q.T
    common = shared * least * normal(2 * size)
    own = rows * least * normal(size, 2 * size)
    errors = PassErrors(common.norm()[None], own.norm(dim=1))
    form = form_of(rounded(gram_of(exact, common.expand(size, -1), own)), errors)
    v = left[:, along] if along < size else normal(size)
    value, error = form(v)
    assert off_by(value, exact_inverse_form(gram_of(exact), v)) <= error
    if shared == rows == 0:
        assert error <= 1e-11 * value
    assert error <= value


def test_a_shared_error_that_the_solution_does_not_see_counts_squared():
    """1ᵀΘ⁻¹v is zero: the form changes by ((Je)ᵀx)² 1ᵀΘ⁻¹1 only."""
    generator = torch.Generator().manual_seed(3)
    wrong = torch.randn(4, 8, dtype=torch.float64, generator=generator)
    x = torch.tensor([1.0, -1, 2, -2], dtype=torch.float64)
    theta = wrong @ wrong.T
    common = wrong.T @ x
    common *= 0.4 / float(common.norm() * torch.linalg.inv(theta).sum() ** 0.5)
    errors = PassErrors(common.norm()[None], torch.zeros(4, dtype=torch.float64))
    value, error = form_of(rounded(gram_of(wrong)), errors)(theta @ x)
    change = off_by(value, exact_inverse_form(gram_of(wrong, -common.expand(4, -1)), theta @ x))
    assert 0.1 * error < change <= error


NETWORKS = [
    ("relu", (8, 30, 20, 3), torch.float64, "eigh"),
    ("sigmoid", (8, 8, 10, 6), torch.float64, "compensated"),
    ("sigmoid", (10, 8, 10, 9), torch.float64, "double-double"),
    ("relu", (8, 30, 20, 3), torch.float32, "eigh"),
    ("elu", (1, 4, 6, 3), torch.float64, "eigh"),
]


def network_of(activation, shape, dtype):
    count, features, width, depth = shape
    generator = torch.Generator().manual_seed(7)
    x = torch.rand(count, features, dtype=torch.float64, generator=generator).to(dtype)
    network = Network.initialise(features, width, depth, activation, "thesis", 1, dtype=dtype)
    return network, x


@pytest.mark.parametrize(("activation", "shape", "dtype", "cheapest"), NETWORKS)
def test_all_methods_against_mpmath(activation, shape, dtype, cheapest):
    network, x = network_of(activation, shape, dtype)
    kernel = centred_kernel(centred_passes(network, x), network=network)
    assert kernel_spectrum(kernel).method == cheapest
    theta = exact_kernel(network, x)
    vectors = [torch.arange(len(x)).double() % 2, torch.ones(len(x)).double(), kernel.theta[0]]
    for method in METHODS:
        spectrum = ntk_spectrum(network, x, method)
        form = inverse_form(kernel, spectrum)
        for v in vectors:
            value, error = form(v)
            if method in ("auto", "double-double"):
                # as accurate as the eigenvalues
                assert error <= 3 * float((spectrum.errors / spectrum.eigenvalues).max()) * value
            if not math.isnan(value):
                assert off_by(value, exact_inverse_form(theta, v)) <= error
            else:
                assert math.isnan(error) and not spectrum.resolved[0]


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_said_of_singular_kernels(method):
    network, x = network_of("sigmoid", (6, 8, 10, 3), torch.float64)
    x[3] = x[1]
    kernel = centred_kernel(centred_passes(network, x))
    value, error = inverse_form(kernel, ntk_spectrum(network, x, method))(torch.ones(6).double())
    assert math.isnan(value) and math.isnan(error)


def test_vectors_of_any_size_and_the_zero():
    network, x = network_of("relu", (8, 30, 20, 3), torch.float64)
    kernel = centred_kernel(centred_passes(network, x))
    form, v = inverse_form(kernel, kernel_spectrum(kernel)), torch.arange(8).double()
    value, error = form(v)
    assert form(v * 2.0**400) == (value * 2.0**800, error * 2.0**800)
    assert form(0 * v) == (0, 0)
    for bad in (v * 1e300, v / 0, v * math.nan):
        assert all(map(math.isnan, form(bad)))


def test_a_poor_solution_widens_the_bound(monkeypatch):
    """The bound is certified afterwards: it covers what refinement leaves."""
    network, x = network_of("relu", (8, 30, 20, 3), torch.float64)
    kernel, v = centred_kernel(centred_passes(network, x)), torch.arange(8).double()
    form = inverse_form(kernel, kernel_spectrum(kernel))
    value, error = form(v)
    poor = dataclasses.replace(form, eigenvalues=1.1 * form.eigenvalues)
    assert poor(v).value == pytest.approx(value, rel=1e-11)
    monkeypatch.setattr(module, "MAX_STEPS", 1)
    short, bound = poor(v)
    assert short < 0.995 * value and value - short <= bound + error


def test_many_inputs_are_multiplied_in_blocks(monkeypatch):
    network, x = network_of("relu", (8, 30, 20, 3), torch.float64)
    kernel = centred_kernel(centred_passes(network, x), refinable=False)
    spectrum, v = ntk_spectrum(network, x, "eigh"), torch.arange(8).double()
    value, error = inverse_form(kernel, spectrum)(v)
    monkeypatch.setattr(module, "BLOCK_ROWS", 3)
    again, bound = inverse_form(kernel, ntk_spectrum(network, x, "jacobian"))(v)
    assert abs(value - again) <= error + bound and bound < 1e-9 * again


def test_a_kernel_in_double_double_is_computed_once(monkeypatch):
    network, x = network_of("sigmoid", (8, 8, 10, 6), torch.float64)
    kernel = centred_kernel(centred_passes(network, x))
    spectrum = kernel_spectrum(kernel, "double-double")
    monkeypatch.setattr("ntk_sweep.kernel.centred_kernel.double_double_kernel", None)
    assert inverse_form(kernel, spectrum)(torch.ones(8).double()).value > 0
