"""A point of a gradient flow, and what follows while its kernel is taken as constant."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.numerics.tensors import overflow
from ntk_sweep.training.flat_network import FlatNetwork, FlatPasses

ROUNDING = 2.0**-44
"""What sums over thousands of terms leave of an output's 53 bits."""


class FlowState:
    """A point of the flow: its passes, kernel, eigenvectors and residual."""

    def __init__(
        self, flat: FlatNetwork, parameters: Float[Tensor, " P"], targets: Float[Tensor, " N"]
    ) -> None:
        self.parameters = parameters
        self.passes: FlatPasses = flat.passes(parameters)
        self.theta = flat.kernel(self.passes)
        if not torch.isfinite(self.theta).all():
            raise overflow("the kernel", "its entries", self.theta.dtype)
        self.outputs = self.passes.outputs
        self.residual = targets - self.outputs
        # Below 0 is rounding only.
        values, self._vectors = torch.linalg.eigh(self.theta)
        self._values = values.clamp_(min=0)
        self._components = self._vectors.T @ self.residual
        self._size = len(targets)
        self.loss = float(self.residual.square().mean())

    @property
    def local_rate(self) -> float:
        """-d log L/dt."""
        squares = self._components.square()
        return float(4 / self._size * (self._values @ squares) / squares.sum())

    def moved(self, flat: FlatNetwork, time: float) -> Tensor:
        """The parameters after a time in which Θ is taken as constant."""
        rates = 2 / self._size * self._values
        reach = torch.where(rates > 0, -torch.expm1(-rates * time) / rates, time)
        vector = self._vectors @ (self._components * reach) * (2 / self._size)
        return self.parameters + flat.pulled_back(self.passes, vector)

    def lasting(self, error: Tensor, time: float) -> float:
        """The norm of what is left of an error of the outputs after some such steps.

        Along fast directions an error dies at once, and would rule the step for nothing (Hairer and
        Wanner 1996, IV.8, on Shampine's filter).
        """
        return float(
            ((self._vectors.T @ error) / (1 + 2 * time / self._size * self._values)).norm()
        )

    def jumped(self, other: FlowState, time: float) -> Tensor:
        """What the outputs miss where this kernel stands for that of a later state."""
        return (2 * time / self._size) * ((other.theta - self.theta) @ other.residual)

    def switched(self, other: FlowState) -> bool:
        """Whether a unit is on the other side of its kink there."""
        pairs = zip(self.passes.inputs[1:], other.passes.inputs[1:], strict=True)
        return any(bool(((a > 0) != (b > 0)).any()) for a, b in pairs)

    def time_to_fall(self, fall: float, tolerance: float) -> float:
        """The time in which log L falls by so much if Θ is constant; infinity if it never does.

        Of L counts what can fall: not the residual along eigenvectors whose eigenvalue is 0 but for
        rounding, which contradicting targets leave. Less than the tolerance sees counts as nothing.
        """
        squares = self._components.square() / self._components.square().sum()
        squares = squares.where(self._values > ROUNDING * self._values[-1], 0.0)
        exponents = 4 / self._size * self._values
        movable = float(squares.sum())
        if not movable > max(ROUNDING, tolerance**2):
            return math.inf
        goal = movable * math.exp(-fall)
        low, high = 0.0, 1 / max(self.local_rate, 1e-300)
        while float(squares @ torch.exp(-exponents * high)) > goal:
            low, high = high, 2 * high
        for _ in range(20):
            middle = (low + high) / 2
            above = float(squares @ torch.exp(-exponents * middle)) > goal
            low, high = (middle, high) if above else (low, middle)
        return high
