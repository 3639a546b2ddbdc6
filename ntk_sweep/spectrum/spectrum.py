"""Eigenvalues of the empirical NTK, each with an error bound."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.centred_kernel import TracedKernel, traced_kernel
from ntk_sweep.kernel.centred_passes import centred_trace
from ntk_sweep.kernel.pass_errors import PassErrors, eigenvalue_errors
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.numerics.graded_eigenvalues import graded_spectrum
from ntk_sweep.numerics.thresholds import REFINED_SAMPLES
from ntk_sweep.spectrum.jacobian_svd import jacobian_spectrum
from ntk_sweep.spectrum.methods import METHODS


class Orders(NamedTuple):
    """How many times products are taken some 21 bits beyond float64.

    Attributes:
        kernel: Those of the kernel (`ntk_sweep.numerics.double_double.gram`).
        products: Those of the residual of its eigenvectors (`ntk_sweep.numerics.graded_eigenvalues`).
    """

    kernel: int
    products: int


ORDERS = {"compensated": Orders(1, 2), "double-double": Orders(2, 3)}
"""The second reaches 1e-28 λ_max; the first costs half as much and is enough for condition numbers
up to about 1e9."""

TARGET = 1e-9
"""Relative error asked of every eigenvalue: far below the spread between seeds (0.05 and more), and
within reach of the bounds of all but a few networks (`python -m benchmarks.numerics.accuracy`)."""


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
    def resolved(self) -> Tensor:
        """Which eigenvalues exceed their own error bound, (N,); the others may be rounding
        noise."""
        return self.eigenvalues > self.errors

    @property
    def meets_target(self) -> bool:
        """Whether every bound is within `target`, relatively."""
        return bool((self.errors <= self.target * self.eigenvalues).all())


def ntk_spectrum(
    network: Network, x: Float[Tensor, "N n_in"], method: str = "auto", target: float = TARGET
) -> Spectrum:
    """The spectrum of the empirical NTK on `x`, with error bounds.

    | method | error at λ_i beside that of the passes | cost at width 1000, depth 10, N = 200, two cores |
    |---|---|---|
    | eigh | about 50 ε λ_max | 0.2 s |
    | compensated | about 1e-13 λ_i, and 1e-19 λ_max | 0.3 s |
    | double-double | about 1e-13 λ_i, and 1e-28 λ_max | 0.4 s |
    | jacobian | about ε √(N λ_max λ_i) | 2 s |

    `auto` takes the first of the upper three whose bound meets the target, and eigh for more than
    `REFINED_SAMPLES` inputs; jacobian is an independent check. docs/theory/numerics.md derives the
    bounds.

    Args:
        network: The network, at its present weights.
        x: N ≥ 1 inputs, of the network's dtype and on its device.
        method: One of `METHODS`.
        target: Relative error that `auto` asks of every eigenvalue; `Spectrum.meets_target` says
            whether it was reached.

    Raises:
        ValueError: The method is unknown, `x` does not fit the network or is empty, or the kernel
            overflows.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}: choose one of {', '.join(METHODS)}")
    if len(x) == 0:
        raise ValueError("the kernel is empty: a spectrum needs at least one input")
    if method == "jacobian":
        values, errors = jacobian_spectrum(network, x)
        return Spectrum(values, errors, "jacobian", target)
    refinable = method in ORDERS or (method == "auto" and len(x) <= REFINED_SAMPLES)
    return traced_spectrum(traced_kernel(centred_trace(network, x), refinable), method, target)


def traced_spectrum(kernel: TracedKernel, method: str = "auto", target: float = TARGET) -> Spectrum:
    """The spectrum of a kernel that the caller needs for other things too.

    Args:
        kernel: From `ntk_sweep.kernel.centred_kernel.traced_kernel`.
        method: One of `METHODS` but "jacobian".
        target: As in `ntk_spectrum`.
    """
    if method not in METHODS[:-1]:
        raise ValueError(
            f"method {method!r} does not start from a trace: choose one of "
            f"{', '.join(METHODS[:-1])}"
        )
    vectors = None
    if method in ("auto", "eigh"):
        values, vectors, solver = _eigh(kernel.theta)
        own = (solver + kernel.error).expand(len(values)).clone()
        spectrum, improvable = _with_passes(kernel.passes, values, own, vectors, "eigh", target)
        if method == "eigh" or not improvable or len(values) > REFINED_SAMPLES:
            return spectrum
    for name, orders in ORDERS.items():
        if method not in ("auto", name):
            continue
        kernel_error = kernel.doubled_error(orders.kernel)
        if (
            method == "auto"
            and name == "compensated"
            and kernel_error > target / 4 * float(values[0] - own[0])
        ):
            continue
        graded = graded_spectrum(kernel.doubled(orders.kernel), orders.products, vectors)
        own = (
            (1 + graded.relative) * graded.relative * graded.eigenvalues
            + graded.absolute
            + kernel_error
        )
        spectrum, improvable = _with_passes(
            kernel.passes, graded.eigenvalues, own, graded.vectors, name, target
        )
        if not improvable:
            break
    return spectrum


def _with_passes(
    errors: PassErrors, values: Tensor, own: Tensor, vectors: Tensor, method: str, target: float
) -> tuple[Spectrum, bool]:
    """The spectrum with the errors of the passes added to its own, and whether a more accurate
    method may meet the target.

    It may not where this one meets it and the passes alone miss it.
    """
    passes = eigenvalue_errors(errors, values, own, vectors)
    spectrum = Spectrum(values, own + passes, method, target, vectors)
    hopeless = bool((own <= target * values).all()) and bool((passes > target * values).any())
    return spectrum, not (spectrum.meets_target or hopeless)


def _eigh(theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Eigenvalues, clamped at zero, and eigenvectors of Θ by LAPACK, and a bound of the
    eigenvalues' error.

    With R = ΘV - VΛ every λ_i errs by at most ‖R‖₂ / σ_min(V) (Kahan 1967; Cao, Xie, Li 1996),
    whatever the solver did. The computed R has a rounding error of about u √(N/3) ‖Θ‖_F, by the
    model in `ntk_sweep.kernel.centred_passes`, here with a safety factor of four.
    """
    values, vectors = torch.linalg.eigh(theta)
    unit = torch.finfo(torch.float64).eps / 2
    residual = torch.linalg.matrix_norm(theta @ vectors - vectors * values)
    rounding = 4 * unit * ((len(theta) / 3) ** 0.5 + 1) * torch.linalg.matrix_norm(theta)
    # σ_min(V) ≥ 0.99: LAPACK's vectors are orthonormal to rounding
    return values.clamp(min=0), vectors, (residual + rounding) / 0.99
