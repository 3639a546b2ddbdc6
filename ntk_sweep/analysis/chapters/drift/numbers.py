"""How far the kernel moves during training, over epochs and over width.

Measured by ‖Θ_t - Θ_0‖_F / ‖Θ_0‖_F, λ_min, λ_max and alignment.

The theory of constant kernels needs the change to vanish with width; under which scaling it does,
and how fast, is measured here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ntk_sweep.analysis.drawing.axes import spread
from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows.columns import LINE
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.over_seeds import ENDS, history
from ntk_sweep.analysis.rows.runs import Runs, list_cells
from ntk_sweep.analysis.statistics.bootstrap import LEVEL
from ntk_sweep.analysis.statistics.resampling import RESAMPLES, RNG_SEED
from ntk_sweep.store.columns import CELL, NETWORK

EXPERIMENT = "+experiment=drift"
"""What trains networks and records their kernels."""

SHOWN = {
    "change": "change of the kernel",
    "lambda_min_ratio": "λ_min, after over before",
    "lambda_max_ratio": "λ_max, after over before",
    "alignment": "alignment",
}

OVER_SEEDS = (*SHOWN, "step_trace")
"""What is put together over seeds."""

_FIT = [
    *LINE,
    "widths",
    "seeds",
    "narrowest",
    "widest",
    "change_narrowest",
    "change_widest",
    "slope",
    "low",
    "high",
    "level",
    "residual",
    "step_slope",
]


def drift(runs: Runs) -> pd.DataFrame:
    """The recorded kernels, a row for each run and epoch.

    Returns:
        act, width, depth, seed, `epoch`, `diverged` (the run), `change`, `lambda_min`,
        `lambda_min_error`, `lambda_max`, `alignment`, `lambda_min_ratio` and `lambda_max_ratio` to
        epoch 0, and, before training, `step_trace`, η tr Θ / N, and `step_lambda_max`, η λ_max. The
        ratio of λ_min is missing where one of the two does not exceed its error bound.

    Raises:
        AnalysisError: No run recorded its kernel.
    """
    if not recorded(runs):
        raise AnalysisError(missing(runs.group))
    rows = runs.rows[_recorded(runs.rows)]
    tables = []
    for _, row in rows.iterrows():
        least, error = (
            np.asarray(row[name], dtype=float)
            for name in ("kernel_lambda_min", "kernel_lambda_min_errors")
        )
        greatest = np.asarray(row["kernel_lambda_max"], dtype=float)
        resolved = np.where(least > error, least, np.nan)
        tables.append(
            pd.DataFrame(
                {
                    **{name: row[name] for name in NETWORK},
                    "epoch": np.asarray(row["kernel_epochs"], dtype=int),
                    "diverged": row["status"] == "diverged",
                    "change": np.asarray(row["kernel_changes"], dtype=float),
                    "lambda_min": least,
                    "lambda_min_error": error,
                    "lambda_max": greatest,
                    "alignment": np.asarray(row["kernel_alignments"], dtype=float),
                    "lambda_min_ratio": resolved / resolved[0],
                    "lambda_max_ratio": greatest / greatest[0],
                    "step_trace": row["step_size"] * row["trace"] / row["n_samples"],
                    "step_lambda_max": row["step_size"] * row["lambda_max"],
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def recorded(runs: Runs) -> bool:
    """Whether a run of these recorded its kernel."""
    return bool(_recorded(runs.rows).any())


def missing(group: Group) -> str:
    """That no kernel was recorded, and what records them."""
    return (
        f"{group.title}: no run recorded its kernel during training: make such runs with\n"
        f"  {group.command(EXPERIMENT)}\n"
        "or add task.record_kernel_every=10 to any training run"
    )


def over_seeds(points: pd.DataFrame) -> pd.DataFrame:
    """`drift` over seeds.

    For each network and epoch `seeds`, and of each of `OVER_SEEDS` the median, `_low` and `_high`.
    """
    grouped = points.replace([np.inf, -np.inf], np.nan).groupby([*CELL, "epoch"], sort=False)
    table = grouped.agg(seeds=("seed", "nunique"))
    for name in OVER_SEEDS:
        for end, statistic in zip(ENDS, ("median", "min", "max"), strict=True):
            table[f"{name}{end}"] = grouped[name].agg(statistic)
    return table.reset_index()


def at_the_end(points: pd.DataFrame) -> pd.DataFrame:
    """The last epoch of all, of the runs that came so far.

    Diverged runs are not at their end, but where they broke off.
    """
    return points[(points["epoch"] == points["epoch"].max()) & ~points["diverged"]]


def slopes(points: pd.DataFrame) -> pd.DataFrame:
    """Least-squares lines through log(final change) over log(width), by activation and depth.

    A point of the fit is the mean over seeds of the logarithm at a width. The interval is the
    bootstrap's: seeds are drawn anew, with replacement, within each width, whose weights are
    independent of those of other widths; its ends are quantiles of the slopes. It holds the scatter
    over seeds only, not how far the points are from a line.

    Args:
        points: From `drift`.

    Returns:
        `act`, `depth`, `widths` (how many), `seeds` (the fewest at a width), `narrowest`, `widest`,
        the geometric means of the change there (`change_narrowest`, `change_widest`), `slope`,
        `low` and `high` (NaN with one seed), `level` (the line at width 1), `residual`, the
        greatest factor between a width's mean and the line, and `step_slope`, the slope of
        log(η λ_max before training) in the same runs. No slope below two widths, and no row without
        a run that came to its end.
    """
    final = at_the_end(points)
    final = final[np.isfinite(final["change"]) & (final["change"] > 0)]
    rng = np.random.default_rng(RNG_SEED)
    lines = []
    for (act, depth), own in final.groupby(LINE, sort=False):
        widths = np.sort(own["width"].unique())
        logs = [np.log(own.loc[own["width"] == width, "change"].to_numpy()) for width in widths]
        means = np.array([values.mean() for values in logs])
        few = min(map(len, logs))
        line = {"act": act, "depth": int(depth), "widths": len(widths), "seeds": few}
        line |= {"narrowest": int(widths[0]), "widest": int(widths[-1])}
        line |= {
            "change_narrowest": float(np.exp(means[0])),
            "change_widest": float(np.exp(means[-1])),
        }
        steps = np.log(own["step_lambda_max"]).groupby(own["width"]).mean().to_numpy()
        line |= _fit(np.log(widths), logs, means, few, rng)
        lines.append(line | {"step_slope": _slope(np.log(widths), steps)})
    return pd.DataFrame(lines, columns=_FIT)


def shown_networks(points: pd.DataFrame, most: int) -> list[tuple[str, int, int]]:
    """For each activation and depth at most `most` of its widths, evenly chosen."""
    networks = list_cells(points)
    lines = dict.fromkeys((act, depth) for act, _, depth in networks)
    chosen = {
        line: spread([width for act, width, depth in networks if (act, depth) == line], most)
        for line in lines
    }
    return [(act, width, depth) for (act, depth), widths in chosen.items() for width in widths]


def _fit(
    x: np.ndarray, logs: Sequence[np.ndarray], means: np.ndarray, few: int, rng: np.random.Generator
) -> dict[str, float]:
    """Slope, interval and greatest residual of the line through `means` over `x`."""
    nothing = dict.fromkeys(("slope", "low", "high", "level", "residual"), np.nan)
    if len(x) < 2:
        return nothing
    pull, slope = _pull(x), _slope(x, means)
    centred = x - x.mean()
    off = np.abs(means - means.mean() - slope * centred).max()
    fitted = nothing | {
        "slope": slope,
        "level": float(np.exp(means.mean() - slope * x.mean())),
        "residual": float(np.exp(off)),
    }
    if few > 1:
        drawn = [
            values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
            for values in logs
        ]
        slopes = sum(weight * values for weight, values in zip(pull, drawn, strict=True))
        low, high = np.quantile(slopes, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        fitted |= {"low": float(low), "high": float(high)}
    return fitted


def _pull(x: np.ndarray) -> np.ndarray:
    """How much each value counts in the slope over `x`."""
    centred = x - x.mean()
    return centred / (centred**2).sum()


def _slope(x: np.ndarray, values: np.ndarray) -> float:
    """By least squares; NaN below two points."""
    # Sums and not products of BLAS, whose last digit depends on where an array lies in memory.
    return float((_pull(x) * values).sum()) if len(x) > 1 else np.nan


def _recorded(rows: pd.DataFrame) -> pd.Series:
    known = [history(value) for value in rows["kernel_epochs"]]
    return pd.Series([epochs is not None and len(epochs) > 0 for epochs in known], rows.index)
