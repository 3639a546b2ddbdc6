"""Two stores side by side: which rows are equal bit for bit, within their bounds, or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ntk_sweep.analysis.page.row_table import every_row
from ntk_sweep.analysis.rows.activations import by_activation
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.store.columns import CELL, NETWORK, TRAINING_SETTING

EQUAL, WITHIN, APART = "equal bit for bit", "within bounds", "not within bounds"
UNBOUNDED = "differs, no bounds"
ONLY_A, ONLY_B, NO_RESULT = "only in A", "only in B", "no result in one"

VERDICTS = (EQUAL, WITHIN, APART, UNBOUNDED, NO_RESULT, ONLY_A, ONLY_B)


@dataclass(frozen=True)
class Comparison:
    """What two groups of rows have in common.

    Attributes:
        title: Which groups.
        rows: A row a point: its coordinates, `verdict`, λ_min or the final loss of both (`a`, `b`),
            `difference`, `ratio` and the sum of the `bounds`.
        cells: A row a cell: how many rows have which verdict, and the geometric mean of `ratio`.
    """

    title: str
    rows: pd.DataFrame
    cells: pd.DataFrame

    @property
    def sentence(self) -> str:
        """How many rows have which verdict."""
        counts = self.rows["verdict"].value_counts()
        told = ", ".join(f"{counts[one]} {one}" for one in VERDICTS if one in counts)
        return f"Of {len(self.rows)} rows {told}."


def compare(first: Sequence[Study], second: Sequence[Study]) -> list[Comparison]:
    """Groups of the same data and scales; of single groups also those of different ones."""
    ours, theirs = ({_identity(one): one for one in found} for found in (first, second))
    pairs = [(ours[name], theirs[name]) for name in ours if name in theirs]
    if not pairs and len(first) == len(second) == 1:
        pairs = [(first[0], second[0])]
    return [_compared(a, b) for a, b in pairs]


def _identity(study: Study) -> tuple[object, ...]:
    group = study.group
    scales = (group.parametrisation, group.weight_std, group.bias_std, group.dtype)
    return (group.fingerprint, *scales)


def _compared(a: Study, b: Study) -> Comparison:
    frames = [every_row(one) for one in (a, b)]
    setting = [name for name in TRAINING_SETTING if all(name in frame for frame in frames)]
    apart = ["task", *NETWORK, *setting]
    merged = frames[0].merge(
        frames[1], on=apart, how="outer", suffixes=("_a", "_b"), indicator=True
    )
    found = [_judged(row) for row in merged.to_dict("records")]
    shown = [name for name in apart if merged[name].notna().any()]
    rows = pd.concat([merged[shown], pd.DataFrame(found, index=merged.index)], axis=1)
    rows = by_activation(rows, [name for name in shown if name != "act"])
    counts = pd.crosstab([rows[name] for name in CELL], rows["verdict"]).reindex(
        columns=[one for one in VERDICTS if one in set(rows["verdict"])]
    )
    logs = np.log(rows["ratio"].where(rows["ratio"] > 0))
    means = np.exp(logs.groupby([rows[name] for name in CELL]).mean()).rename("ratio")
    cells = by_activation(counts.join(means).reset_index(), ["width", "depth"])
    titles = dict.fromkeys([a.group.title, b.group.title])
    return Comparison(" beside ".join(titles), rows, cells)


def _judged(row: dict) -> dict[str, object]:
    """The verdict of a pair of rows, and its numbers."""
    nothing = {"a": np.nan, "b": np.nan, "difference": np.nan, "ratio": np.nan, "bounds": np.nan}
    if row["_merge"] != "both":
        return {"verdict": ONLY_A if row["_merge"] == "left_only" else ONLY_B, **nothing}
    trained = row["task"] == "training"
    if "failed" in (row["status_a"], row["status_b"]):
        return {"verdict": NO_RESULT, **nothing}
    name = "final_loss" if trained else "lambda_min"
    a, b = (float(row[f"{name}_{side}"]) for side in "ab")
    bounds = np.nan if trained else _bound(row, "lambda_min_error")
    with np.errstate(all="ignore"):
        ratio = np.float64(a) / np.float64(b) if b else np.nan
    numbers = {"a": a, "b": b, "difference": a - b, "ratio": ratio, "bounds": bounds}
    return {"verdict": _verdict(row, trained), **numbers}


def _verdict(row: dict, trained: bool) -> str:
    lists = ["losses"] if trained else ["eigenvalues"]
    numbers = [] if trained else ["lambda_min", "lambda_max"]
    pairs = [_pair(row, name) for name in [*lists, *numbers]]
    known = [pair for pair in pairs if pair is not None]
    if known and all(a.tobytes() == b.tobytes() for a, b in known):
        return EQUAL
    if trained:
        return UNBOUNDED
    checked = [("eigenvalues", "eigenvalue_errors"), ("lambda_min", "lambda_min_error")]
    for name, error in checked:
        values, errors = _pair(row, name), _pair(row, error)
        if values is None or errors is None:
            continue
        if values[0].shape != values[1].shape:
            return APART
        if not (np.abs(values[0] - values[1]) <= errors[0] + errors[1]).all():
            return APART
    return WITHIN


def _pair(row: dict, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """A number or list of both rows; None where neither holds it."""
    values = [row.get(f"{name}_{side}") for side in "ab"]
    arrays = [np.atleast_1d(np.asarray(np.nan if one is None else one, float)) for one in values]
    return None if all(np.isnan(one).all() for one in arrays) else (arrays[0], arrays[1])


def _bound(row: dict, name: str) -> float:
    return float(sum(float(row[f"{name}_{side}"]) for side in "ab"))
