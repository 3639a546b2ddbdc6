"""The tables of the kernel's drift: slopes against width, and the kernel before and after."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.drift.numbers import SHOWN, at_the_end, over_seeds, shown_networks
from ntk_sweep.analysis.rows.activations import activation_title
from ntk_sweep.analysis.rows.over_seeds import seeds_note
from ntk_sweep.analysis.rows.runs import Runs, network_title, rows_of
from ntk_sweep.analysis.statistics.bootstrap import LEVEL
from ntk_sweep.analysis.statistics.resampling import RESAMPLES
from ntk_sweep.analysis.writing.entries import DIGITS, Entry, bracket, number, signed
from ntk_sweep.analysis.writing.tables import Table
from ntk_sweep.store.columns import NETWORK

INVERSE_ROOT = -0.5
"""The slope of 1/√width, which is often expected."""

SAME_STEP = 1e-6
"""A slope of η λ_max below which the step is called the same: rounding leaves some 1e-15, and a
rate in units of 1/λ_max no more."""

SHOWN_WIDTHS = 3
"""Widths for each activation and depth in the table: the narrowest, a middle one and the widest;
the figures and the CSV have all."""


def slope_table(runs: Runs, points: pd.DataFrame, fits: pd.DataFrame) -> Table:
    """The slopes to be read, a row for each activation and depth."""
    rows: list[list[Entry]] = []
    for fit in fits.to_dict("records"):
        few = fit["seeds"]
        slope = "—" if np.isnan(fit["slope"]) else signed(fit["slope"])
        if not np.isnan(fit["low"]):
            slope += f" [{signed(fit['low'])}, {signed(fit['high'])}]"
        ends = [number(fit[f"change_{which}"], DIGITS) for which in ("narrowest", "widest")]
        off = "—" if np.isnan(fit["residual"]) else f"{fit['residual']:.2f}"
        step = "—" if np.isnan(fit["step_slope"]) else signed(fit["step_slope"])
        rows.append(
            [activation_title(fit["act"]), fit["depth"], _range(fit), few, *ends, slope, off, step]
        )
    columns = [
        "Activation",
        "depth",
        "widths",
        "seeds",
        "change, narrowest",
        "change, widest",
        "slope",
        "farthest from line",
        "slope of η λ_max",
    ]
    last = int(points["epoch"].max())
    notes = [
        f"Change: ‖Θ_t - Θ_0‖ / ‖Θ_0‖ in the Frobenius norm after {last} epochs, geometric mean "
        "over seeds. Slope: of its logarithm over that of the width, by least squares, with the "
        f"{100 * LEVEL:.0f} % interval of {RESAMPLES} bootstrap resamples of the seeds within each "
        "width; a change of order 1/√width has slope -0.5. Farthest from line: the greatest factor "
        "between a width's mean and the fitted line; where it is large, one slope does not "
        "describe the curve. Slope of η λ_max: of the step in units of 1/λ_max before training.",
    ]
    notes += [*_steps(runs, fits), *_against(runs, fits, INVERSE_ROOT)]
    if len(fits) and fits["seeds"].max() == 1:
        notes.append(
            "One seed: the slopes have no intervals. Add seed=range(0,5) to the command that made "
            "the runs."
        )
    elif len(fits) and fits["seeds"].min() < 5:
        notes.append("With fewer than five seeds a bootstrap interval is too narrow.")
    caption = f"How far the kernel moves in training, against width ({runs.title})"
    return Table(caption, columns, rows, [*notes, *_unfinished(points)])


def end_table(runs: Runs, points: pd.DataFrame) -> Table:
    """Change, λ_min, λ_max and alignment at the end of training.

    For some widths of each activation and depth.
    """
    final = over_seeds(at_the_end(points))
    before = over_seeds(points[points["epoch"] == 0])
    rows: list[list[Entry]] = []
    for act, width, depth in shown_networks(final, SHOWN_WIDTHS):
        line = rows_of(final, (act, width, depth)).iloc[0].to_dict()
        first = rows_of(before, (act, width, depth)).iloc[0].to_dict()
        after = [bracket(line, name) for name in ("change", "lambda_min_ratio", "lambda_max_ratio")]
        aligned = [bracket(one, "alignment") for one in (first, line)]
        rows.append(
            [
                network_title((act, width, depth)),
                int(line["seeds"]),
                bracket(line, "step_trace"),
                *after,
                *aligned,
            ]
        )
    columns = [
        "Network",
        "seeds",
        "η tr Θ / N before",
        "change",
        *(SHOWN[name] for name in ("lambda_min_ratio", "lambda_max_ratio")),
    ]
    columns += ["alignment before", "alignment after"]
    notes = [
        seeds_note(points[points["epoch"] == 0], "each number"),
        "η tr Θ / N: the mean of η Θ_ii over the samples, η being the step size. With batches of "
        "one sample, a step on a sample with η Θ_ii above 1 overshoots by more than it began with; "
        "where most do, the loss falls only if the kernel shrinks.",
    ]
    if points["lambda_min_ratio"].isna().any():
        notes.append(
            "The ratio of λ_min is left out where λ_min does not exceed its error bound, before "
            "training or after."
        )
    return Table(f"The kernel before and after training ({runs.title})", columns, rows, notes)


def slope_text(fit: dict) -> str:
    """A slope with its interval, for a legend."""
    if np.isnan(fit["slope"]):
        return ""
    interval = "" if np.isnan(fit["low"]) else f" [{signed(fit['low'])}, {signed(fit['high'])}]"
    return f"{signed(fit['slope'])}{interval}".replace("-", "\N{MINUS SIGN}")


def _steps(runs: Runs, fits: pd.DataFrame) -> list[str]:
    """How the step in units of 1/λ_max goes with width at the learning rate of the runs."""
    known = fits.dropna(subset=["step_slope"])
    if known.empty:
        return []
    several = fits["depth"].nunique() > 1
    if (known["step_slope"].abs() < SAME_STEP).all():
        return [f"{_at(runs)} the step in units of 1/λ_max is the same at all widths."]
    listed = ", ".join(
        f"{_name(fit, several)} {signed(fit['step_slope'], sign='+')}"
        for fit in known.to_dict("records")
    )
    return [
        f"{_at(runs)} the step in units of 1/λ_max goes with a power of the width: "
        f"{listed}. Slopes of the change are those at this rate, and mix the effect of the width "
        "with that of the step."
    ]


def _against(runs: Runs, fits: pd.DataFrame, slope: float) -> list[str]:
    """Which lines have an interval that holds a slope, and which not, as a sentence."""
    known = fits.dropna(subset=["low", "high"])
    kinds = {
        f"holds {slope:g} for": (known["low"] <= slope) & (slope <= known["high"]),
        "lies below it, so that the change falls faster, for": known["high"] < slope,
        "lies above it but below 0, so that it falls more slowly, for": (known["low"] > slope)
        & (known["high"] < 0),
        "holds 0 and not it, so that no fall with width is seen, for": (known["low"] > slope)
        & (known["low"] <= 0)
        & (known["high"] >= 0),
        "lies above 0, so that the change grows with width, for": known["low"] > 0,
    }
    several = fits["depth"].nunique() > 1
    texts = []
    for words, chosen in kinds.items():
        names = [
            f"{_name(fit, several)} ({signed(fit['slope'], sign='+')})"
            for fit in known[chosen].to_dict("records")
        ]
        texts += [f"{words} {', '.join(names)}"] if names else []
    if not texts:
        return []
    return [f"{_at(runs)} the interval of the slope {'; it '.join(texts)}."]


def _at(runs: Runs) -> str:
    """At which learning rate, as the beginning of a sentence."""
    setting = runs.setting
    return "Under gradient flow" if setting.is_flow else f"At learning rate {setting.rate}"


def _name(fit: dict, several: bool) -> str:
    """An activation, with its depth where there are several."""
    return activation_title(fit["act"]) + (f" × {fit['depth']}" if several else "")


def _range(fit: dict) -> str:
    ends = f"{fit['narrowest']}" if fit["widths"] == 1 else f"{fit['narrowest']} to {fit['widest']}"
    return f"{ends} ({fit['widths']})"


def _unfinished(points: pd.DataFrame) -> list[str]:
    count = points.loc[points["diverged"], NETWORK].drop_duplicates().shape[0]
    if not count:
        return []
    return [
        f"{count} run{'s' if count > 1 else ''} with recorded kernels diverged and "
        f"{'are' if count > 1 else 'is'} left out of slopes."
    ]
