"""What the interactive part of the report needs, in a bounded size.

Every cell of every quantity, spectra and saved kernels.
"""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pandas as pd

from ntk_sweep.analysis.drawing.cell_grid import LIKELY, SHOWN
from ntk_sweep.analysis.drawing.colour_scales import DIVERGING, SEQUENTIAL
from ntk_sweep.analysis.page.kernels import kernels
from ntk_sweep.analysis.page.packing import BOUND_BITS, BOUND_STEPS, SPECTRUM_STEPS, Packer
from ntk_sweep.analysis.rows.activations import activation_title, activations
from ntk_sweep.analysis.rows.networks import with_spectrum
from ntk_sweep.analysis.rows.quantities import (
    LAMBDA_MIN,
    LIMIT_LAMBDA_MIN,
    QUANTITIES,
    RATIO,
    Quantity,
)
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.files import file_stem
from ntk_sweep.store.columns import CELL

MOST_EIGENVALUES = 340_000
"""In a page, of all groups together: about half a megabyte of it. Of 20 widths × 9 depths × 4
activations × 5 seeds it takes 94 eigenvalues each."""

ENOUGH_POINTS = 90
"""Of a spectrum that is thinned before its seeds are left out: as many as a phone has dots for."""

LEAST_POINTS = 40
"""Of a spectrum that is thinned: fewer would not show its shape."""

ENDS = 10
"""Eigenvalues at either end of a spectrum that are never thinned."""

_VIEWED = (LIMIT_LAMBDA_MIN.name, RATIO.name)
"""Quantities that are views of λ_min."""


def colour_maps() -> dict[str, list[list[object]]]:
    """The colour maps of the static figures, for the interactive ones."""
    places = np.linspace(0, 1, 33)
    return {
        name: [
            [float(place), matplotlib.colors.to_hex(matplotlib.colormaps[name](place))]
            for place in places
        ]
        for name in (SEQUENTIAL, DIVERGING)
    }


def explorer(study: Study, packer: Packer, share: float = 1.0) -> dict[str, Any] | None:
    """The data of a group; None where no network has a result.

    Args:
        study: The rows.
        packer: Takes the numbers.
        share: This group's part of what a page may hold.
    """
    group = study.group
    if not len(group.ok):
        return None
    contested = study.contested(study.cells(), LAMBDA_MIN, SHOWN)
    index = contested[CELL].copy()
    acts = activations(index["act"])
    data: dict[str, Any] = {
        "slug": file_stem(group.label),
        "title": group.title,
        "activations": [{"name": act, "title": activation_title(act)} for act in acts],
        "act": packer.add(index["act"].map(acts.index).to_numpy()),
        "width": packer.add(index["width"].to_numpy()),
        "depth": packer.add(index["depth"].to_numpy()),
        "seeds": packer.add(study.cells()["seeds"].to_numpy()),
        "failed": packer.add(study.cells()["failed"].to_numpy()),
        "probability": packer.add(contested["probability"].to_numpy(float)),
        "likely": LIKELY,
        "quantities": [
            _quantity(study.cells(quantity), quantity, index, packer)
            for quantity in QUANTITIES.values()
        ],
    }
    data["spectra"] = _spectra(
        with_spectrum(group.ok), index, packer, int(share * MOST_EIGENVALUES)
    )
    data["kernels"] = kernels(study, index, packer, share)
    return data


def _quantity(
    own: pd.DataFrame, quantity: Quantity, index: pd.DataFrame, packer: Packer
) -> dict[str, Any]:
    """A quantity of every cell, in the order of `index`."""
    table = index.merge(own, on=CELL, how="left")
    geometric = quantity.mean == "geometric"
    several = bool((table["seeds"] > 1).any()) and quantity.seeded
    drawn = "geometric_mean" if geometric else "mean"
    stored: dict[str, Any] = {"value": packer.add(table[drawn].to_numpy(float))}
    stored["unresolved"] = packer.add(table["unresolved"].to_numpy(float))
    if several:
        low, high = ("geometric_low", "geometric_high") if geometric else ("low", "high")
        stored |= {
            "mean": packer.add(table["mean"].to_numpy(float)),
            "sd": packer.add(table["sd"].to_numpy(float)),
        }
        stored |= {
            "low": packer.add(table[low].to_numpy(float)),
            "high": packer.add(table[high].to_numpy(float)),
        }
    if quantity.error:
        stored["error"] = packer.add(
            table["geometric_error" if geometric else "error"].to_numpy(float), BOUND_BITS, up=True
        )
    return stored | {
        "name": quantity.name,
        "title": quantity.title,
        "definition": quantity.definition,
        "scale": quantity.scale,
        "geometric": geometric,
        "seeded": quantity.seeded,
        "state": quantity.state,
        "view": quantity.name in _VIEWED,
        "views": quantity.name == LAMBDA_MIN.name,
        "greatest": quantity.greatest,
    }


