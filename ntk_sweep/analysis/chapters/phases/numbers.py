"""What is measured over the plane of σ_w² and σ_b², beside what infinite width and depth say."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.phases.mean_field import known, phase, slope
from ntk_sweep.analysis.rows.cells import cells
from ntk_sweep.analysis.rows.coordinates import values
from ntk_sweep.analysis.rows.over_seeds import history
from ntk_sweep.analysis.rows.quantities import (
    LAMBDA_MIN,
    LIMIT_LAMBDA_MIN,
    QUANTITIES,
    Quantity,
)
from ntk_sweep.analysis.rows.runs import Runs
from ntk_sweep.analysis.rows.study import Study

SCALES = ("weight_std", "bias_std")
"""The axes of the plane."""

LAMBDA_MAX, CONDITION = QUANTITIES["lambda_max"], QUANTITIES["condition_number"]

PLACE = ["act", "width", "depth", *SCALES]


def _change(rows: pd.DataFrame) -> pd.Series:
    """The kernel's change at the end of a run; NaN where it was not recorded."""
    changes = [history(value) for value in rows["kernel_changes"]]
    last = [one[-1] if one is not None and len(one) else np.nan for one in changes]
    return pd.Series(last, rows.index, dtype=float)


DRIFT = Quantity(
    name="drift",
    title="Change of the kernel in training",
    symbol=r"$\|\Theta_t-\Theta_0\|_F\,/\,\|\Theta_0\|_F$",
    words="relative change of the kernel in training",
    definition="‖Θ_t - Θ_0‖ / ‖Θ_0‖ in the Frobenius norm at the end of training",
    value=_change,
    mean="geometric",
    scale="log",
)

SHOWN = (LAMBDA_MIN, LIMIT_LAMBDA_MIN, LAMBDA_MAX, CONDITION, DRIFT)
"""In the order of the figure's rows."""


def is_plane(study: Study) -> bool:
    """Whether some networks have results at two scales of the weights and two of the biases."""
    if not set(SCALES) <= set(study.group.across):
        return False
    return bool(planes(study.cells()))


def planes(table: pd.DataFrame) -> list[tuple[str, int]]:
    """The activations and widths with a plane, in the order of the frame."""
    found = []
    for (act, width), own in table[table["seeds"] > 0].groupby(["act", "width"], sort=False):
        if all(len(values(own[name])) > 1 for name in SCALES):
            found.append((str(act), int(width)))
    return found


def trained(study: Study) -> Runs | None:
    """The runs that recorded their kernels, of the way of training with most of them."""
    counted = [(int(DRIFT.value(one.rows).notna().sum()), one) for one in study.runs]
    most = max(counted, key=lambda pair: pair[0], default=(0, None))
    return most[1] if most[0] else None


def measured(study: Study, runs: Runs | None) -> dict[str, pd.DataFrame]:
    """The cells of each of `SHOWN` that there is, by its name."""
    found = {one.name: study.cells(one) for one in SHOWN if one is not DRIFT}
    if runs is not None:
        found[DRIFT.name] = cells(runs.rows, DRIFT, study.group.coordinates)
    return found


def together(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """A row for each cell: geometric means over seeds, χ_1 and the phase by mean-field theory.

    Returns:
        `act`, `width`, `depth`, `weight_std`, `bias_std`, `seeds`, `chi` (NaN for an activation
        whose moments are not known), `phase`, and a column for each of `SHOWN`.
    """
    first = tables[LAMBDA_MIN.name]
    table = first[first["seeds"] > 0][[*PLACE, "seeds"]]
    scales = table[["act", *SCALES]].drop_duplicates()
    chi = [
        slope(act, weight, bias) if known(act) else np.nan
        for act, weight, bias in scales.itertuples(index=False)
    ]
    named = [phase(one) if np.isfinite(one) else "unknown" for one in chi]
    table = table.merge(scales.assign(chi=chi, phase=named), on=["act", *SCALES], how="left")
    for name, own in tables.items():
        column = own[[*PLACE, "geometric_mean"]].rename(columns={"geometric_mean": name})
        table = table.merge(column, on=PLACE, how="left")
    return table


def layers(table: pd.DataFrame) -> pd.DataFrame:
    """By which factor a layer more multiplies λ_min, between the two greatest depths of a network.

    Args:
        table: From `together`.

    Returns:
        `act`, `width`, `weight_std`, `bias_std`, `chi`, `phase`, `shallow` and `deep` (the depths),
        `measured`, and `predicted`, that of the limit kernel; NaN where a λ_min is unresolved.
    """
    lines = []
    for place, own in table.groupby(["act", "width", *SCALES], sort=False, dropna=False):
        if len(own) < 2:
            continue
        first, last = own.sort_values("depth").iloc[-2:].to_dict("records")
        count = last["depth"] - first["depth"]
        line = dict(zip(["act", "width", *SCALES], place, strict=True))
        line |= {"chi": last["chi"], "phase": last["phase"]}
        line |= {"shallow": first["depth"], "deep": last["depth"]}
        for name, quantity in (("measured", LAMBDA_MIN), ("predicted", LIMIT_LAMBDA_MIN)):
            line[name] = (last[quantity.name] / first[quantity.name]) ** (1 / count)
        lines.append(line)
    columns = ["act", "width", *SCALES, "chi", "phase", "shallow", "deep", "measured", "predicted"]
    return pd.DataFrame(lines, columns=columns)
