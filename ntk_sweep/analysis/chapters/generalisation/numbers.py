"""Test losses, measured and predicted by kernels, with the function before training and without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ntk_sweep.analysis.rows.courses import over_epochs, statistics
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.over_seeds import ENDS, history
from ntk_sweep.analysis.rows.runs import Cell, list_cells, rows_of
from ntk_sweep.analysis.rows.setting import Setting
from ntk_sweep.analysis.rows.study import GOOD
from ntk_sweep.data.dataset import SHOWN_DIGITS
from ntk_sweep.store.columns import CELL, NETWORK, TRAINING_SETTING

LOSSES = {
    "measured": "final_test_loss",
    "flow": "flow_test_losses",
    "ntk": "ntk_test_loss",
    "limit": "limit_test_loss",
    "nngp": "nngp_test_loss",
    "left_out": "leave_one_out_loss",
}
"""By their names here the columns of the test loss: measured at the end of training, predicted by
the gradient flow for that time and by kernel regressions, and the leave-one-out loss."""

ACCURACIES = {"measured_accuracy": "final_test_accuracy", "ntk_accuracy": "ntk_test_accuracy"}

COURSES = {"measured": "test_losses", "predicted": "flow_test_losses"}

_APART = [name for name in TRAINING_SETTING if name != "centre_outputs"]


@dataclass(frozen=True)
class Comparison:
    """Runs that differ in network, seed and in whether f or f - f_0 was trained.

    Attributes:
        group: Where they come from.
        setting: How they were trained, f_0 apart.
        n_test: How many test inputs there are.
        name: Part of names of files, unlike every other comparison of the group.
        rows: One a run, those that diverged too.
    """

    group: Group
    setting: Setting
    n_test: int
    name: str
    rows: pd.DataFrame

    @property
    def title(self) -> str:
        """The runs in words."""
        return f"{self.group.title}; {self.setting.title}; {self.n_test} test inputs"


def comparisons(group: Group) -> list[Comparison]:
    """The runs of a group that know test inputs, by these and by setting, in a fixed order."""
    good = group.rows["status"].isin(GOOD) & group.rows["test_losses"].notna()
    rows = group.rows[good]
    prints = sorted(rows["test_fingerprint"].unique())
    found = []
    for values, own in rows.groupby(["test_fingerprint", *_APART], sort=True, dropna=False):
        fingerprint, *known = values
        columns = dict(zip(_APART, known, strict=True)) | {"centre_outputs": False}
        setting = Setting.of(columns)
        name = setting.slug
        if len(prints) > 1:
            name += f"-{fingerprint[:SHOWN_DIGITS]}"
        runs = own.drop_duplicates([*NETWORK, "centre_outputs"])
        found.append(Comparison(group, setting, int(runs["n_test_samples"].iloc[0]), name, runs))
    return found


def outcomes(comparison: Comparison) -> pd.DataFrame:
    """Every loss and accuracy over seeds.

    Returns:
        A row for each network and `centred` (whether f_0 was removed): `act`, `width`, `depth`,
        `centred`, `seeds`; of each of `LOSSES` and `ACCURACIES` the median, `_low` and `_high`.
    """
    lines = []
    for network, centred, own in _parts(comparison):
        line: dict[str, object] = dict(zip(CELL, network, strict=True))
        line |= {"centred": centred, "seeds": len(own)}
        for name, column in (LOSSES | ACCURACIES).items():
            values = _last(own[column])
            ends = statistics(values[:, None])
            line |= {f"{name}{end}": float(one[0]) for end, one in zip(ENDS, ends, strict=True)}
        lines.append(line)
    return pd.DataFrame(lines)


def courses(comparison: Comparison) -> pd.DataFrame:
    """Test losses over epochs, measured and predicted by the flow; as `outcomes`, by `epoch`."""
    assert not comparison.setting.is_flow
    tables = []
    for network, centred, own in _parts(comparison):
        points = over_epochs(own, comparison.setting.epochs, COURSES)
        known = dict(zip(CELL, network, strict=True)) | {"centred": centred}
        tables.append(points.assign(**known))
    table = pd.concat(tables, ignore_index=True)
    first = [*CELL, "centred"]
    return table[[*first, *(name for name in table if name not in first)]]


def ratios(comparison: Comparison, numerator: str, denominator: str) -> np.ndarray:
    """Of each run the ratio of two of `LOSSES`, where both are known and positive."""
    parts = [_last(comparison.rows[LOSSES[name]]) for name in (numerator, denominator)]
    known = [np.isfinite(values) & (values > 0) for values in parts]
    return np.divide(*(values[known[0] & known[1]] for values in parts))


def effect_of_removal(comparison: Comparison, name: str) -> np.ndarray:
    """One of `LOSSES` with f_0 as drawn over that with f_0 removed, of each network and seed."""
    rows = comparison.rows.assign(_value=_last(comparison.rows[LOSSES[name]]))
    wide = rows.pivot(index=NETWORK, columns="centre_outputs", values="_value")
    if len(wide.columns) < 2:
        return np.zeros(0)
    drawn, removed = (wide[centred].to_numpy(float) for centred in (False, True))
    known = np.isfinite(drawn) & np.isfinite(removed) & (removed > 0)
    return drawn[known] / removed[known]


def of_networks(comparison: Comparison, networks: Sequence[Cell]) -> Comparison:
    """The runs of some networks."""
    rows = pd.concat([rows_of(comparison.rows, network) for network in networks])
    return replace(comparison, rows=rows)


def _parts(comparison: Comparison) -> list[tuple[Cell, bool, pd.DataFrame]]:
    """The runs of each network, with f_0 as drawn first."""
    found = []
    for network in list_cells(comparison.rows):
        own = rows_of(comparison.rows, network)
        found += [(network, bool(c), part) for c, part in own.groupby("centre_outputs", sort=True)]
    return found


def _last(values: pd.Series) -> np.ndarray:
    """Numbers, or the last ones of lists; NaN where there is none."""
    lists = [history(value) for value in values]
    return np.array(
        [
            float(value if known is None else known[-1]) if known is None or len(known) else np.nan
            for value, known in zip(values, lists, strict=True)
        ],
        dtype=float,
    )
