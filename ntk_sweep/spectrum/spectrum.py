"""Eigenvalues of the empirical NTK, each with an error bound."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ntk_sweep.kernel.centred_kernel import CentredKernel, centred_kernel
from ntk_sweep.kernel.centred_passes import centred_passes
from ntk_sweep.kernel.overflow import squares_overflow
from ntk_sweep.kernel.pass_errors import ROOT_TWO, SAFETY, pass_errors, spread_error
from ntk_sweep.network.fully_connected import Inputs, Network
from ntk_sweep.numerics.graded_eigenvalues import graded_spectrum
from ntk_sweep.numerics.tensors import all_finite, overflow
from ntk_sweep.numerics.thresholds import REFINED_SAMPLES, TILE_ROWS
from ntk_sweep.spectrum.jacobian_svd import jacobian_spectrum
from ntk_sweep.spectrum.methods import CERTIFIED, METHODS
from ntk_sweep.spectrum.perturbation import eigenvalue_errors


class Orders(NamedTuple):
    """How many times products are taken some 21 bits beyond float64.

    Attributes:
        kernel: Those of the kernel (`ntk_sweep.numerics.gram_matrices.gram`).
        products: Those of the residual of its eigenvectors
            (`ntk_sweep.numerics.graded_eigenvalues`).
    """

    kernel: int
    products: int


ORDERS = {"compensated": Orders(1, 2), "double-double": Orders(2, 3)}
"""The second reaches 1e-31 λ_max; the first costs half as much and is enough for condition numbers
up to about 1e9."""

CANDIDATES = (
    ("compensated", Orders(0, 2)),
    ("compensated", ORDERS["compensated"]),
    ("double-double", Orders(1, 3)),
    ("double-double", ORDERS["double-double"]),
)
"""What `auto` tries, from the cheapest on. Rows around a centre that are short beside it need few
orders."""

REFINED_ANGLE = 1e-13
"""What an eigenvector of a refined method may have of another one: the rounding of a product of
float64 matrices, and the square of `ntk_sweep.numerics.congruence.SMALL_ANGLE`."""

TARGET = 1e-9
"""Relative error asked of every eigenvalue: far below the spread between seeds (0.05 and more), and
within reach of the bounds of all but a few networks (`python -m benchmarks.numerics.accuracy`)."""


VANISHING = 1e-120
"""The trace below which squares of errors in double-double, 1e-31 of it, underflow: LAPACK's
eigenvalues are taken, whatever the method."""


@dataclass(frozen=True)
class Spectrum:
    """All eigenvalues of a kernel.

    Attributes:
        eigenvalues: Ascending, (N,), float64, none negative.
        errors: A bound of the absolute error of each eigenvalue, (N,), float64.
        method: How they were obtained: `CERTIFIED`, or one of `METHODS` but "auto".
        target: The relative error that was asked for.
        eigenvectors: Of the computed kernel, in the columns, (N, N); None for the jacobian method.
            Good to rounding for eigenvalues that are well apart, such as the leading ones; those of
            close or unresolved eigenvalues are arbitrary rotations.
        extended: Whether the passes are those in double-double
            (`ntk_sweep.kernel.extended_passes`).
        orders: Of the kernel and its solver; None where Θ in float64 was enough.
    """

    eigenvalues: Float[Tensor, " N"]
    errors: Float[Tensor, " N"]
    method: str
    target: float = TARGET
    eigenvectors: Float[Tensor, "N N"] | None = field(default=None, repr=False)
    extended: bool = False
    orders: Orders | None = field(default=None, repr=False)

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
    | eigh | about ε λ_max; 50 ε λ_max next to others | 0.2 |
    | compensated | about 1e-15 λ_i, and 1e-21 λ_max | 0.3 |
    | double-double | about 1e-15 λ_i, and 1e-31 λ_max | 0.4 |
    | jacobian | about ε √(N λ_max λ_i) | 2 |
    | certified | ε λ_i / 2, passes included | 80 |

    `auto` takes the first of the upper three whose bound meets the target, the latter two with
    fewer orders of the kernel (`CANDIDATES`) where these suffice, and eigh for more than
    `REFINED_SAMPLES` inputs. Where double-double misses it, and `auto` with a float64 network, they
    repeat the passes in double-double, in fifteen to thirty times as long, for up to
    `EXTENDED_ACTIVATIONS` numbers a^l. jacobian is an independent check. certified takes up to 500
    inputs and needs python-flint; its bounds are theorems. docs/theory/numerics.md derives the
    bounds.

    Args:
        network: The network, at its present weights.
        x: N ≥ 1 inputs: a NumPy array, lists, or a tensor of the network's dtype and on its device.
        method: One of `METHODS`, or `CERTIFIED`.
        target: Relative error that `auto` asks of every eigenvalue; `Spectrum.meets_target` says
            whether it was reached.

    Raises:
        ValueError: The method is unknown, `x` does not fit the network, is empty or not finite, or
            the kernel overflows; or certified does not serve it.
        ModuleNotFoundError: certified without python-flint.

    Example:
        >>> import numpy as np
        >>> network = Network.initialise(4, 50, 3, "sigmoid", "thesis", seed=0)
        >>> spectrum = ntk_spectrum(network, np.eye(4))
        >>> spectrum.eigenvalues.shape, spectrum.method, spectrum.meets_target
        (torch.Size([4]), 'eigh', True)
        >>> bool((spectrum.errors < 1e-9 * spectrum.eigenvalues).all())
        True
    """
    if method not in (*METHODS, CERTIFIED):
        raise ValueError(
            f"unknown method {method!r}: choose one of {', '.join((*METHODS, CERTIFIED))}"
        )
    x = network.as_inputs(x)
    if method == CERTIFIED:
        # few spectra need it, and it loads sparse matrices and python-flint
        from ntk_sweep.spectrum.certified import certified_spectrum

        values, errors, vectors = certified_spectrum(network, x)
        return Spectrum(values, errors, CERTIFIED, target, vectors)
    if method == "jacobian":
        return _jacobian(network, x, target)
    refinable = method in ORDERS or (method == "auto" and len(x) <= REFINED_SAMPLES)
    passes = centred_passes(network, x)
    kernel = centred_kernel(passes, refinable, network, asked_of_float64(method, target))
    return kernel_spectrum(kernel, method, target)


