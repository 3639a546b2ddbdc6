"""How fast the loss falls along the gradient flow, in units of the rate of λ_min.

With L = (1/N) Σ (f - y)² and a constant kernel L(t) ≤ L(0) exp(-4 λ_min t/N), and -d log L/dt falls
to 4 λ_min/N of the least mode that the residual has a part in (docs/theory/training.md). Units are
those of the kernel before training.

Rates are secants: a kinked kernel jumps, and brings back fast components that a rate at one time
would show and the next would not.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ntk_sweep.analysis.rows.over_seeds import ENDS, history
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN, trusted
from ntk_sweep.analysis.rows.runs import Runs
from ntk_sweep.store.columns import CELL, NETWORK

STEP = 0.5
"""Decades of the loss between two levels at which a rate is known; it is of the decade around."""

FACTOR = 2.0
"""How near 4 λ_min/N a rate is called that of λ_min; a choice."""

LEAST_HOLD = 1.0
"""Decades over which a rate must stay near: a jumping one comes near by chance."""

SETTLED_DECADES, SETTLED_CHANGE = 3.0, 0.1
"""A rate that changes by at most this share over the last decades is called settled; a choice."""

REACHED = 2.0
"""Decades below L(0), 1 %, to which times are given."""

_RUN = [
    *("initial_loss", "final_loss", "unit", "final_rate", "settled"),
    *("onset", "onset_loss", "onset_time", "end_time", "own_onset"),
    *("kernel_drift", "time", "predicted_time", "missed"),
]
_CURVE = ["level", "relative_loss", "rate"]


def resolved(runs: Runs) -> pd.DataFrame:
    """The rows with a result whose λ_min exceeds its error bound."""
    return runs.rows[trusted(runs.rows, LAMBDA_MIN).notna()]


def curves(rows: pd.DataFrame) -> pd.DataFrame:
    """The rate of every run at every level.

    Args:
        rows: From `resolved`.

    Returns:
        `act`, `width`, `depth`, `seed`, `level` (decades below L(0)), `relative_loss` (L/L(0)) and
        `rate`, in units of 4 λ_min/N.
    """
    tables = []
    for _, row in rows.iterrows():
        levels, rates, _ = _secants(*_passages(row["times"], row["losses"]))
        known = {name: row[name] for name in NETWORK}
        rates = rates / unit(row)
        values = dict(zip(_CURVE, (levels, 10.0**-levels, rates), strict=True))
        tables.append(pd.DataFrame(known | values))
    if not tables:
        return pd.DataFrame(columns=[*NETWORK, *_CURVE])
    return pd.concat(tables, ignore_index=True)


def ends(rows: pd.DataFrame) -> pd.DataFrame:
    """Where every run comes to, and when λ_min begins to matter.

    Args:
        rows: From `resolved`.

    Returns:
        A row a run: `act`, `width`, `depth`, `seed`, `initial_loss`, `final_loss`, `unit` (4
        λ_min/N), `final_rate` (in units; NaN where the loss falls by less than a decade), `settled`
        (whether it is; None where the flow is too short to tell), `onset` and `onset_loss` (L/L(0)
        and L from which the rate stays within `FACTOR` of the unit, for `LEAST_HOLD` decades or
        more; 0 for never), `onset_time` and `end_time` (in parts of 1/unit; the former infinite for
        never), `own_onset` (L/L(0) from which the rate stays within `FACTOR` of the final one, NaN
        where that is not settled; it is `onset` for a kernel that moves), `kernel_drift` at the
        end, `time` and `predicted_time` to 1 % of L(0), measured and with the kernel constant
        (infinite where not reached), and `missed`, the share of steps that miss the tolerance.
    """
    values = [{name: row[name] for name in NETWORK} | _end(row) for _, row in rows.iterrows()]
    return pd.DataFrame(values, columns=[*NETWORK, *_RUN])


def unit(row: pd.Series) -> float:
    """4 λ_min/N of the kernel before training, the rate of the bound."""
    return 4.0 * float(row["lambda_min"]) / float(row["n_samples"])


def near(rates: np.ndarray | pd.Series) -> np.ndarray:
    """Which rates are within `FACTOR` of the unit."""
    values = np.asarray(rates, dtype=float)
    return (values >= 1 / FACTOR) & (values <= FACTOR)


def medians(points: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Curves over the runs that share the columns `by`, at the levels that most of them reach.

    Args:
        points: From `curves`.
        by: Such as the coordinates of a network.

    Returns:
        `by`, `level`, `relative_loss`, `runs` (which reach it) and of `rate` the median, `_low` and
        `_high`.
    """
    runs = points.groupby(by, sort=False)[NETWORK].apply(lambda own: len(own.drop_duplicates()))
    grouped = points.groupby([*by, "level"], sort=False)
    table = grouped.agg(relative_loss=("relative_loss", "first"), runs=("rate", "size"))
    for end, statistic in zip(ENDS, ("median", "min", "max"), strict=True):
        table[f"rate{end}"] = grouped["rate"].agg(statistic)
    table = table.reset_index()
    every = table[by].merge(runs.rename("_all").reset_index(), on=by, how="left")["_all"]
    return table[2 * table["runs"] > every.to_numpy()].reset_index(drop=True)


