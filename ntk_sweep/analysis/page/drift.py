"""The change of kernels over epochs for the page, medians and ranges over seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.drift.numbers import SHOWN, drift, over_seeds, recorded
from ntk_sweep.analysis.page.packing import Packer
from ntk_sweep.analysis.rows.activations import activation_title, activations
from ntk_sweep.analysis.rows.over_seeds import ENDS
from ntk_sweep.analysis.rows.study import Study

MOST_POINTS = 8000
"""Networks times epochs in a page, of all groups together; of more only some epochs are kept."""

CURVE_BITS = 10
"""Of a mantissa: three digits, finer than a line is wide."""


def drifts(study: Study, packer: Packer, share: float = 1.0) -> list[dict[str, Any]]:
    """For each way of training that recorded kernels: a row a network and epoch.

    Args:
        study: The rows.
        packer: Takes the numbers.
        share: This group's part of what a page may hold.
    """
    every = [one for one in study.runs if recorded(one)]
    return [
        {"title": one.setting.title}
        | _curves(over_seeds(drift(one)), packer, int(share * MOST_POINTS / len(every)))
        for one in every
    ]


def _curves(table: pd.DataFrame, packer: Packer, most: int) -> dict[str, Any]:
    epochs = np.sort(table["epoch"].unique())
    kept = epochs[:: -(-len(table) // max(most, 1))]
    table = table[table["epoch"].isin({*kept, epochs[-1]})]
    acts = activations(table["act"])
    several = bool((table["seeds"] > 1).any())
    coordinates = {name: packer.add(table[name].to_numpy()) for name in ("width", "depth", "epoch")}
    return {
        "activations": [activation_title(act) for act in acts],
        "act": packer.add(table["act"].map(acts.index).to_numpy()),
        **coordinates,
        "quantities": [
            {"name": name, "title": title}
            | {
                end.strip("_") or "middle": packer.add(table[name + end].to_numpy(), CURVE_BITS)
                for end in (ENDS if several else ENDS[:1])
            }
            for name, title in SHOWN.items()
        ],
    }
