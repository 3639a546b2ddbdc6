"""Activations: their order and their names in tables and figures."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ntk_sweep.network.activations.registry import ACTIVATIONS


def by_activation(frame: pd.DataFrame, then: Sequence[str]) -> pd.DataFrame:
    """`frame` ordered by activation, in the order of the library, then by `then`."""
    rank = {act: place for place, act in enumerate(activations(frame["act"]))}
    return (
        frame.assign(_rank=frame["act"].map(rank))
        .sort_values(["_rank", *then], ignore_index=True)
        .drop(columns="_rank")
    )


def activations(acts: pd.Series) -> list[str]:
    """The activations that occur, in the order of the library; unknown names come last."""
    known = list(ACTIVATIONS)
    return sorted(
        acts.unique(), key=lambda act: (known.index(act) if act in known else len(known), act)
    )


def activation_title(act: str) -> str:
    """An activation's name as written in tables and figures."""
    return ACTIVATIONS[act].title if act in ACTIVATIONS else act