def all_seeds(values: pd.DataFrame, holds: np.ndarray | pd.Series) -> pd.Series:
    """Of each network whether something holds of all its runs."""
    marked = values[CELL].assign(_holds=np.asarray(holds, dtype=bool))
    return marked.groupby(CELL, sort=False)["_holds"].all()


def _end(row: pd.Series) -> dict[str, object]:
    decades, times = _passages(row["times"], row["losses"])
    levels, rates, when = _secants(decades, times)
    known, first = unit(row), float(row["losses"][0])
    rates = rates / known
    place = _onset(rates)
    level = levels[place] if place < len(levels) else np.inf
    drifts = history(row["kernel_drifts"])
    steps = len(row["times"]) - 1
    missed = float(row["flow_steps_missed"])
    settled = _settled(levels, rates)
    values = (
        *(first, float(row["losses"][-1]), known),
        *(rates[-1] if len(rates) else np.nan, settled),
        *(10.0**-level, first * 10.0**-level),
        known * when[place] if place < len(levels) else np.inf,
        known * float(row["times"][-1]),
        10.0 ** -levels[_onset(rates / rates[-1])] if settled else np.nan,
        drifts[-1] if drifts is not None and len(drifts) else np.nan,
        _reached(decades, times),
        _reached(*_passages(row["times"], row["flow_losses"])),
        missed / steps if steps and np.isfinite(missed) else np.nan,
    )
    return dict(zip(_RUN, values, strict=True))


def _passages(times: object, losses: object) -> tuple[np.ndarray, np.ndarray]:
    """Decades below L(0), increasing, and when the loss is below each of them for good.

    The flow itself never rises. Steps across kinks may.
    """
    t, values = np.asarray(times, dtype=float), np.asarray(losses, dtype=float)
    good = np.isfinite(values) & (values > 0)
    if not good[:1].all() or not len(values):
        return np.zeros(0), np.zeros(0)
    first = values[0]
    t, values = t[good], values[good]
    rest = np.maximum.accumulate(values[::-1])[::-1]
    last = np.append(rest[1:] < rest[:-1], True)
    # A ratio could underflow where neither logarithm does.
    return np.log10(first) - np.log10(rest[last]), t[last]


def _secants(decades: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levels, -Δ log L/Δt over the decade around each, and when each is passed."""
    if not len(decades):
        return np.zeros(0), np.zeros(0), np.zeros(0)
    levels = STEP * np.arange(int(np.floor(max(decades[-1], 0.0) / STEP)) + 1)
    when = np.interp(levels, decades, times)
    if len(levels) < 3:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    rates = 2 * STEP * np.log(10) / (when[2:] - when[:-2])
    return levels[1:-1], rates, when[1:-1]


def _onset(rates: np.ndarray) -> int:
    """The first place from which all rates are near the unit; their number for never."""
    far = np.flatnonzero(~near(rates))
    place = int(far[-1]) + 1 if len(far) else 0
    return place if (len(rates) - 1 - place) * STEP >= LEAST_HOLD else len(rates)


def _settled(levels: np.ndarray, rates: np.ndarray) -> bool | None:
    if not len(levels) or levels[-1] - levels[0] < SETTLED_DECADES:
        return None
    last = rates[levels >= levels[-1] - SETTLED_DECADES]
    return bool(last.max() <= (1 + SETTLED_CHANGE) * last.min())


def _reached(decades: np.ndarray, times: np.ndarray) -> float:
    """When 1 % of L(0) is reached; infinite where it is not."""
    if not len(decades) or decades[-1] < REACHED:
        return np.inf
    return float(np.interp(REACHED, decades, times))
