"""What outputs are worth: loss and accuracy.

Dimension letters in the annotations: N samples.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

THRESHOLD = 0.5
"""Halfway between the usual targets 0 and 1."""


def loss(outputs: Float[Tensor, " N"], y: Float[Tensor, " N"]) -> float:
    """(1/N) Σ (f - y)²."""
    return float((outputs - y).square().mean())


def accuracy(
    outputs: Float[Tensor, " N"], y: Float[Tensor, " N"], threshold: float = THRESHOLD
) -> float:
    """The share of samples whose output and target lie on the same side of the threshold."""
    return float(((outputs > threshold) == (y > threshold)).double().mean())
