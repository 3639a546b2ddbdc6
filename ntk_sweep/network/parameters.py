"""Weights and biases as users pass them: tensors of them, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ntk_sweep.numerics.tensors import as_tensors


def as_layers(
    weights: Sequence[Any], biases: Sequence[Any] | None, optional: bool
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Both as tensors; zeros for biases that are optional and not given.

    Raises:
        ValueError: A part holds no real numbers, or biases are missing.
    """
    named = {f"W of layer {number}": weight for number, weight in enumerate(weights, start=1)}
    if optional and not biases:
        tensors = as_tensors(named)
        return tensors, [weight.new_zeros(weight.shape[:1]) for weight in tensors]
    if biases is None:
        raise ValueError(
            "biases is None, but the network has some: give them, or bias_std=None for a network "
            "without biases"
        )
    named |= {f"b of layer {number}": bias for number, bias in enumerate(biases, start=1)}
    tensors = as_tensors(named)
    return tensors[: len(weights)], tensors[len(weights) :]


def check_layers(weights: Sequence[Tensor], biases: Sequence[Tensor]) -> None:
    """Raises a ValueError if shapes do not chain, or dtypes or devices differ."""
    if len(weights) < 2 or len(weights) != len(biases):
        raise ValueError(
            f"{len(weights)} weight matrices and {len(biases)} biases: a network has one of each a "
            "layer, and at least two layers (with one, the activation would not appear)"
        )
    fan_in = weights[0].shape[-1] if weights[0].ndim else 0
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        if weight.ndim != 2 or weight.shape[1] != fan_in or bias.shape != weight.shape[:1]:
            raise ValueError(
                f"layer {layer}: W is {tuple(weight.shape)} and b is {tuple(bias.shape)}, but W "
                f"must be (n_l, {fan_in}) and b (n_l,)"
            )
        if weight.numel() == 0:
            raise ValueError(f"layer {layer}: W is {tuple(weight.shape)}, but must not be empty")
        fan_in = weight.shape[0]
        for tensor in (weight, bias):
            _check_kind(layer, tensor, weights[0])
    if fan_in != 1:
        raise ValueError(f"the last layer has {fan_in} outputs, but must have one")


def _check_kind(layer: int, tensor: Tensor, first: Tensor) -> None:
    if (
        not tensor.dtype.is_floating_point
        or tensor.dtype != first.dtype
        or tensor.device != first.device
    ):
        raise ValueError(
            f"layer {layer} holds {tensor.dtype} on {tensor.device}, but the first weight matrix "
            f"is {first.dtype} on {first.device}: all must be of one floating dtype and on one "
            "device"
        )
