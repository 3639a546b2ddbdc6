"""The networks that a finished sweep singles out: for each activation the one with the greatest
λ_min."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ntk_sweep.data.dataset import load_dataset
from ntk_sweep.errors import ConfigError
from ntk_sweep.settings.point import NUMERICS_VERSION
from ntk_sweep.settings.schema import SweepConfig
from ntk_sweep.store.store import Store, latest_good

COLUMNS = [
    *(
        "key",
        "status",
        "finished_at",
        "numerics_version",
        "act",
        "width",
        "depth",
        "seed",
        "parametrisation",
        "dtype",
    ),
    *("data_fingerprint", "lambda_min", "lambda_min_resolved"),
]


def winners(config: SweepConfig, activations: Sequence[str]) -> list[dict[str, str | int]]:
    """For each activation the width and depth with the greatest mean λ_min over seeds, as Table 1
    names them.

    Args:
        config: Says where the spectra lie (`results`), and of which data, parametrisation and dtype
            they are.
        activations: The activations asked for.

    Returns:
        The settings `act`, `width` and `depth` of each.

    Raises:
        ConfigError: The store has no spectra of an activation; the message says what to run.
        DataError: The data set cannot be used.
        StoreError: The store holds a part that cannot be read.
    """
    fingerprint = load_dataset(*config.data.arguments).fingerprint
    store = Store(config.results, "spectrum")
    rows = latest_good(store.read(COLUMNS)).to_pandas()
    own = (rows["data_fingerprint"] == fingerprint) & (
        rows["parametrisation"] == config.parametrisation
    )
    own &= (
        (rows["dtype"] == config.dtype)
        & (rows["status"] == "ok")
        & (rows["numerics_version"] == NUMERICS_VERSION)
    )
    best = _best_cells(rows[own])
    if missing := [act for act in activations if act not in best.index]:
        root = f" data.root={config.data.root}" if config.data.root else ""
        asked = (
            f"data={config.data.name} parametrisation={config.parametrisation} "
            f"dtype={config.dtype}{root}"
        )
        raise ConfigError(
            f"{store.location} holds no spectra of {', '.join(missing)} for {asked}, so that it is "
            "not known which of their networks has the greatest lambda_min; compute them first:\n"
            f"  python launch.py +experiment=thesis_grid 'seed=range(0,5)' {asked} "
            f"results={config.results}"
        )
    return [
        {"act": act, "width": int(best.loc[act, "width"]), "depth": int(best.loc[act, "depth"])}
        for act in activations
    ]


def _best_cells(rows: pd.DataFrame) -> pd.DataFrame:
    """The best resolved cell of each activation: a cell with an unresolved seed is never the
    greatest."""
    cells = rows.groupby(["act", "width", "depth"]).agg(
        mean=("lambda_min", "mean"),
        resolved=("lambda_min_resolved", lambda values: bool(values.astype(bool).all())),
    )
    cells = cells[cells["resolved"]].reset_index()
    return (
        cells.loc[cells.groupby("act")["mean"].idxmax()].set_index("act")
        if len(cells)
        else cells.set_index("act")
    )
