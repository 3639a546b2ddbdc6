"""Solutions of Θx = v for several v, each with a bound of its residual.

docs/theory/regression.md derives the bounds. Dimension letters in the annotations: N inputs, k
right-hand sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.numerics.double_double import (
    UNIT,
    DoubleDouble,
    add,
    add_plain,
    from_float64,
)
from ntk_sweep.numerics.graded_eigenvalues import graded_spectrum
from ntk_sweep.numerics.sliced_products import (
    matmul,
    powers,
)
from ntk_sweep.numerics.thresholds import REFINED_SAMPLES

ORDERS = 3
"""Orders of the products with Θ in `ntk_sweep.numerics.sliced_products.matmul`: their error, about
1e-19 N ‖Θ‖ ‖x‖, is far below that of a kernel in float64."""

MAX_STEPS = 8
"""Of iterative refinement, as in `ntk_sweep.spectrum.inverse_form`."""

BLOCK_ROWS = 512
"""Rows of Θ that are multiplied at once, lest their slices need much memory."""

SLACK = 1.01
"""Covers the rounding of norms and of the bounds themselves."""

RESOLVED = 1e3
"""A λ_min that exceeds the error of LAPACK's solver by this factor needs no more accurate one."""

UNIT_OF_FLOAT64 = torch.finfo(torch.float64).eps / 2


def rounding(size: int) -> float:
    """Bound of the relative error of a product of matrices of `size` terms, in norms.

    Independent roundings add up to u √(N/3) (`ntk_sweep.kernel.rounding`), with a safety factor of
    four.
    """
    return 4 * UNIT_OF_FLOAT64 * ((size / 3) ** 0.5 + 1)


@dataclass(frozen=True)
class Solutions:
    """Approximate solutions x_j of Θx = v_j.

    Attributes:
        x: The solutions in the columns, (N, k).
        residuals: Bounds of ‖v_j - Θx_j‖ for the exact Θ.
        lower: A positive lower bound of λ_min(Θ).
    """

    x: DoubleDouble
    residuals: Float[Tensor, " k"]
    lower: float

    @cached_property
    def lengths(self) -> Float[Tensor, " k"]:
        """‖x_j‖."""
        return torch.linalg.vector_norm(self.x.hi, dim=0) * SLACK

    @property
    def exact_lengths(self) -> Float[Tensor, " k"]:
        """Bounds of ‖Θ⁻¹v_j‖."""
        return self.lengths + self.residuals / self.lower


