"""Loss and accuracy on test inputs in the course of a run.

Dimension letters in the annotations: M test inputs, T recorded times.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.training.outcomes import THRESHOLD, accuracy, loss


class HeldOutCourse:
    """The record of a run at test inputs, which it does not train on.

    Args:
        x: Test inputs of the network's dtype and on its device, (M, n_in).
        y: Their targets, (M,), likewise.
        centred: Whether f - f_0 is trained, with f_0 = f at the first record, in place of f.
        threshold: Outputs and targets above it are of the one class, all others of the other.

    Attributes:
        x: As given.
        losses: (1/M) Σ (f - y)² at each record; infinite once outputs have overflowed.
        accuracies: The share of test inputs on the right side of the threshold.
        initial_outputs: What is trained, f or f - f_0, at the first record, (M,).
        outputs: The same at the last one.
    """

    def __init__(
        self,
        x: Float[Tensor, "M n_in"],
        y: Float[Tensor, " M"],
        centred: bool = False,
        threshold: float = THRESHOLD,
    ) -> None:
        self.x, self._y = x, y
        self._centred, self._threshold = centred, threshold
        self._start: Tensor | None = None
        self.losses: list[float] = []
        self.accuracies: list[float] = []
        self.initial_outputs = self.outputs = np.empty(0)

    def record(self, outputs: Float[Tensor, " M"]) -> None:
        """Appends what is made of f at the test inputs, (M,)."""
        if self._start is None:
            self._start = outputs if self._centred else torch.zeros_like(outputs)
        trained = outputs - self._start
        error = loss(trained, self._y)
        self.losses.append(error if math.isfinite(error) else math.inf)
        self.accuracies.append(accuracy(trained, self._y, self._threshold))
        self.outputs = trained.detach().cpu().numpy()
        if len(self.losses) == 1:
            self.initial_outputs = self.outputs