def asked_of_float64(method: str, target: float) -> float:
    """The relative error with which Θ in float64 is enough: only `auto` leaves the choice."""
    return target if method == "auto" else 0.0


def _jacobian(network: Network, x: Float[Tensor, "N n_in"], target: float) -> Spectrum:
    """By the jacobian method, with the model of rounding for plain passes in float64."""
    weights, biases = [w.double() for w in network.weights], [b.double() for b in network.biases]
    passes = centred_passes(network.with_parameters(weights, biases), x.double(), plain=True)
    error = float(pass_errors(passes).rows.norm())
    values, errors = jacobian_spectrum(network, x, error)
    if not all_finite(errors):
        raise overflow("the spectrum", "the squares of its error bounds", torch.float64)
    return Spectrum(values, errors, "jacobian", target)


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
        last = method == "eigh" or vanishing or len(kernel.theta) > REFINED_SAMPLES
        solution = _eigh(kernel, None if last else target)
        if last or solution.within(target):
            spectrum, improvable = _with_pass_errors(kernel, solution, "eigh", target)
            if last or not improvable:
                return spectrum if last else _extended(kernel, spectrum, method)
        vectors, least = solution.vectors, float(solution.eigenvalues[0] - solution.errors[0])
    candidates = CANDIDATES if method == "auto" else [(method, ORDERS[method])]
    for name, orders in candidates:
        final = (name, orders) == candidates[-1]
        if least is not None and not final and not _hopeful(kernel, orders, target, least):
            continue
        solution = _refined(kernel, orders, vectors)
        if not final and not solution.within(target):
            continue
        spectrum, improvable = _with_pass_errors(kernel, solution, name, target)
        spectrum = replace(spectrum, orders=orders)
        if not improvable:
            break
    return spectrum if method == "compensated" else _extended(kernel, spectrum, method)


