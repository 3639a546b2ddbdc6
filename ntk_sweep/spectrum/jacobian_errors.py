"""What errors of the passes do to the predictions of a network's kernel.

The Jacobian of the passes is J' = J + E, E = 1eᵀ + F, for training and test inputs alike.
docs/theory/regression.md derives the bounds. Dimension letters: N training inputs, M test inputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.pass_errors import PassErrors
from ntk_sweep.spectrum.kernel_solver import SLACK, UNIT_OF_FLOAT64, KernelSolver, Solutions


@dataclass(frozen=True)
class JacobianErrors:
    """Bounds of the rows of E, for training and test inputs.

    Attributes:
        shared: ‖e‖, of both.
        rows: ‖F_i‖ of the training inputs, (N,).
        test_rows: Those of the test inputs, (M,).
        squares: Θ(x*, x*) of the test inputs, (M,).
        rounding: Bounds of the errors of the rows of Θ(x*, X) for given passes, (M,).
    """

    shared: float
    rows: Float[Tensor, " N"]
    test_rows: Float[Tensor, " M"]
    squares: Float[Tensor, " M"]
    rounding: Float[Tensor, " M"]

    @classmethod
    def of(
        cls, errors: PassErrors, squares: Float[Tensor, " K"], count: int, rounding: float
    ) -> JacobianErrors:
        """Those of passes over `count` training inputs and then test inputs."""
        return cls(
            float(errors.shared),
            errors.rows[:count],
            errors.rows[count:],
            squares[count:],
            torch.full_like(squares[count:], rounding),
        )

    def of_kernels(self, largest: float) -> tuple[float, Float[Tensor, " M"]]:
        """Bounds of ‖Θ' - Θ‖_F and of each row of Θ'(x*, X) - Θ(x*, X).

        Args:
            largest: A bound of λ_max(Θ').
        """
        whole = len(self.rows) ** 0.5 * self.shared + float(self.rows.norm())
        single = self.shared + self.test_rows
        own = 2 * whole * largest**0.5 + whole**2
        return SLACK * own, SLACK * (single * largest**0.5 + whole * (self.squares.sqrt() + single))

    def of_predictions(
        self,
        solver: KernelSolver,
        right: Float[Tensor, " N"],
        solved: Solutions,
        weights: Solutions,
        cross: Float[Tensor, "M N"],
    ) -> Float[Tensor, " M"]:
        """Bounds of |p' - p|, p = k Θ⁻¹ r, for the exact kernels of J' and J.

        Args:
            solver: Of Θ'.
            right: r.
            solved: α' = Θ'⁻¹ r.
            weights: β' = Θ'⁻¹ k', one column a test input.
            cross: k'.
        """
        beta, tau = weights.x.hi, weights.residuals
        off = (
            self.shared * (1 - beta.sum(dim=0)).abs()
            + self.test_rows
            + self.rows @ beta.abs()
            + self._summed(beta)
        )
        explained = (cross * beta.T).sum(dim=1)
        lengths = torch.linalg.vector_norm(cross, dim=1) * weights.lengths
        slack = 4 * len(beta) ** 0.5 * UNIT_OF_FLOAT64 * (self.squares + lengths)
        apart = (self.squares - explained + weights.lengths * tau + slack).clamp(min=0).sqrt()
        alpha = solved.x.hi[:, :1]
        moved = self._moved(alpha)[0]
        return self._bound(solver, right, solved, off, apart, tau, moved, solved.residuals[0])

    def of_leaving_out(
        self,
        solver: KernelSolver,
        right: Float[Tensor, " N"],
        solved: Solutions,
        inverse: Solutions,
    ) -> Float[Tensor, " N"]:
        """Likewise for leave-one-out residuals, which are c_iᵀr with c_i = Θ⁻¹e_i / [Θ⁻¹]_ii.

        Args:
            solver: Of Θ'.
            right: r.
            solved: α' = Θ'⁻¹ r.
            inverse: Θ'⁻¹.
        """
        gamma = inverse.x.hi.diagonal()
        c, tau = inverse.x.hi / gamma, inverse.residuals / gamma.abs()
        alpha = solved.x.hi[:, 0]
        off = self._moved(c)
        apart = (1 / gamma.abs() + torch.linalg.vector_norm(c, dim=0) * tau).sqrt()
        moved = self._moved(alpha[:, None] - c * alpha)
        rest = solved.residuals[0] + alpha.abs() * tau
        return self._bound(solver, right, solved, off, apart, tau, moved, rest)

    def _moved(self, x: Float[Tensor, "N k"]) -> Float[Tensor, " k"]:
        """Bounds of ‖Eᵀx‖ of each column."""
        return self.shared * x.sum(dim=0).abs() + self.rows @ x.abs() + self._summed(x)

    def _summed(self, x: Float[Tensor, "N k"]) -> Float[Tensor, " k"]:
        """What the rounding of 1ᵀx adds."""
        return self.shared * len(x) * UNIT_OF_FLOAT64 * x.abs().sum(dim=0)

    def _bound(
        self,
        solver: KernelSolver,
        right: Float[Tensor, " N"],
        solved: Solutions,
        off: Float[Tensor, " k"],
        apart: Float[Tensor, " k"],
        tau: Float[Tensor, " k"],
        moved: Float[Tensor, ...],
        rest: Float[Tensor, ...],
    ) -> Float[Tensor, " k"]:
        """(h + g (gρ + h + t)) ‖w‖ + (ρ + h) a.

        Args:
            solver: Of Θ'.
            right: r.
            solved: α'.
            off: h, bounds of ‖ε - Eᵀβ'‖, ε the error of the test input's row.
            apart: ρ, bounds of ‖j' - J'ᵀβ'‖.
            tau: Bounds of ‖k' - Θ'β'‖.
            moved: Bounds of ‖Eᵀα'‖ of the computed α'.
            rest: Bounds of ‖r - Θ'α'‖ of the computed α'.
        """
        root, own = solver.lower**0.5, float(solved.residuals[0])
        gain = self._gain(solver, root)
        if not gain < 0.5:
            return torch.full_like(off, math.inf)
        relative, size = gain / (1 - gain), float(solved.lengths[0])
        form = abs(float(solved.x.hi[:, 0] @ right))
        form = form + size * (own + UNIT_OF_FLOAT64 * len(right) * float(right.norm()))
        length = form**0.5 + own / root
        missing = relative * (relative * apart + off + tau / (root * (1 - gain)))
        moved = moved + gain * rest / root
        return SLACK * ((off + missing) * length + (apart + off) * moved)

    def _gain(self, solver: KernelSolver, root: float) -> float:
        """Bound of ‖Θ'^(-½)E‖."""
        ones = solver.solve(torch.ones(len(self.rows), 1, dtype=torch.float64))
        assert ones is not None
        square = float(ones.x.hi.sum().abs()) + float(ones.exact_lengths[0]) * (
            float(ones.residuals[0]) + len(self.rows) * UNIT_OF_FLOAT64 * len(self.rows) ** 0.5
        )
        return SLACK * (self.shared * square**0.5 + float(self.rows.norm()) / root)
