"""The quadratic form vᵀΘ⁻¹v of a kernel, with a bound of its error.

docs/theory/numerics.md derives the bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.centred_kernel import CentredKernel
from ntk_sweep.kernel.pass_errors import PassErrors
from ntk_sweep.numerics.double_double import (
    UNIT,
    DoubleDouble,
    add,
    add_plain,
    from_float64,
    two_prod,
)
from ntk_sweep.numerics.sliced_products import (
    Sliced,
    matmul,
    powers,
    sliced,
)
from ntk_sweep.spectrum.methods import CERTIFIED
from ntk_sweep.spectrum.spectrum import Spectrum, kernel_spectrum

MAX_STEPS = 8
"""Of iterative refinement. One or two are enough where eigenvalues meet their target; more only
where λ_min is barely resolved."""

NEGLIGIBLE = 1e-12
"""What refinement may leave of the form, relatively; small beside a target of 1e-9."""

PRODUCT_ORDERS = 2
"""Orders of the products with Θ in float64: their error is far below that of Θ itself."""

BLOCK_ROWS = 512
"""Rows of Θ that are multiplied at once, lest their slices need more memory than the eigenvalues
did."""

SLACK = 1.001
"""Covers the rounding of the norms in the bound."""

_UNIT = torch.finfo(torch.float64).eps / 2


class BoundedValue(NamedTuple):
    """A number with a bound of its absolute error; NaN both where it is not known.

    Attributes:
        value: The number.
        error: The bound.
    """

    value: float
    error: float


UNKNOWN = BoundedValue(math.nan, math.nan)


def inverse_form(kernel: CentredKernel, spectrum: Spectrum) -> InverseForm:
    """Prepares vᵀΘ⁻¹v of a kernel for any v.

    Θ is taken as accurately as the eigenvalues were: in double-double only where they needed it.
    The jacobian method knows no eigenvectors and the certified one another kernel, as do passes in
    double-double where the kernel knows no network: then the kernel's own spectrum is computed.

    Args:
        kernel: The kernel.
        spectrum: Its eigenvalues, from any method.

    Example:
        >>> from ntk_sweep.kernel.centred_kernel import centred_kernel
        >>> from ntk_sweep.kernel.centred_passes import centred_passes
        >>> from ntk_sweep.network.fully_connected import Network
        >>> from ntk_sweep.spectrum.spectrum import kernel_spectrum
        >>> network = Network.initialise(4, 50, 3, "sigmoid", "thesis", seed=0)
        >>> kernel = centred_kernel(centred_passes(network, torch.eye(4, dtype=torch.float64)))
        >>> form = inverse_form(kernel, kernel_spectrum(kernel))
        >>> v = torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
        >>> value, error = form(v)
        >>> error < 1e-9 * value, abs(value - float(v @ torch.linalg.solve(kernel.theta, v))) < 1e-9
        (True, True)
    """
    foreign = spectrum.extended and kernel.extended is None
    if spectrum.eigenvectors is None or spectrum.method == CERTIFIED or foreign:
        method = "eigh" if kernel.passes is None else "auto"
        spectrum = kernel_spectrum(kernel, method, spectrum.target)
    if spectrum.extended:
        assert kernel.extended is not None
        kernel = kernel.extended
    assert spectrum.eigenvectors is not None
    orders = spectrum.orders
    if orders is not None and bool(spectrum.resolved[0]):
        theta, products = kernel.double_double(orders.kernel), orders.products
        error = kernel.double_double_error(orders.kernel)
    else:
        zeros = kernel.theta.new_zeros(()).expand_as(kernel.theta)
        theta, products = DoubleDouble(kernel.theta, zeros), PRODUCT_ORDERS
        error = kernel.error
    return InverseForm(
        theta=theta,
        theta_error=error,
        pass_errors=kernel.pass_errors,
        eigenvalues=spectrum.eigenvalues,
        vectors=spectrum.eigenvectors,
        lower=float(spectrum.eigenvalues[0] - spectrum.errors[0]),
        orders=products,
    )


@dataclass(frozen=True)
class _Solved:
    """An approximate solution x of Θx = v. ‖.‖_Θ is the norm of x with ‖x‖_Θ² = xᵀΘx.

    Attributes:
        x: The solution.
        value: 2xᵀv - xᵀΘx, which falls short of vᵀΘ⁻¹v by `defect`² at most.
        error: Bound of its error, that of the kernel's rounding included.
        defect: Bound of ‖x - Θ⁻¹v‖_Θ.
    """

    x: DoubleDouble
    value: float
    error: float
    defect: float

    @property
    def greatest(self) -> float:
        """An upper bound of vᵀΘ⁻¹v for the kernel of the computed passes."""
        return max(self.value, 0.0) + self.error + self.defect**2


@dataclass(frozen=True)
class InverseForm:
    """v ↦ vᵀΘ⁻¹v; from `inverse_form`.

    Attributes:
        theta: Θ, on the CPU.
        theta_error: Bound of ‖Θ - Θ(passes)‖_F.
        pass_errors: The errors of the passes.
        eigenvalues: Ascending, (N,).
        vectors: Approximate eigenvectors in the columns, (N, N).
        lower: A lower bound of λ_min; not positive where that is unresolved.
        orders: Of products with Θ, as in `ntk_sweep.numerics.sliced_products.matmul`.
    """

    theta: DoubleDouble
    theta_error: float
    pass_errors: PassErrors
    eigenvalues: Float[Tensor, " N"]
    vectors: Float[Tensor, "N N"]
    lower: float
    orders: int

    def __call__(self, vector: Float[Tensor, " N"]) -> BoundedValue:
        """The form of a v taken as exact, (N,), float64 on the CPU.

        NaN where λ_min is unresolved, v is not finite, or the result overflows.
        """
        if not (self.lower > 0 and bool(torch.isfinite(vector).all())):
            return UNKNOWN
        # exact, and squares cannot overflow within
        scale = powers(vector[None, :]).item()
        solved, gain = self._solve(vector / scale), self._gain
        if solved is None or gain is None or gain >= 1:
            return UNKNOWN
        size, move = solved.greatest**0.5 + solved.defect, self._move(solved.x)
        missing = (solved.defect + (1 + gain) * move + gain * size) / (1 - gain)
        error = SLACK * (solved.error + 2 * size * move + move**2 + missing**2)
        value, error = solved.value * scale * scale, error * scale * scale
        return BoundedValue(value, error) if math.isfinite(value + error) else UNKNOWN

    @cached_property
    def _blocks(self) -> list[DoubleDouble] | list[Sliced]:
        """Some rows of Θ at a time; sliced once where that takes little memory."""
        if len(self.vectors) <= BLOCK_ROWS:
            return [sliced(self.theta, self.orders)]
        blocks = zip(*(part.split(BLOCK_ROWS) for part in self.theta), strict=True)
        return [DoubleDouble(*block) for block in blocks]

    @cached_property
    def _gain(self) -> float | None:
        """Bound of ‖Θ^(-½)(1eᵀ + F)‖."""
        solved = self._solve(torch.ones_like(self.eigenvalues))
        if solved is None:
            return None
        rows = float(self.pass_errors.rows.norm()) / self.lower**0.5
        return float(self.pass_errors.shared) * solved.greatest**0.5 + rows

    def _move(self, x: DoubleDouble) -> float:
        """Bound of ‖(1eᵀ + F)ᵀx‖."""
        # to a unit of rounding, since the sum may be much smaller than its terms
        total = abs(math.fsum(torch.cat(x).tolist()))
        rows = float(self.pass_errors.rows @ x.hi.abs())
        bound = float(self.pass_errors.shared) * total + rows
        covariance = self.pass_errors.covariance
        if covariance is not None:
            rounding = (
                len(x.hi) * _UNIT * float(torch.linalg.matrix_norm(covariance) * (x.hi @ x.hi))
            )
            bound = min(bound, (max(float(x.hi @ covariance @ x.hi), 0.0) + rounding) ** 0.5)
        return bound

    def _solve(self, v: Float[Tensor, " N"]) -> _Solved | None:
        """Iterative refinement, the best of all steps; None if numbers overflow."""
        x, best = from_float64(torch.zeros_like(v)), None
        correction = v
        for _ in range(MAX_STEPS):
            x = add_plain(x, self.vectors @ (self.vectors.T @ correction / self.eigenvalues))
            correction, error = self._residual(x, v)
            solved = self._assessed(x, v, correction, error)
            if solved is None or (best is not None and solved.defect >= best.defect):
                break
            best = solved
            if best.defect**2 <= NEGLIGIBLE * best.value:
                break
        return best

    def _residual(
        self, x: DoubleDouble, v: Float[Tensor, " N"]
    ) -> tuple[Float[Tensor, " N"], float]:
        """The residual v - Θx rounded to float64, and a bound of its error."""
        columns = torch.stack(x, dim=1)
        parts = [matmul(block, columns, self.orders) for block in self._blocks]
        high = torch.cat([part.hi for part, _ in parts])
        low = torch.cat([part.lo for part, _ in parts])
        product = add(DoubleDouble(high[:, 0], low[:, 0]), DoubleDouble(high[:, 1], low[:, 1]))
        difference = add_plain(DoubleDouble(-product.hi, -product.lo), v)
        residual = difference.hi + difference.lo
        errors = math.hypot(*(error.item() for _, error in parts))
        moduli = float(high.norm() + v.norm())
        # of two columns added up; of two sums; of the residual
        return residual, 1.5 * errors + 8 * UNIT * moduli + 2 * _UNIT * float(residual.norm())

    def _assessed(
        self, x: DoubleDouble, v: Float[Tensor, " N"], residual: Float[Tensor, " N"], error: float
    ) -> _Solved | None:
        terms = torch.cat((*two_prod(x.hi, v), *two_prod(x.lo, v), x.hi * residual))
        if not torch.isfinite(terms).all():
            return None
        # xᵀv to a unit of rounding: it may be much smaller than |x|ᵀ|v|
        value = math.fsum(terms.tolist())
        length, rest = float(x.hi.norm()) * SLACK, float(residual.norm())
        off = error + self.theta_error * length
        rounding = 2 * _UNIT * abs(value) + 2 * _UNIT * length * rest
        defect = SLACK * (rest + off) / self.lower**0.5
        return _Solved(x, value, off * length + rounding, defect)