@dataclass(frozen=True)
class KernelSolver:
    """A kernel with its eigen-decomposition.

    Attributes:
        theta: Θ, on the CPU, exactly symmetric.
        error: Bound of ‖Θ - exact‖₂.
        eigenvalues: Ascending, (N,), none negative.
        vectors: Approximate eigenvectors in the columns, (N, N).
        lower: A lower bound of λ_min of the exact kernel; not positive where that is unresolved.
    """

    theta: DoubleDouble
    error: float
    eigenvalues: Float[Tensor, " N"]
    vectors: Float[Tensor, "N N"]
    lower: float

    def solve(self, right: Float[Tensor, "N k"]) -> Solutions | None:
        """Iterative refinement of V Λ⁻¹ Vᵀ v; None where λ_min is unresolved."""
        if not self.lower > 0:
            return None
        scale = powers(right.mT)[:, 0]
        right = right / scale
        x = best = from_float64(torch.zeros_like(right))
        least = torch.full_like(scale, math.inf)
        correction = right
        for _ in range(MAX_STEPS):
            step = self.vectors @ (self.vectors.T @ correction / self.eigenvalues[:, None])
            x = add_plain(x, step)
            correction, rounded = self._residual(x, right)
            own = rounded + self.error * torch.linalg.vector_norm(x.hi, dim=0)
            rest = torch.linalg.vector_norm(correction, dim=0)
            better = (rest + own) < least
            if not better.any():
                break
            best = DoubleDouble(
                *(torch.where(better, new, old) for new, old in zip(x, best, strict=True))
            )
            least = torch.where(better, rest + own, least)
            if (rest <= own).all():
                break
        return Solutions(
            DoubleDouble(*(part * scale for part in best)), SLACK * least * scale, self.lower
        )

    def _residual(
        self, x: DoubleDouble, right: Float[Tensor, "N k"]
    ) -> tuple[Float[Tensor, "N k"], Float[Tensor, " k"]]:
        """The residuals v - Θx rounded to float64, and bounds of the norms of their errors."""
        # of like size, since the error of a product is bounded for all columns together
        scale = powers(x.hi.mT)[:, 0]
        product, error = multiplied(self.theta, DoubleDouble(x.hi / scale, x.lo / scale))
        product = DoubleDouble(product.hi * scale, product.lo * scale)
        difference = add_plain(DoubleDouble(-product.hi, -product.lo), right)
        residual = difference.hi + difference.lo
        norms = [torch.linalg.vector_norm(part, dim=0) for part in (product.hi, right, residual)]
        rounded = 8 * UNIT * (norms[0] + norms[1]) + 2 * UNIT_OF_FLOAT64 * norms[2]
        return residual, error * scale + rounded

    @cached_property
    def orthogonality(self) -> float:
        """Bound of ‖V - Q‖ for an orthonormal Q, products with V in float64 included."""
        size = len(self.vectors)
        identity = torch.eye(size, dtype=torch.float64)
        off = float(torch.linalg.matrix_norm(self.vectors.T @ self.vectors - identity))
        return SLACK * (off + rounding(size) * (size**0.5 + 1))

    @cached_property
    def distance(self) -> float:
        """Bound of ‖QΛQᵀ - Θ‖_F for that Q and the exact Θ."""
        size, spread = len(self.vectors), float(self.eigenvalues.norm())
        product = (self.vectors * self.eigenvalues) @ self.vectors.T
        parts = (
            float(torch.linalg.matrix_norm(product - self.theta.hi)),
            float(torch.linalg.matrix_norm(self.theta.lo)),
            (rounding(size) + 2 * self.orthogonality) * spread,
            size**0.5 * self.error,
        )
        return SLACK * sum(parts)


def kernel_solver(theta: DoubleDouble, error: float) -> KernelSolver:
    """Decomposes a kernel, in double-double where float64 does not resolve λ_min.

    Args:
        theta: Θ, on the CPU, exactly symmetric.
        error: Bound of ‖Θ - exact‖₂.

    Raises:
        ValueError: An eigenvalue is more negative than the errors make it.
    """
    values, vectors = torch.linalg.eigh(theta.hi)
    size = len(values)
    residual = torch.linalg.matrix_norm(theta.hi @ vectors - vectors * values)
    rounded = rounding(size) * torch.linalg.matrix_norm(theta.hi)
    off = float((residual + rounded) / 0.99 + torch.linalg.matrix_norm(theta.lo))
    if float(values[0]) < -(off + error):
        raise ValueError(
            f"an eigenvalue of the kernel is {float(values[0]):.3g}, more negative than its error "
            f"of {off + error:.2g} makes it, but a kernel has none below 0"
        )
    lower = float(values[0]) - off
    if lower < RESOLVED * off and size <= REFINED_SAMPLES:
        graded = graded_spectrum(theta, ORDERS, vectors)
        values, vectors = graded.eigenvalues, graded.vectors
        relative = (1 + graded.relative) * graded.relative
        lower = float((1 - relative) * values[0]) - graded.absolute
    return KernelSolver(theta, error, values.clamp(min=0), vectors, lower - error)


def multiplied(a: DoubleDouble, columns: DoubleDouble) -> tuple[DoubleDouble, float]:
    """A times some columns, and a bound of the error's Frobenius norm."""
    count = columns.hi.shape[1]
    both = torch.cat(columns, dim=1)
    blocks = zip(*(part.split(BLOCK_ROWS) for part in a), strict=True)
    parts = [matmul(DoubleDouble(*block), both, ORDERS) for block in blocks]
    high, low = (torch.cat([getattr(part, kind) for part, _ in parts]) for kind in ("hi", "lo"))
    halves = (DoubleDouble(high[:, s], low[:, s]) for s in (slice(count), slice(count, None)))
    return add(*halves), 1.5 * math.hypot(*(float(error) for _, error in parts))
