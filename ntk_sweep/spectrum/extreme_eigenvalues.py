"""The smallest and the greatest eigenvalue of the empirical NTK, without the rest of the spectrum.

For so many inputs that the whole spectrum would take too long.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from ntk_sweep.kernel.centred_kernel import CentredKernel, centred_kernel
from ntk_sweep.kernel.centred_passes import centred_passes
from ntk_sweep.kernel.overflow import squares_overflow
from ntk_sweep.network.fully_connected import Inputs, Network
from ntk_sweep.numerics.tensors import all_finite, overflow
from ntk_sweep.spectrum.perturbation import perturbation_bound

LEADING = 10
"""Leading eigenvectors that are computed: as many as the diagnostics use."""

SMALLEST = 20
"""Inputs up to which Lanczos vectors would span the whole space, and all eigenvectors are computed
instead."""

UNDERFLOW = 1e-290
"""What it costs a factorisation, for each input."""

ATTEMPTS = 20
"""Of a shift or a margin, each larger than the last, before it is given up; one is enough where
Lanczos found the right vectors."""


@dataclass(frozen=True)
class ExtremeEigenvalues:
    """The two ends of a spectrum.

    Attributes:
        lambda_min: The smallest eigenvalue, not negative.
        lambda_min_error: A bound of its absolute error.
        lambda_max: The greatest eigenvalue.
        lambda_max_error: A bound of its absolute error.
        leading: Eigenvectors of the `LEADING` greatest eigenvalues in the columns, ascending, (N,
            LEADING).
    """

    lambda_min: float
    lambda_min_error: float
    lambda_max: float
    lambda_max_error: float
    leading: Float[Tensor, "N _"] = field(repr=False)

    @property
    def resolved(self) -> bool:
        """Whether λ_min exceeds its error bound; otherwise it may be rounding noise."""
        return self.lambda_min > self.lambda_min_error


def extreme_eigenvalues(network: Network, x: Inputs) -> ExtremeEigenvalues:
    """λ_min and λ_max of the empirical NTK on `x`, in float64; see `kernel_extreme_eigenvalues`.

    Args:
        network: The network, at its present weights.
        x: N ≥ 1 inputs: a NumPy array, lists, or a tensor of the network's dtype and on its device.

    Raises:
        ValueError: `x` does not fit the network, is empty or not finite, or the kernel overflows.

    Example:
        >>> network = Network.initialise(4, 50, 3, "relu", "thesis", seed=0)
        >>> ends = extreme_eigenvalues(network, torch.eye(4, dtype=torch.float64))
        >>> 0 < ends.lambda_min < ends.lambda_max, ends.resolved
        (True, True)
    """
    kernel = centred_kernel(centred_passes(network, network.as_inputs(x)), refinable=False)
    return kernel_extreme_eigenvalues(kernel)


def kernel_extreme_eigenvalues(kernel: CentredKernel) -> ExtremeEigenvalues:
    """λ_min and λ_max of a kernel, from three Cholesky factorisations and some 50 products.

    That is N³ multiply-adds in all. The greatest eigenvalues come from Lanczos's method on Θ, the
    smallest from the same on (Θ + sI)⁻¹ by a Cholesky factor. That no eigenvalue lies beyond them
    is then shown by two more factorisations: if Θ - μI has a Cholesky factor, all its eigenvalues
    are positive, up to the rounding of the factorisation; likewise μI - Θ (Sylvester's law of
    inertia).

    A factorisation errs by at most (N + 1) u tr A (Higham 2002, theorem 10.3, with ‖|L||Lᵀ|‖ ≤ tr
    A); taken as independent, its roundings leave √N in place of N + 1 (Higham and Mary 2019), here
    with a safety factor of four.

    Args:
        kernel: From `ntk_sweep.kernel.centred_kernel.centred_kernel`.

    Raises:
        ValueError: Θ is not positive semi-definite up to rounding, or its squares or an error bound
            overflow.
    """
    if (error := squares_overflow(kernel.theta, kernel.layer_traces)) is not None:
        raise error
    theta, size = kernel.theta, len(kernel.theta)
    rounding = 4 * size**0.5 * torch.finfo(torch.float64).eps / 2 * theta.trace().item()
    rounding += size * UNDERFLOW
    shift, lower = _factor(theta, rounding)
    leading, last = _vectors(theta, lower)
    greatest, own_greatest = _certified(theta, leading[:, -1], rounding, sign=-1)
    smallest, own_smallest = _certified(theta, last, rounding, sign=1)

    own = torch.tensor([own_smallest, own_greatest], dtype=torch.float64) + kernel.error
    ends = torch.tensor([max(smallest, 0.0), greatest], dtype=torch.float64)
    inverse_norm = None
    if ends[0] > 2 * own[0]:
        # the factor is of Θ + sI; the shift and an error of Θ change 1ᵀΘ⁻¹1 by a factor at most
        shifted = float(((ends[0] + shift) / (ends[0] - own[0])) ** 0.5)
        inverse_norm = _inverse_norm_of_ones(lower) * shifted
    errors = own + perturbation_bound(kernel.pass_errors, ends, own, inverse_norm)
    if not all_finite(errors):
        raise overflow("the spectrum", "the squares of its error bounds", torch.float64)
    return ExtremeEigenvalues(
        lambda_min=float(ends[0]),
        lambda_min_error=float(errors[0]),
        lambda_max=float(ends[1]),
        lambda_max_error=float(errors[1]),
        leading=leading,
    )


def _inverse_norm_of_ones(lower: Float[Tensor, "N N"]) -> float:
    """(1ᵀ(LLᵀ)⁻¹1)^½."""
    ones = torch.ones(len(lower), 1, dtype=torch.float64)
    return torch.linalg.solve_triangular(lower, ones, upper=False).norm().item()


def _vectors(
    theta: Float[Tensor, "N N"], lower: Float[Tensor, "N N"]
) -> tuple[Float[Tensor, "N _"], Float[Tensor, " N"]]:
    """Eigenvectors of the greatest eigenvalues, ascending, and of the smallest one."""
    size = len(theta)
    if size <= SMALLEST:
        vectors = torch.linalg.eigh(theta).eigenvectors
        return vectors[:, -LEADING:], vectors[:, 0]
    start = np.random.default_rng(0).standard_normal(size)
    product = LinearOperator(
        (size, size),
        matvec=lambda v: (theta @ torch.from_numpy(v.reshape(-1))).numpy(),
        dtype=float,
    )
    _, leading = eigsh(product, k=LEADING, which="LA", v0=start)
    inverse = LinearOperator((size, size), matvec=lambda v: _solve(lower, v), dtype=float)
    _, last = eigsh(inverse, k=1, which="LM", v0=start)
    return torch.from_numpy(leading), torch.from_numpy(last[:, 0])


def _factor(theta: Float[Tensor, "N N"], rounding: float) -> tuple[float, Float[Tensor, "N N"]]:
    """The smallest s of 0, ρ, 2ρ, … for which Θ + sI has a Cholesky factor, and that factor."""
    shift = 0.0
    for _ in range(ATTEMPTS):
        lower = _cholesky(theta, shift, 1)
        if lower is not None:
            return shift, lower
        shift = max(2 * shift, rounding)
    raise ValueError("the kernel is not positive semi-definite up to rounding")


def _certified(
    theta: Float[Tensor, "N N"], vector: Float[Tensor, " N"], rounding: float, sign: int
) -> tuple[float, float]:
    """The eigenvalue at one end of the spectrum, from its vector, and a bound of its error.

    The lower end has `sign` 1, the upper one -1.
    """
    product = theta @ vector
    value = (vector @ product / (vector @ vector)).item()
    margin = max((product - value * vector).norm().item(), rounding)
    for _ in range(ATTEMPTS):
        if _cholesky(theta, -sign * (value - sign * margin), sign) is not None:
            return value, margin + rounding
        margin *= 10
    raise ValueError(f"no bound was found for the eigenvalue near {value:g}")


def _cholesky(theta: Float[Tensor, "N N"], shift: float, sign: int) -> Float[Tensor, "N N"] | None:
    """The Cholesky factor of sign · Θ + shift · I; None if there is none."""
    matrix = theta.clone() if sign > 0 else -theta
    matrix.diagonal().add_(shift)
    lower, failed = torch.linalg.cholesky_ex(matrix)
    return None if failed else lower


def _solve(lower: Float[Tensor, "N N"], v: np.ndarray) -> np.ndarray:
    return torch.cholesky_solve(torch.from_numpy(v.reshape(-1, 1)), lower).numpy()[:, 0]