def _hopeful(kernel: CentredKernel, orders: Orders, target: float, least: float) -> bool:
    """Whether the target may be met: the error of the kernel alone may leave no hope.

    Args:
        kernel: The kernel; what is known of it in more orders is not computed in fewer.
        orders: Those in question.
        target: The relative error that is asked for.
        least: A lower bound of λ_min, not positive where float64 does not resolve it.
    """
    if orders.kernel < max(kernel.known, default=0):
        return False
    if least <= 0:
        return orders.products == ORDERS["double-double"].products
    entries = kernel.double_double_errors(orders.kernel).entries
    return spread_error(entries) <= target * least


def _extended(kernel: CentredKernel, spectrum: Spectrum, method: str) -> Spectrum:
    """The spectrum by passes in double-double, if it misses the target and there are some.

    `auto` leaves float32 its speed: nearly all spectra of float32 miss the target.
    """
    if spectrum.meets_target or (method == "auto" and kernel.single_precision):
        return spectrum
    if (extended := kernel.extended) is None:
        return spectrum
    try:
        again = kernel_spectrum(extended, "double-double", spectrum.target)
    except ValueError:  # numbers that float64 holds may overflow in double-double
        return spectrum
    return replace(again, extended=True)


@dataclass(frozen=True)
class _Solution:
    """Eigenvalues of the computed kernel, and eigenvectors in the columns.

    Attributes:
        eigenvalues: Ascending, none negative.
        errors: Bounds of the errors of the solver and of the kernel's rounding together.
        vectors: Approximate eigenvectors.
        sines: As in `ntk_sweep.spectrum.perturbation.eigenvalue_errors`.
    """

    eigenvalues: Float[Tensor, " N"]
    errors: Float[Tensor, " N"]
    vectors: Float[Tensor, "N N"]
    sines: Float[Tensor, "N N"] | float

    def within(self, target: float) -> bool:
        """Whether every bound is within `target`, relatively."""
        return bool((self.errors <= target * self.eigenvalues).all())


def _with_pass_errors(
    kernel: CentredKernel, solution: _Solution, method: str, target: float
) -> tuple[Spectrum, bool]:
    """The spectrum, and whether a more accurate method may meet the target.

    It may not where this one meets it, or where the errors of the passes alone miss it.
    """
    values, own = solution.eigenvalues, solution.errors
    passes = eigenvalue_errors(kernel.pass_errors, values, own, solution.vectors, solution.sines)
    if not all_finite(own + passes):
        raise overflow("the spectrum", "the squares of its error bounds", torch.float64)
    spectrum = Spectrum(values, own + passes, method, target, solution.vectors)
    hopeless = solution.within(target) and bool((passes > target * values).any())
    return spectrum, not (spectrum.meets_target or hopeless)


def _refined(
    kernel: CentredKernel,
    orders: Orders,
    vectors: Float[Tensor, "N N"] | None,
) -> _Solution:
    """The eigenvalues of Θ in double-double, from approximate eigenvectors if there are any."""
    kernel_error = kernel.double_double_errors(orders.kernel)
    theta = kernel.double_double(orders.kernel)
    if not all(map(all_finite, theta)):
        raise overflow("the kernel", "its entries in double-double", torch.float64)
    graded = graded_spectrum(theta, orders.products, vectors)
    single = SAFETY * ROOT_TWO * ((graded.vectors**2).T @ kernel_error.entries)
    own = (1 + graded.relative) * graded.relative * graded.eigenvalues
    whole = kernel_error.norm + graded.absolute
    errors = own + _first_order(graded.eigenvalues, single + graded.single, whole)
    return _Solution(graded.eigenvalues, errors, graded.vectors, REFINED_ANGLE)


