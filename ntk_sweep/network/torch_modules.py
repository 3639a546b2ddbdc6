"""Weights, biases and activation of a `torch.nn.Sequential`, or of a saved state dict of one.

What is not a fully connected network with one output is refused: its kernel is another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.numerics.tensors import as_tensor


class ModuleParts(NamedTuple):
    """What `ntk_sweep.network.fully_connected.Network` takes, copied.

    Attributes:
        weights: W^l, l = 1..D.
        biases: b^l; None where no layer has one.
        activation: Its name.
    """

    weights: list[Any]
    biases: list[Any] | None
    activation: str


_ACTIVATIONS: dict[type[nn.Module], str] = {
    getattr(nn, entry.module.name): name for name, entry in ACTIVATIONS.items() if entry.module
}
"""Class → the activation's name here."""

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")

_KNOWN = "Linear layers with one activation between them"


def parts_of_module(module: nn.Module, dtype: torch.dtype | None = None) -> ModuleParts:
    """The parts of a Sequential of Linear layers with one activation between them.

    A Flatten may stand first, and Sequentials may stand in Sequentials.

    Args:
        module: The Sequential, at its present weights.
        dtype: Of the copies; None for that of the module.

    Raises:
        ValueError: It is no fully connected network with one output.

    Example:
        >>> parts_of_module(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))).activation
        'tanh'
    """
    layers: list[tuple[str, nn.Linear]] = []
    activation: tuple[str, nn.Module] | None = None
    last: nn.Module | None = None
    for path, part in _leaves("", module):
        if type(part) is nn.Flatten and last is None:
            _check_flatten(path, part)
        elif type(part) is nn.Linear:
            if type(last) is nn.Linear:
                raise ValueError(
                    f"module {path} is a Linear right behind another, but an activation must stand "
                    "between two: the two are one layer, whose kernel is another"
                )
            layers.append((path, part))
        elif type(part) in _ACTIVATIONS:
            if type(last) is not nn.Linear:
                raise ValueError(f"module {path} is {part}, but does not stand behind a Linear")
            _check_activation(path, part)
            if activation is not None and type(part) is not type(activation[1]):
                raise ValueError(
                    f"module {path} is {part}, but module {activation[0]} is {activation[1]}: all "
                    "activations must be the same"
                )
            activation = activation or (path, part)
        else:
            raise ValueError(f"module {path} is {part}, but only {_KNOWN} make a known kernel")
        last = part
    if activation is None or len(layers) < 2:
        raise ValueError(
            f"the module has {len(layers)} Linear layers, but a network has two at least and an "
            "activation between them"
        )
    if type(last) is not nn.Linear:
        raise ValueError(f"the last module is {last}, but must be a Linear: outputs are not bent")
    _check_layers(layers)
    weights, biases = ([getattr(part, kind) for _, part in layers] for kind in ("weight", "bias"))
    names = [path for path, _ in layers]
    return _parts(names, weights, biases, _ACTIVATIONS[type(activation[1])], dtype)


def parts_of_state(
    state: Mapping[str, Any], activation: str, dtype: torch.dtype | None = None
) -> ModuleParts:
    """The parts of the state dict of such a Sequential, whose keys are as 0.weight, 0.bias.

    A state dict names no activation and no module without parameters, so that both are taken on
    trust: that one activation stands at each of the places between, and none behind the last layer.

    Args:
        state: Names and tensors, or NumPy arrays, in any order.
        activation: The activation's name.
        dtype: Of the copies; None for that of the state.

    Raises:
        ValueError: It is not the state of a fully connected network with one output.
    """
    found: dict[int, dict[str, Any]] = {}
    for key, value in state.items():
        match = re.fullmatch(r"(\d+)\.(weight|bias)", str(key))
        if match is None:
            raise ValueError(
                f"the state holds {key!r}, but that of a Sequential of {_KNOWN} has only names as "
                "0.weight and 0.bias: load it into its module and use from_module, or pass weights "
                "and biases to Network"
            )
        found.setdefault(int(match[1]), {})[match[2]] = value
    places = sorted(found)
    if len(places) < 2:
        raise ValueError(
            f"the state has {len(places)} layers with parameters, but a network has two at least"
        )
    for place in places:
        shape = tuple(getattr(found[place].get("weight"), "shape", ()))
        if len(shape) != 2:
            raise ValueError(
                f"{place}.weight has shape {shape}, but that of a Linear has two dimensions: "
                f"only {_KNOWN} make a known kernel"
            )
    for below, above in pairwise(places):
        if above != below + 2:
            between = above - below - 1
            raise ValueError(
                f"{between or 'no'} modules stand between the layers {below} and {above}, but it "
                "must be one, the activation"
            )
    if places[0] > 1:
        raise ValueError(
            f"the first layer is module {places[0]}, but no module but a Flatten may stand before"
        )
    weights, biases = ([found[place].get(kind) for place in places] for kind in ("weight", "bias"))
    stored = {weight.data_ptr() for weight in weights if isinstance(weight, Tensor)}
    if len(stored) < sum(isinstance(weight, Tensor) for weight in weights):
        raise ValueError(
            "two layers of the state share a weight matrix, but each must have its own: shared "
            "ones have another kernel"
        )
    return _parts([str(place) for place in places], weights, biases, activation, dtype)


