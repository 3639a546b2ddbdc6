"""What a fixed kernel predicts for inputs outside the training set, with bounds of the errors.

docs/theory/regression.md derives equations and bounds. Dimension letters in the annotations: N
training inputs, M test inputs, n_in features of an input.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ntk_sweep.kernel.centred_kernel import centred_kernel
from ntk_sweep.kernel.centred_passes import centred_passes
from ntk_sweep.network.fully_connected import Inputs, Network, OtherInputs
from ntk_sweep.numerics.double_double import (
    DoubleDouble,
    from_float64,
)
from ntk_sweep.numerics.sliced_products import powers
from ntk_sweep.numerics.tensors import as_tensor, as_vector, check_finite
from ntk_sweep.numerics.thresholds import REFINED_SAMPLES
from ntk_sweep.spectrum.inverse_form import InverseForm
from ntk_sweep.spectrum.jacobian_errors import JacobianErrors
from ntk_sweep.spectrum.kernel_solver import (
    SLACK,
    UNIT_OF_FLOAT64,
    KernelSolver,
    Solutions,
    kernel_solver,
    multiplied,
)

Vector = Shaped[Any, " N"] | Shaped[Any, "N 1"] | Sequence
"""A number a training input as users pass it: a tensor, a NumPy array, or a list."""

TestVector = Shaped[Any, " M"] | Shaped[Any, "M 1"] | Sequence
"""A number a test input, likewise."""

KERNEL_ORDERS = 2
"""Of the network's own kernel, as in `ntk_sweep.numerics.gram_matrices.gram`."""


@dataclass(frozen=True)
class Predictions:
    """Numbers with bounds of their errors.

    Attributes:
        values: The numbers, (M,), float64; NaN where nothing is known.
        errors: Bounds of their absolute errors, infinite where nothing is known.
    """

    values: Float[Tensor, " M"]
    errors: Float[Tensor, " M"]