def _spectra(ok: pd.DataFrame, index: pd.DataFrame, packer: Packer, budget: int) -> dict[str, Any]:
    """Eigenvalues, the greatest first, with their error bounds.

    Of every seed if that fits, else of every cell, else thinned too.

    Args:
        ok: Rows that hold eigenvalues.
        index: The cells, in their order.
        packer: Takes the numbers.
        budget: How many eigenvalues may be kept.

    `kind` is "seeds", or "cells": then three curves a cell, the mean, the least and the greatest
    over its seeds.
    """
    if not len(ok):
        nothing = packer.add(np.empty(0))
        return {"kind": "seeds", "count": 0} | dict.fromkeys(
            ("index", "cell", "seed", "values", "errors"), nothing
        )
    count = int(ok["eigenvalues"].map(len).mode().iloc[0])
    ok = ok[(ok["eigenvalues"].map(len) == count) & (ok["eigenvalue_errors"].map(len) == count)]
    values = np.stack(ok["eigenvalues"].to_list()).astype(float)
    order = np.argsort(-values, axis=1, kind="stable")
    values = np.take_along_axis(values, order, axis=1)
    errors = np.take_along_axis(
        np.stack(ok["eigenvalue_errors"].to_list()).astype(float), order, axis=1
    )
    place = pd.MultiIndex.from_frame(index).get_indexer(pd.MultiIndex.from_frame(ok[CELL]))
    label, kind = ok["seed"].to_numpy(float), "seeds"
    fewest = min(count, ENOUGH_POINTS)
    if len(values) * fewest > budget and len(ok) > 3 * len(np.unique(place)):
        values, errors, place, kind = *_over_seeds(values, errors, place), "cells"
        label = np.tile([0.0, 1.0, 2.0], len(place) // 3)
    shown = thinned(count, max(budget // len(values), LEAST_POINTS))
    return {
        "kind": kind,
        "count": count,
        "index": packer.add(shown + 1),
        "cell": packer.add(place),
        "seed": packer.add(label),
        "values": packer.add_logs(values[:, shown], SPECTRUM_STEPS),
        "errors": packer.add_logs(errors[:, shown], BOUND_STEPS, up=True),
    }


def _over_seeds(
    values: np.ndarray, errors: np.ndarray, place: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, least and greatest of each eigenvalue over the seeds of a cell.

    Three rows a cell, with the greatest bound of a seed.
    """
    assert (np.diff(place) >= 0).all(), "the rows of a group are ordered by cell"
    distinct, first, seeds = np.unique(place, return_index=True, return_counts=True)
    sums = values[first]
    for seed in range(1, seeds.max()):
        more = seeds > seed
        sums[more] += values[first[more] + seed]
    curves = [
        sums / seeds[:, None],
        np.minimum.reduceat(values, first),
        np.maximum.reduceat(values, first),
    ]
    bounds = np.maximum.reduceat(errors, first)
    several = np.stack(curves, axis=1).reshape(-1, values.shape[1])
    return several, np.repeat(bounds, 3, axis=0), np.repeat(distinct, 3)


def thinned(count: int, most: int) -> np.ndarray:
    """Which of `count` eigenvalues are kept.

    All, or the `ENDS` at either end and evenly chosen ones between.
    """
    if count <= most:
        return np.arange(count)
    between = np.linspace(ENDS, count - 1 - ENDS, most - 2 * ENDS).round().astype(int)
    return np.unique(np.concatenate([np.arange(ENDS), between, np.arange(count - ENDS, count)]))
