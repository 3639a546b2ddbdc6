"""The architecture of a network: all that determines its infinite-width kernel on given inputs."""

from __future__ import annotations

from dataclasses import dataclass

from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.parametrisations import PARAMETRISATIONS


@dataclass(frozen=True)
class Architecture:
    """A fully connected network without its weights; it travels through points, draws and caches.

    Attributes:
        activation: A name in `ntk_sweep.network.activations.registry.ACTIVATIONS`.
        width: n, the width of every hidden layer.
        depth: D ≥ 2, the number of weight layers.
        parametrisation: A name in `ntk_sweep.network.parametrisations.PARAMETRISATIONS`.
    """

    activation: str
    width: int
    depth: int
    parametrisation: str


def check_names(activation: str, parametrisation: str) -> None:
    """Raises a ValueError if one of the names is unknown."""
    for kind, name, known in (
        ("activation", activation, ACTIVATIONS),
        ("parametrisation", parametrisation, PARAMETRISATIONS),
    ):
        if name not in known:
            raise ValueError(f"unknown {kind} {name!r}: choose one of {', '.join(known)}")
