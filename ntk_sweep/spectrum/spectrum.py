"""Eigenvalues of the empirical NTK, each with an error bound."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ntk_sweep.kernel.centred_kernel import CentredKernel, centred_kernel
from ntk_sweep.kernel.centred_passes import centred_passes
from ntk_sweep.kernel.overflow import squares_overflow
from ntk_sweep.network.fully_connected import Inputs, Network
from ntk_sweep.numerics.graded_eigenvalues import graded_spectrum
from ntk_sweep.numerics.tensors import all_finite, overflow
from ntk_sweep.numerics.thresholds import REFINED_SAMPLES
from ntk_sweep.spectrum.jacobian_svd import jacobian_spectrum
from ntk_sweep.spectrum.methods import METHODS
from ntk_sweep.spectrum.perturbation import eigenvalue_errors


class Orders(NamedTuple):
    """How many times products are taken some 21 bits beyond float64.

    Attributes:
        kernel: Those of the kernel (`ntk_sweep.numerics.double_double.gram`).
        products: Those of the residual of its eigenvectors
            (`ntk_sweep.numerics.graded_eigenvalues`).
    """

    kernel: int
    products: int


ORDERS = {"compensated": Orders(1, 2), "double-double": Orders(2, 3)}
"""The second reaches 1e-28 λ_max; the first costs half as much and is enough for condition numbers
up to about 1e9."""

REFINED_ANGLE = 1e-13
"""What an eigenvector of a refined method may have of another one: the rounding of a product of
float64 matrices, and the square of `ntk_sweep.numerics.graded_eigenvalues.SMALL_ANGLE`."""

TARGET = 1e-9
"""Relative error asked of every eigenvalue: far below the spread between seeds (0.05 and more), and
within reach of the bounds of all but a few networks (`python -m benchmarks.numerics.accuracy`)."""


VANISHING = 1e-250
"""The trace below which the low halves of double-double underflow: LAPACK's eigenvalues are taken,
whatever the method."""


@dataclass(frozen=True)
class Spectrum:
    """All eigenvalues of a kernel.

    Attributes:
        eigenvalues: Ascending, (N,), float64, none negative.
        errors: A bound of the absolute error of each eigenvalue, (N,), float64.
        method: How they were obtained, one of `METHODS` but "auto".
        target: The relative error that was asked for.
        eigenvectors: Of the computed kernel, in the columns, (N, N); None for the jacobian method.
            Good to rounding for eigenvalues that are well apart, such as the leading ones; those of
            close or unresolved eigenvalues are arbitrary rotations.
    """

    eigenvalues: Float[Tensor, " N"]
    errors: Float[Tensor, " N"]
    method: str
    target: float = TARGET
    eigenvectors: Float[Tensor, "N N"] | None = field(default=None, repr=False)

    @property
    def resolved(self) -> Bool[Tensor, " N"]:
        """Which eigenvalues exceed their error bound, (N,); others may be rounding noise."""
        return self.eigenvalues > self.errors

    @property
    def meets_target(self) -> bool:
        """Whether every bound is within `target`, relatively."""
        return bool((self.errors <= self.target * self.eigenvalues).all())


def ntk_spectrum(
    network: Network, x: Inputs, method: str = "auto", target: float = TARGET
) -> Spectrum:
    """The spectrum of the empirical NTK on `x`, with error bounds.

    Beside the errors of the passes, λ_i errs as follows; the seconds are those of width 1000, depth
    10 and N = 200 on two cores.

    | method | error at λ_i | seconds |
    |---|---|---|
    | eigh | about 50 ε λ_max | 0.2 |
    | compensated | about 1e-13 λ_i, and 1e-19 λ_max | 0.3 |
    | double-double | about 1e-13 λ_i, and 1e-28 λ_max | 0.4 |
    | jacobian | about ε √(N λ_max λ_i) | 2 |

    `auto` takes the first of the upper three whose bound meets the target, and eigh for more than
    `REFINED_SAMPLES` inputs; jacobian is an independent check. docs/theory/numerics.md derives the
    bounds.

    Args:
        network: The network, at its present weights.
        x: N ≥ 1 inputs: a NumPy array, lists, or a tensor of the network's dtype and on its device.
        method: One of `METHODS`.
        target: Relative error that `auto` asks of every eigenvalue; `Spectrum.meets_target` says
            whether it was reached.

    Raises:
        ValueError: The method is unknown, `x` does not fit the network, is empty or not finite, or
            the kernel overflows.

    Example:
        >>> import numpy as np
        >>> network = Network.initialise(4, 50, 3, "sigmoid", "thesis", seed=0)
        >>> spectrum = ntk_spectrum(network, np.eye(4))
        >>> spectrum.eigenvalues.shape, spectrum.method, spectrum.meets_target
        (torch.Size([4]), 'eigh', True)
        >>> bool((spectrum.errors < 1e-9 * spectrum.eigenvalues).all())
        True
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}: choose one of {', '.join(METHODS)}")
    x = network.as_inputs(x)
    if method == "jacobian":
        values, errors = jacobian_spectrum(network, x)
        return Spectrum(values, errors, "jacobian", target)
    refinable = method in ORDERS or (method == "auto" and len(x) <= REFINED_SAMPLES)
    kernel = centred_kernel(centred_passes(network, x), refinable)
    return kernel_spectrum(kernel, method, target)


