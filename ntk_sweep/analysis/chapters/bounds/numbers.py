"""The bounds that λ_min gives for the loss of a run, and whether it keeps them.

With L = (1/N) Σ (f - y)² gradient flow of the linearised network has L(t) ≤ L(0) exp(-(4/N) λ_min
t). Du et al. (2019) take the loss ½ Σ (y - f)²; in our terms their bound (1 - η' λ_min/2)^k, with
the step η' = 2η/N of the same descent, is (1 - η λ_min/N)^k after k steps. The thesis draws (1 - η
λ_min/2)^k with its own η, and k in epochs. None of the three is a theorem for stochastic gradient
descent on a network of finite width.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows.over_seeds import ENDS
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN, trusted
from ntk_sweep.analysis.rows.runs import (
    Runs,
    list_cells,
    rows_of,
)
from ntk_sweep.dynamics.bounds import du_bound, flow_bound
from ntk_sweep.dynamics.training_time import TrainingTime
from ntk_sweep.store.columns import CELL

TITLES = {
    "flow": "gradient flow",
    "du": "Du et al., k in steps",
    "thesis": "as the thesis draws it, k in epochs",
}


def bound_values(runs: Runs) -> pd.DataFrame:
    """The bounds of every run after each epoch, beside its loss.

    Args:
        runs: Those whose λ_min is not resolved, or whose loss overflows before training, are left
            out: there is no bound to draw.

    Returns:
        A row for each run and epoch: act, width, depth, seed, `epoch`, `loss` (infinite after a run
        diverged, NaN after it stopped at the loss asked for) and the bounds `flow`, `du` and
        `thesis`, of λ_min less its error bound; NaN where
        the step is so large that the factor is negative.

    Raises:
        AnalysisError: λ_min is resolved in none of the runs.
    """
    known = trusted(runs.rows.assign(status="ok"), LAMBDA_MIN) - runs.rows[
        "lambda_min_error"
    ].astype(float)
    known = known.where(np.isfinite(runs.rows["initial_loss"].astype(float)))
    if known.isna().all():
        hint = (
            ": networks of dtype=float64 have smaller errors"
            if runs.group.dtype == "float32"
            else ""
        )
        raise AnalysisError(
            f"{runs.title}: λ_min does not exceed its error bound in any run, so there is no bound "
            f"to compare with{hint}"
        )
    epochs = np.arange(runs.setting.epochs + 1)
    tables = []
    for place, row in runs.rows[known.notna()].iterrows():
        least, first, eta = float(known[place]), float(row["initial_loss"]), float(row["step_size"])
        time = TrainingTime(runs.group.n_samples, runs.setting.batch_size, eta)
        steps = time.steps(epochs)
        losses = np.asarray(row["losses"], dtype=float)
        padded = np.full(len(epochs), np.inf if row["status"] == "diverged" else np.nan)
        padded[: len(losses)] = np.where(np.isfinite(losses), losses, np.inf)
        tables.append(
            pd.DataFrame(
                {
                    **{name: row[name] for name in (*CELL, "seed")},
                    "epoch": epochs,
                    "loss": padded,
                    "flow": flow_bound(first, least, runs.group.n_samples, time.flow_time(steps)),
                    "du": du_bound(first, least, runs.group.n_samples, eta, steps)
                    if eta * least <= runs.group.n_samples
                    else np.nan,
                    "thesis": first * (1 - eta * least / 2) ** epochs
                    if eta * least <= 2
                    else np.nan,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def violations(values: pd.DataFrame) -> pd.DataFrame:
    """Whether and when the loss exceeds a bound.

    Args:
        values: From `bound_values`.

    Returns:
        A row for each network and bound: `seeds` (with the bound), `exceeding` (how many of them
        ever do), `first`, `first_low` and `first_high` epoch at which the loss exceeds the bound
        (over those seeds), `epochs` (in which share of all epochs it does), and `ratio`,
        `ratio_low`, `ratio_high`: the final loss over the bound then. Epochs after a run stopped do
        not count.
    """
    rows = []
    for network in list_cells(values):
        for name in TITLES:
            own = rows_of(values, network).dropna(subset=[name, "loss"])
            # Before training, loss and bound are the same number.
            above = own[(own["epoch"] > 0) & (own["loss"] > own[name])]
            first = above.groupby("seed")["epoch"].min()
            final = own.groupby("seed").tail(1)
            ratio = (final["loss"] / final[name]).to_numpy()
            line: dict[str, object] = dict(zip(CELL, network, strict=True))
            line |= {"bound": name, "seeds": own["seed"].nunique(), "exceeding": len(first)}
            line |= dict(
                zip((f"first{end}" for end in ENDS), _ends(first.to_numpy(float)), strict=True)
            )
            line |= {"epochs": len(above) / max((own["epoch"] > 0).sum(), 1)}
            line |= dict(zip((f"ratio{end}" for end in ENDS), _ends(ratio), strict=True))
            rows.append(line)
    return pd.DataFrame(rows)


def relative(values: pd.DataFrame) -> pd.DataFrame:
    """Loss and bounds over the loss before training of the same run, over seeds.

    What remains of the spread of a bound is that of λ_min.

    Args:
        values: From `bound_values`.

    Returns:
        A row for each network and epoch: act, width, depth, `epoch`, `seeds`, and of `loss` and
        each bound the median and, as `NAME_low` and `NAME_high`, the least and greatest finite
        value.
    """
    names = ["loss", *TITLES]
    runs = values.groupby([*CELL, "seed"], sort=False)["loss"]
    first = runs.transform("first")
    # A run that stopped keeps its last loss, as in the figures of training.
    parts = values.assign(loss=runs.ffill())
    parts[names] = parts[names].div(first, axis=0)
    by = [*CELL, "epoch"]
    finite = parts.replace(np.inf, np.nan).groupby(by, sort=False)
    grouped = parts.groupby(by, sort=False)
    ends = (
        grouped["seed"].nunique().rename("seeds"),
        grouped[names].median(),
        finite[names].min().add_suffix("_low"),
        finite[names].max().add_suffix("_high"),
    )
    return pd.concat(ends, axis=1).reset_index()


def _ends(values: np.ndarray) -> tuple[float, float, float]:
    """Median, least and greatest; NaN of nothing."""
    if not len(values):
        return np.nan, np.nan, np.nan
    return float(np.median(values)), float(values.min()), float(values.max())
