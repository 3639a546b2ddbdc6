"""What the program knows of an activation function.

The formulas of an entry use tensor methods with Python scalars only. Python scalars take the
precision of the tensor they meet. A constant made by ``torch.tensor(0.3)`` or ``torch.where(z > 0,
1.0, 0.01)`` is float32 and costs eight digits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from ntk_sweep.numerics.double_double import (
        DoubleDouble,
    )
    from ntk_sweep.numerics.gaussian_pairs import GaussianPairs

Differences = tuple["Tensor", "Tensor"]
"""(σ(z + d) - σ(z), σ'(z + d) - σ'(z))."""

DoubleDoublePair = tuple["DoubleDouble", "DoubleDouble"]
"""σ(z) and σ'(z) in double-double."""

ClosedDual = tuple["Tensor", "Tensor", "Tensor"]
"""E[σ(u)σ(v)], E[σ'(u)σ'(v)] and E[(σ(u) - σ(v))²], the last without cancellation for u ≈ v."""


class Module(NamedTuple):
    """A class of `torch.nn` by its name, and the option that changes the function, if there is one.

    Attributes:
        name: Of the class.
        option: Of its instances.
        value: Of the option, for σ as it is here.
    """

    name: str
    option: str | None = None
    value: Any = None


@dataclass(frozen=True)
class Activation:
    """An activation function σ and its derivative σ', elementwise, in their argument's dtype.

    Attributes:
        title: The name as written in tables and figures.
        function: z ↦ σ(z), analytic for z < 0 and for z > 0.
        derivative: z ↦ σ'(z), with a chosen value where σ has a kink.
        curvature: The largest |σ''| away from a kink.
        bend: (z, σ'(z)) ↦ a bound of |σ''(z)|, small for saturated units; None for `curvature`
            everywhere. Within 1/32 of z |σ''| exceeds it by a factor of 1.5 at most for |z| ≤ 6,
            of 5.5 in tails that do not underflow, on average over a step that long of 2.6: less
            than the safety factor of the passes, and errors of z are rarely so large.
        jump: How far σ' jumps at z = 0.
        curvature_jump: How far σ'' jumps there, of a σ without a kink: it decides how λ_min follows
            the width (docs/theory/scaling.md).
        differences: (z, d) ↦ (σ(z + d) - σ(z), σ'(z + d) - σ'(z)). The errors are a few ε (|σ(z +
            d) - σ(z)| + |σ'(z + d) - σ'(z)|) where plain subtraction leaves ε. None if there is no
            such formula: small eigenvalues then get wider error bounds.
        closed_dual: The dual activations in closed form, for Gaussian pairs of positive variance.
            None if none is known: the infinite-width kernel then uses quadrature
            (`ntk_sweep.numerics.gaussian_quadrature`).
        extended: z ↦ the even and the odd part of σ at z ≥ 0 in double-double, to an error of
            some units of 2⁻¹⁰⁴ (1 + |z|), of a σ that is analytic near the real line. None if
            there is no such formula: eigenvalues of infinite-width kernels below rounding in
            float64 are then unresolved.
        double_double: z ↦ (σ(z), σ'(z)) in double-double, to 8 units of 2⁻¹⁰² of their own
            terms and what 2⁻¹⁰² |z| more or less of z makes. None if there is no such formula:
            passes are then those of float64 only.
        analytic_width: Up to which |Im z| that σ is analytic; where it is entire, 3.
        together: (z, value, slope): puts σ(z) and σ'(z) into the latter two, in fewer operations
            than `function` and `derivative` take; None if there is no such formula. The error of
            σ' may be a few ε where that of `derivative` is a few ε σ'(z): enough for training, too
            much for a kernel of saturated units.
        module: The class of `torch.nn` that computes σ; None if there is none.
    """

    title: str
    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    curvature: float | Tensor
    jump: float | Tensor = 0.0
    curvature_jump: float = 0.0
    differences: Callable[[Tensor, Tensor], Differences] | None = None
    closed_dual: Callable[[GaussianPairs], ClosedDual] | None = None
    extended: Callable[[DoubleDouble], tuple[DoubleDouble, DoubleDouble]] | None = None
    double_double: Callable[[DoubleDouble], DoubleDoublePair] | None = None
    analytic_width: float = 0.0
    together: Callable[[Tensor, Tensor, Tensor], object] | None = None
    bend: Callable[[Tensor, Tensor], Tensor] | None = None
    module: Module | None = None

    def value_and_derivative(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """σ(z) and σ'(z) as cheaply as can be."""
        value, slope = z.new_empty(z.shape), z.new_empty(z.shape)
        self.evaluate(z, value, slope)
        return value, slope

    def evaluate(self, z: Tensor, value: Tensor, slope: Tensor) -> None:
        """Puts σ(z) and σ'(z) into the latter two, as cheaply as can be."""
        if self.together is None:
            value.copy_(self.function(z))
            slope.copy_(self.derivative(z))
        else:
            self.together(z, value, slope)

    @property
    def kinked(self) -> bool:
        """Whether σ' jumps at zero."""
        return not (isinstance(self.jump, float) and self.jump == 0.0)

    @property
    def piecewise_linear(self) -> bool:
        """Whether σ'' is zero away from a jump of σ'."""
        return isinstance(self.curvature, float) and self.curvature == 0


def with_long_steps(
    function: Callable[[Tensor], Tensor],
    derivative: Callable[[Tensor], Tensor],
    short: Callable[[Tensor, Tensor], Differences],
) -> Callable[[Tensor, Tensor], Differences]:
    """A difference formula for steps of any length.

    Formulas with a factor z lose what |z| exceeds the result by where a step leads back from far
    away. A step of more than 1 and |z|/4 needs no formula: plain subtraction errs by a few ε of the
    result.

    Args:
        function: σ.
        derivative: σ'.
        short: The formula for other steps.
    """

    def differences(z: Tensor, d: Tensor) -> Differences:
        steps = short(z, d)
        long = d.abs() > (0.25 * z.abs()).clamp(min=1)
        # asking costs less than computing both, but on a GPU it would wait
        if not long.is_cuda and not bool(long.any()):
            return steps
        shifted = z + d
        plain = function(shifted) - function(z), derivative(shifted) - derivative(z)
        return plain[0].where(long, steps[0]), plain[1].where(long, steps[1])

    return differences


def positive_difference(z: Tensor, d: Tensor) -> Tensor:
    """max(z + d, 0) - max(z, 0), without cancellation."""
    return d.maximum(-z) + z.clamp(max=0)


def negative_difference(z: Tensor, d: Tensor) -> Tensor:
    """min(z + d, 0) - min(z, 0), without cancellation."""
    return d.minimum(-z) + z.clamp(min=0)