def kernel_spectrum(
    kernel: CentredKernel, method: str = "auto", target: float = TARGET
) -> Spectrum:
    """The spectrum of a kernel that the caller needs for other things too.

    Args:
        kernel: From `ntk_sweep.kernel.centred_kernel.centred_kernel`.
        method: One of `METHODS` but "jacobian".
        target: As in `ntk_spectrum`.

    Raises:
        ValueError: The method is unknown, or the squares of Θ or an error bound overflow.
    """
    if method not in METHODS[:-1]:
        raise ValueError(
            f"method {method!r} does not start from centred passes: choose one of "
            f"{', '.join(METHODS[:-1])}"
        )
    if (error := squares_overflow(kernel.theta, kernel.layer_traces)) is not None:
        raise error
    vectors, least = None, None
    vanishing = float(kernel.theta.trace()) < VANISHING
    if method in ("auto", "eigh") or vanishing:
        solution = _eigh(kernel)
        spectrum, improvable = _with_pass_errors(kernel, solution, "eigh", target)
        last = method == "eigh" or vanishing or len(kernel.theta) > REFINED_SAMPLES
        if last or not improvable:
            return spectrum
        vectors, least = solution.vectors, float(solution.eigenvalues[0] - solution.errors[0])
    for name, orders in ORDERS.items():
        if method not in ("auto", name):
            continue
        kernel_error = kernel.double_double_error(orders.kernel)
        # the error of the kernel alone may leave no hope for the target
        if least is not None and name == "compensated" and kernel_error > target / 4 * least:
            continue
        solution = _refined(kernel, orders, kernel_error, vectors)
        spectrum, improvable = _with_pass_errors(kernel, solution, name, target)
        if not improvable:
            break
    return spectrum


@dataclass(frozen=True)
class _Solution:
    """Eigenvalues of the computed kernel, and eigenvectors in the columns.

    Attributes:
        eigenvalues: Ascending, none negative.
        errors: Bounds of the errors of the solver and of the kernel's rounding together.
        vectors: Approximate eigenvectors.
    """

    eigenvalues: Float[Tensor, " N"]
    errors: Float[Tensor, " N"]
    vectors: Float[Tensor, "N N"]


def _with_pass_errors(
    kernel: CentredKernel, solution: _Solution, method: str, target: float
) -> tuple[Spectrum, bool]:
    """The spectrum, and whether a more accurate method may meet the target.

    It may not where this one meets it, or where the errors of the passes alone miss it.
    """
    values, own = solution.eigenvalues, solution.errors
    angle = REFINED_ANGLE if method in ORDERS else 1.0
    passes = eigenvalue_errors(kernel.pass_errors, values, own, solution.vectors, angle)
    if not all_finite(own + passes):
        raise overflow("the spectrum", "the squares of its error bounds", torch.float64)
    spectrum = Spectrum(values, own + passes, method, target, solution.vectors)
    hopeless = bool((own <= target * values).all()) and bool((passes > target * values).any())
    return spectrum, not (spectrum.meets_target or hopeless)


def _refined(
    kernel: CentredKernel,
    orders: Orders,
    kernel_error: float,
    vectors: Float[Tensor, "N N"] | None,
) -> _Solution:
    """The eigenvalues of Θ in double-double, from approximate eigenvectors if there are any."""
    theta = kernel.double_double(orders.kernel)
    if not all(map(all_finite, theta)):
        raise overflow("the kernel", "its entries in double-double", torch.float64)
    graded = graded_spectrum(theta, orders.products, vectors)
    errors = (
        (1 + graded.relative) * graded.relative * graded.eigenvalues
        + graded.absolute
        + kernel_error
    )
    return _Solution(graded.eigenvalues, errors, graded.vectors)


def _eigh(kernel: CentredKernel) -> _Solution:
    """Eigenvalues of Θ by LAPACK, clamped at zero.

    With R = ΘV - VΛ every λ_i errs by at most ‖R‖₂ / σ_min(V) (Kahan 1967; Cao, Xie, Li 1996),
    whatever the solver did. The computed R has a rounding error of about u √(N/3) ‖Θ‖_F, by the
    model in `ntk_sweep.kernel.rounding`, here with a safety factor of four.
    """
    theta = kernel.theta
    values, vectors = torch.linalg.eigh(theta)
    unit = torch.finfo(torch.float64).eps / 2
    residual = torch.linalg.matrix_norm(theta @ vectors - vectors * values)
    rounding = 4 * unit * ((len(theta) / 3) ** 0.5 + 1) * torch.linalg.matrix_norm(theta)
    # σ_min(V) ≥ 0.99: LAPACK's vectors are orthonormal to rounding
    error = (residual + rounding) / 0.99 + kernel.error
    return _Solution(values.clamp(min=0), error.expand(len(values)).clone(), vectors)