class KernelRegression:
    """Predictions of a kernel that stays fixed: gradient flow, its limit, leave-one-out.

    Of the loss (1/N) Σ (y - f)² the gradient flow ends at time t with, for a test input x*,

        f_t(x*) = f_0(x*) + Θ(x*, X) Θ⁻¹ (I - exp(-2Θt/N)) (y - f_0(X)).

    For t → ∞ this is kernel regression. With the NNGP kernel and f_0 = 0 it is the posterior mean
    of a Gaussian process (Jacot et al. 2018, section 5; Lee et al. 2019; Lee et al.
    2018, section 2.4).

    `from_kernels` and `from_network` make one. Errors of the arguments `targets` and `outputs` do
    not count in the bounds.

    Example:
        >>> kernel = [[2.0, 1.0], [1.0, 2.0]]
        >>> regression = KernelRegression.from_kernels(kernel, cross=[[1.0, 1.0]])
        >>> regression.predictions([3.0, 3.0]).values.round(decimals=9)
        tensor([2.], dtype=torch.float64)
        >>> regression.predictions([3.0, 3.0], time=0.1).values
        tensor([0.5184], dtype=torch.float64)
        >>> regression.leave_one_out([3.0, 3.0]).values.round(decimals=9)
        tensor([1.5000, 1.5000], dtype=torch.float64)
    """

    def __init__(
        self,
        solver: KernelSolver,
        cross: DoubleDouble,
        cross_errors: Float[Tensor, " M"],
        passes: JacobianErrors | None = None,
    ) -> None:
        self._solver, self._cross, self._cross_errors = solver, cross, cross_errors
        self._passes = passes

    @classmethod
    def from_kernels(
        cls,
        kernel: Shaped[Any, "N N"] | Sequence,
        cross: Shaped[Any, "M N"] | Sequence | None = None,
        kernel_error: float = 0.0,
        cross_error: float = 0.0,
    ) -> KernelRegression:
        """From kernels such as those of `limit_kernels`.

        Args:
            kernel: Θ of the training inputs, float64: a tensor, an array, or lists.
            cross: Θ(x*, X) of M test inputs, likewise; None where only training inputs count.
            kernel_error: A bound of ‖Θ - exact‖₂, such as `LimitKernel.error_norm`; with 0 the
                kernel is taken as exact.
            cross_error: Likewise of Θ(x*, X).

        Raises:
            ValueError: Shapes do not fit, a kernel is not float64, not finite or not symmetric, or
                it has an eigenvalue more negative than its error makes it.
        """
        theta = as_tensor("kernel", kernel, torch.float64)
        if theta.ndim != 2 or len(theta) == 0 or len(theta) != theta.shape[1]:
            raise ValueError(
                f"kernel has shape {tuple(theta.shape)}, but must be (N, N): one row and one "
                "column a training input"
            )
        between = theta[:0] if cross is None else as_tensor("cross", cross, torch.float64)
        if between.ndim != 2 or between.shape[1] != len(theta):
            raise ValueError(
                f"cross has shape {tuple(between.shape)}, but must be (M, {len(theta)}): one row a "
                "test input, one column a training input"
            )
        for name, values in (("kernel", theta), ("cross", between)):
            if values.dtype != torch.float64:
                raise ValueError(f"{name} is {values.dtype}, but must be torch.float64: convert it")
            check_finite(name, values)
        for name, error in (("kernel_error", kernel_error), ("cross_error", cross_error)):
            if not (math.isfinite(error) and error >= 0):
                raise ValueError(f"{name} is {error!r}, but must be a finite number of at least 0")
        theta, between = theta.cpu(), between.cpu()
        asymmetry = float((theta - theta.T).abs().max())
        if asymmetry > 2 * kernel_error + 4 * UNIT_OF_FLOAT64 * float(theta.abs().max()):
            raise ValueError(
                f"kernel is not symmetric, by {asymmetry:.2g}: pass that of one set of inputs"
            )
        theta = theta.triu() + theta.triu(1).T
        solver = kernel_solver(from_float64(theta), kernel_error + asymmetry * len(theta))
        errors = torch.full((len(between),), float(cross_error), dtype=torch.float64)
        return cls(solver, from_float64(between), errors)

    @classmethod
    def from_network(
        cls, network: Network, x: Inputs, x_test: OtherInputs | None = None
    ) -> KernelRegression:
        """From the empirical NTK, in double-double and with the errors of its passes.

        Up to `REFINED_SAMPLES` inputs of both sets together; beyond, the kernel is float64. Memory
        goes like the square of that number.

        Args:
            network: The network, at its present weights.
            x: N training inputs: a NumPy array, lists, or a tensor of the network's dtype and on
                its device.
            x_test: M test inputs, likewise; None where only training inputs count.

        Raises:
            ValueError: Inputs do not fit the network, are empty or not finite, or the kernel
                overflows.
        """
        rows = network.as_inputs(x)
        others = rows[:0] if x_test is None else network.as_inputs(x_test, "x_test")
        count, refined = len(rows), len(rows) + len(others) <= REFINED_SAMPLES
        # together, since the errors of the passes are those of one Jacobian
        kernel = centred_kernel(centred_passes(network, torch.cat([rows, others])), refined)
        if refined:
            theta = kernel.double_double(KERNEL_ORDERS)
            error = kernel.double_double_error(KERNEL_ORDERS)
        else:
            theta, error = from_float64(kernel.theta), kernel.error
        own = DoubleDouble(*(part[:count, :count].contiguous() for part in theta))
        cross = DoubleDouble(*(part[count:, :count].contiguous() for part in theta))
        passes = JacobianErrors.of(kernel.pass_errors, theta.hi.diagonal(), count, error)
        return cls(kernel_solver(own, error), cross, passes.rounding, passes)

    @classmethod
    def from_inverse_form(cls, form: InverseForm) -> KernelRegression:
        """On training inputs only, with what is known of the kernel already."""
        solver = KernelSolver(
            form.theta, form.theta_error, form.eigenvalues.clamp(min=0), form.vectors, form.lower
        )
        own, count = form.theta.hi, len(form.vectors)
        passes = JacobianErrors.of(form.pass_errors, own.diagonal(), count, form.theta_error)
        return cls(solver, from_float64(own[:0]), own.new_empty(0), passes)

    def predictions(
        self,
        targets: Vector,
        outputs: Vector | None = None,
        test_outputs: TestVector | None = None,
        time: float = math.inf,
    ) -> Predictions:
        """f_t at the test inputs.

        Args:
            targets: y.
            outputs: f_0(X); None for zeros.
            test_outputs: f_0(x*); None for zeros.
            time: t ≥ 0 of the gradient flow, in units of `TrainingTime.flow_time`; infinite for
                kernel regression.

        Raises:
            ValueError: Shapes do not fit, a value is not finite, or the time is negative.
        """
        (prediction,) = self.course([time], targets, outputs, test_outputs)
        return prediction

    def course(
        self,
        times: Iterable[float],
        targets: Vector,
        outputs: Vector | None = None,
        test_outputs: TestVector | None = None,
    ) -> Iterator[Predictions]:
        """As `predictions`, for several times one after the other."""
        if len(self._cross.hi) == 0:
            raise ValueError("there are no test inputs: give them when the regression is made")
        right, scale = self._difference(targets, outputs)
        start = self._vector("test_outputs", test_outputs, len(self._cross.hi))
        last = self._at_infinity(right)
        for time in times:
            if not time >= 0:
                raise ValueError(f"time is {time!r}, but must be at least 0: training starts there")
            values, errors = self._at(time, right, *last) if math.isfinite(time) else last
            values = start + scale * values
            errors = scale * errors + UNIT_OF_FLOAT64 * values.abs()
            known = torch.isfinite(values) & torch.isfinite(errors)
            yield Predictions(values.where(known, math.nan), errors.where(known, math.inf))

    def leave_one_out(
        self,
        targets: Vector,
        outputs: Vector | None = None,
    ) -> Predictions:
        """y_i - f(x_i) for the f of kernel regression on all training inputs but the i-th.

        They are [Θ⁻¹r]_i / [Θ⁻¹]_ii with r = y - f_0(X) (Rasmussen and Williams 2006, sec. 5.4.2).

        Args:
            targets: y.
            outputs: f_0(X); None for zeros.

        Raises:
            ValueError: Shapes do not fit, or a value is not finite.
        """
        right, scale = self._difference(targets, outputs)
        solved = self._solver.solve(right[:, None])
        inverse = self._solver.solve(torch.eye(len(right), dtype=torch.float64))
        if solved is None or inverse is None:
            nothing = torch.full_like(right, math.nan)
            return Predictions(nothing, torch.full_like(right, math.inf))
        alpha, gamma = solved.x.hi[:, 0], inverse.x.hi.diagonal()
        rest = float(solved.residuals[0]) + UNIT_OF_FLOAT64 * float(right.norm())
        above = inverse.exact_lengths * rest + UNIT_OF_FLOAT64 * alpha.abs()
        below = inverse.exact_lengths * inverse.residuals + UNIT_OF_FLOAT64 * gamma
        values = alpha / gamma
        errors = (above + values.abs() * below) / (gamma - below) * SLACK
        if self._passes is not None:
            errors = errors + self._passes.of_leaving_out(self._solver, right, solved, inverse)
        values, errors = scale * values, scale * errors
        known = (gamma > below) & torch.isfinite(values) & torch.isfinite(errors)
        return Predictions(values.where(known, math.nan), errors.where(known, math.inf))

    def _at_infinity(
        self, right: Float[Tensor, " N"]
    ) -> tuple[Float[Tensor, " M"], Float[Tensor, " M"]]:
        """Kernel regression: with s = r - Θα and β = Θ⁻¹k it is kᵀα + βᵀs."""
        solved, weights = self._solver.solve(right[:, None]), self._weights
        count = len(self._cross.hi)
        if solved is None or weights is None:
            infinite = torch.full((count,), math.inf, dtype=torch.float64)
            return infinite * 0, infinite
        product, rounded = multiplied(self._cross, solved.x)
        values = product.hi[:, 0] + product.lo[:, 0]
        rest = float(solved.residuals[0]) + UNIT_OF_FLOAT64 * float(right.norm())
        errors = (
            self._cross_errors * float(solved.lengths[0])
            + weights.exact_lengths * rest
            + rounded
            + UNIT_OF_FLOAT64 * values.abs()
        )
        if self._passes is not None:
            errors = errors + self._passes.of_predictions(
                self._solver, right, solved, weights, self._cross.hi
            )
        return values, SLACK * errors

    @cached_property
    def _weights(self) -> Solutions | None:
        """β = Θ⁻¹k of each test input, the errors of k being part of the residual."""
        solved = self._solver.solve(self._cross.hi.T.contiguous())
        if solved is None:
            return None
        off = torch.linalg.vector_norm(self._cross.lo, dim=1) + self._cross_errors
        return Solutions(solved.x, solved.residuals + SLACK * off, solved.lower)

    def _at(
        self,
        time: float,
        right: Float[Tensor, " N"],
        last: Float[Tensor, " M"],
        last_errors: Float[Tensor, " M"],
    ) -> tuple[Float[Tensor, " M"], Float[Tensor, " M"]]:
        """The flow at a finite time; near its end from the end, `last`, where that is closer."""
        solver, cross = self._solver, self._cross.hi
        span = 2 * time / len(right)
        rates = solver.eigenvalues
        steps = rates * span
        early = span * (-torch.expm1(-steps) / steps).where(steps > 0, torch.ones_like(steps))
        factors = (-torch.expm1(-steps) / rates).where(steps > 1, early)
        alpha = solver.vectors @ (factors * (solver.vectors.T @ right))
        beta = solver.vectors @ (factors[:, None] * (solver.vectors.T @ cross.T))
        distance, cross_errors, lower = solver.distance, self._cross_errors, solver.lower
        if self._passes is not None:
            passes = self._passes.of_kernels(float(rates[-1]) + distance)
            distance, lower = distance + passes[0], lower - passes[0]
            cross_errors = cross_errors + passes[1]
        cross_errors = cross_errors + torch.linalg.vector_norm(self._cross.lo, dim=1)
        most = -math.expm1(-lower * span) / lower if lower > 0 and span > 0 else span
        unit, length = solver.orthogonality, float(right.norm())
        rows = torch.linalg.vector_norm(cross, dim=1)
        of_right = float(alpha.norm()) + unit * float(factors.max()) * length
        of_rows = torch.linalg.vector_norm(beta, dim=0) + unit * float(factors.max()) * rows
        gain = 1 + distance * most
        errors = SLACK * (
            gain * distance * of_rows * of_right
            + unit * (rows * of_right + of_rows * length)
            + gain * cross_errors * of_right
        )
        values = cross @ alpha
        weights = self._weights
        if weights is None:
            return values, errors
        at_end = last_errors + SLACK * weights.exact_lengths * math.exp(-lower * span) * length
        nearer = (at_end < errors) & torch.isfinite(last)
        return last.where(nearer, values), at_end.where(nearer, errors)

    def _difference(self, targets: Any, outputs: Any) -> tuple[Float[Tensor, " N"], float]:
        """The vector y - f_0(X) over a power of two, lest squares underflow, and that power."""
        size = len(self._solver.eigenvalues)
        right = self._vector("targets", targets, size) - self._vector("outputs", outputs, size)
        scale = float(powers(right[None]))
        return right / scale, scale

    def _vector(self, name: str, values: Any, size: int) -> Float[Tensor, " _"]:
        if values is None:
            return torch.zeros(size, dtype=torch.float64)
        vector = as_vector(name, values, torch.float64).cpu()
        if vector.shape != (size,):
            raise ValueError(f"{name} has shape {tuple(vector.shape)}, but must be ({size},)")
        check_finite(name, vector)
        return vector.double()
