"""Units too close to a kink of the activation for rounding to tell their side."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from ntk_sweep.network.activations.activation import Activation


def uncertain_units(
    activation: Activation, z: Float[Tensor, "*b N n"], spread: Float[Tensor, "*s N"]
) -> Bool[Tensor, "*u N n"] | None:
    """Units too close to a kink; None for none."""
    if not activation.kinked:
        return None
    sizes, spread = z.abs(), spread.to(z.dtype)
    # asking costs less than what is done with it, but on a GPU it would wait
    if not z.is_cuda and not bool((sizes.amin(dim=-1) < spread).any()):
        return None
    near = sizes < spread[..., None]
    if isinstance(activation.jump, Tensor):
        near = near & (activation.jump[..., None] > 0)
    return near


def possible_slopes(
    slope: Float[Tensor, "*b N n"],
    uncertain: Bool[Tensor, "*u N n"] | None,
    activation: Activation,
) -> Float[Tensor, "*b N n"]:
    """What |σ'|, or a difference of two, may be."""
    return slope if uncertain is None else slope.abs() + jumps(uncertain, activation)


def jumps(uncertain: Bool[Tensor, "*u N n"], activation: Activation) -> Float[Tensor, "*u N n"]:
    """How far σ' of each unit may be off."""
    jump = activation.jump
    return uncertain * (jump[..., None] if isinstance(jump, Tensor) else jump)