def _leaves(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules within nested Sequentials, in order, with their names."""
    if type(module) in (nn.Sequential, nn.Linear, nn.Flatten, *_ACTIVATIONS):
        _check_unhooked(path, module)
    if type(module) is not nn.Sequential:
        if not path:
            raise ValueError(
                f"the module is a {type(module).__name__}, but only a torch.nn.Sequential says in "
                "which order its parts are applied: pass its layers in one, or weights and biases "
                "to Network"
            )
        yield path, module
        return
    # named_children would leave out a module that stands at a second place
    for name, part in module._modules.items():
        yield from _leaves(f"{path}.{name}" if path else name, part)


def _check_unhooked(path: str, module: nn.Module) -> None:
    if any(getattr(module, hooks, None) for hooks in _HOOKS):
        raise ValueError(
            f"module {path or 'itself'} has hooks, which may change what it computes (those of "
            "weight_norm, spectral_norm and pruning do): remove them"
        )


def _check_flatten(path: str, part: nn.Flatten) -> None:
    if (part.start_dim, part.end_dim) != (1, -1):
        raise ValueError(f"module {path} is {part}, but must leave one row an input: Flatten()")


def _check_activation(path: str, part: nn.Module) -> None:
    name = _ACTIVATIONS[type(part)]
    ours = ACTIVATIONS[name].module
    assert ours is not None
    if ours.option is not None and getattr(part, ours.option) != ours.value:
        raise ValueError(
            f"module {path} is {part}, but the activation {name} has {ours.option}={ours.value!r}"
        )


def _check_layers(layers: Sequence[tuple[str, nn.Linear]]) -> None:
    """Raises a ValueError where the parameters of the module are not those of its layers."""
    parameters = [(path, each) for path, part in layers for each in part.parameters()]
    names: dict[int, str] = {}
    for path, parameter in parameters:
        if names.setdefault(id(parameter), path) != path:
            raise ValueError(
                f"modules {names[id(parameter)]} and {path} share parameters, but each layer must "
                "have its own: shared ones have another kernel"
            )
    if len({parameter.requires_grad for _, parameter in parameters}) > 1:
        frozen = sorted({path for path, each in parameters if not each.requires_grad})
        raise ValueError(
            f"some parameters are frozen (modules {', '.join(frozen)}), but the kernel is over all "
            "of them: set requires_grad of all parameters alike"
        )


def _parts(
    names: Sequence[str],
    weights: Sequence[Any],
    biases: Sequence[Any],
    activation: str,
    dtype: torch.dtype | None,
) -> ModuleParts:
    without = [name for name, bias in zip(names, biases, strict=True) if bias is None]
    if without and len(without) < len(names):
        raise ValueError(
            f"no bias in modules {', '.join(without)}, but in others: a network has them in all "
            "layers or in none"
        )
    if len(weights[-1]) != 1:
        raise ValueError(
            f"the module has {len(weights[-1])} outputs, but must have one: for the kernel of one "
            "of them keep its row of the last layer alone"
        )
    copied = [_copied(weight, dtype) for weight in weights]
    return ModuleParts(
        copied, None if without else [_copied(bias, dtype) for bias in biases], activation
    )


def _copied(value: Any, dtype: torch.dtype | None) -> Any:
    """A copy: a network remembers norms of its weights, which training the module would change."""
    if not isinstance(value, Tensor):
        array = np.array(value)
        return array if dtype is None else as_tensor("the state", array, dtype)
    return value.detach().to(dtype=dtype or value.dtype, copy=True)