def _eigh(kernel: CentredKernel, target: float | None = None) -> _Solution:
    """Eigenvalues of Θ by LAPACK, clamped at zero.

    With R = ΘV - VΛ every λ_i errs by at most ‖R‖₂ / σ_min(V) (Kahan 1967; Cao, Xie, Li 1996),
    whatever the solver did. The computed R has a rounding error of about u √(N/3) ‖Θ‖_F, by the
    model in `ntk_sweep.kernel.rounding`, here with a safety factor of four.

    An eigenvalue that is well apart errs by the diagonal of what is left, |v_iᵀr_i|, and a term of
    second order.

    Args:
        kernel: The kernel.
        target: A relative error; where it is out of reach the bounds need not be tight.
    """
    theta = kernel.theta
    values, vectors = torch.linalg.eigh(theta)
    unit, size = torch.finfo(torch.float64).eps / 2, len(theta)
    residual = (theta @ vectors).sub_(vectors * values)
    length = _norm(theta)
    rounding = SAFETY * unit * ((size / 3) ** 0.5 + 1) * length
    # σ_min(V) ≥ 0.99: LAPACK's vectors are orthonormal to rounding
    whole = (_norm(residual) + rounding) / 0.99 + kernel.error
    errors, sines = whole.expand(size).clone(), 0.0
    reachable = target is None or float(values[0]) * target > unit / 8 * float(values[-1])
    reachable = reachable and float(theta.trace()) >= VANISHING
    # for more inputs its matrices would be too many
    if kernel.entry_errors is not None and reachable and size <= TILE_ROWS:
        sines = (whole / _gaps(values)).clamp(max=1)
        own = _diagonal_rounding(theta, values, vectors) + ROOT_TWO * (
            (vectors**2).T @ kernel.entry_errors
        )
        first = (vectors * residual).sum(dim=0).abs() + SAFETY * own
        errors = _first_order(values, first + size * unit * whole, whole)
    return _Solution(values.clamp(min=0), errors, vectors, sines)


def _norm(matrix: Float[Tensor, "N N"]) -> Float[Tensor, ""]:
    """The Frobenius norm, also where squares of the entries underflow."""
    largest = matrix.abs().max().clamp(min=torch.finfo(torch.float64).tiny)
    return largest * torch.linalg.matrix_norm(matrix / largest)


def _first_order(
    values: Float[Tensor, " N"], single: Float[Tensor, " N"], whole: Float[Tensor, ""]
) -> Float[Tensor, " N"]:
    """Bounds of the errors of eigenvalues whose matrix errs by G.

    An eigenvalue errs by |v_iᵀGv_i| and, where it is well apart, by ‖G‖²/gap (Li and Li 2005); by
    ‖G‖ at most.

    Args:
        values: The eigenvalues, ascending.
        single: Bounds of |v_iᵀGv_i|.
        whole: A bound of ‖G‖.
    """
    ends = values.new_full((1,), torch.inf)
    steps = torch.cat((ends, values.diff(), ends))
    nearest = steps[1:].minimum(steps[:-1]) - 2 * whole
    bound = (single + whole**2 / nearest).where(nearest > 2 * whole, whole)
    return bound.minimum(whole)


def _gaps(values: Float[Tensor, " N"]) -> Float[Tensor, "N N"]:
    """|λ_i - λ_j|, infinite on the diagonal."""
    return (values[:, None] - values).abs().fill_diagonal_(torch.inf)


def _diagonal_rounding(
    theta: Float[Tensor, "N N"], values: Float[Tensor, " N"], vectors: Float[Tensor, "N N"]
) -> Float[Tensor, " N"]:
    """Root mean square of the rounding error of v_iᵀ(Θv_i - λ_i v_i).

    By `ntk_sweep.kernel.rounding` an entry s = λ_i v_mi of Θv_i errs by u² (N s²/3 + N Q/6 + 2s²),
    Q = Σ_k Θ_mk² v_ki², in mean square, and entries independently. The length of v_i errs by √N u.
    """
    unit, size = torch.finfo(torch.float64).eps / 2, len(values)
    weights = vectors**2
    spread = size / 6 * (weights * (theta**2 @ weights)).sum(dim=0)
    own = (size / 3 + 2) * values**2 * (weights**2).sum(dim=0)
    return unit * ((spread + own).sqrt() + size**0.5 * values.abs())
