"""How fast the kernel comes to its infinite-width limit.

The distance ‖Θ - Θ̄‖_F / ‖Θ̄‖_F is drawn against width, on logarithmic axes.

For one draw the distance is O(1/√n) (Jacot, Gabriel and Hongler 2018; docs/theory/limit.md), a line
of slope -1/2.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.needs import a_result, missing
from ntk_sweep.analysis.drawing.axes import grid, log_ticks, spread, width_ticks
from ntk_sweep.analysis.drawing.looks import ordered_looks
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.rows.activations import activation_title, activations, by_activation
from ntk_sweep.analysis.rows.columns import LINE
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.quantities import LIMIT_DISTANCE, trusted
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.statistics.bootstrap import LEVEL
from ntk_sweep.analysis.writing.content import Content, NamedFigure, NamedTable, Section
from ntk_sweep.analysis.writing.entries import Entry, signed
from ntk_sweep.analysis.writing.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAND = (0.16, 0.84)
"""Quantiles over seeds between which the band lies: two thirds of the seeds, what ± one standard
deviation is for a Gaussian."""

MOST_LINES = 5
"""Depths drawn: the curves are noisy and close, and more of them hide one another. All stand in the
table."""


BELOW = 0.3
"""Where the reference line runs, in parts of the median curve: below most means, and in sight of
them."""


def distances(rows: pd.DataFrame) -> pd.DataFrame:
    """The distance from the limit over seeds.

    The columns are `act`, `depth`, `width`, `seeds`, `mean`, `sd`, `low` and `high` (see `BAND`).

    Args:
        rows: One row a network, of one group; without a positive distance they are left out.
    """
    table = (
        rows[[*LINE, "width"]].assign(value=trusted(rows, LIMIT_DISTANCE)).dropna(subset="value")
    )
    grouped = table.groupby([*LINE, "width"], sort=False)["value"]
    result = grouped.agg(seeds="size", mean="mean", sd="std")
    for name, level in zip(("low", "high"), BAND, strict=True):
        result[name] = grouped.quantile(level)
    return by_activation(result.reset_index(), ["depth", "width"])


def widths_missing(points: pd.DataFrame) -> str:
    """What is not there for a convergence with width, as a sentence; empty if everything is."""
    widths = points["width"].unique()
    if len(widths) == 0:
        return "No row holds a distance from the infinite-width kernel."
    return (
        f"All rows have the same width ({widths[0]}), and convergence needs at least two."
        if len(widths) == 1
        else ""
    )


def slopes(points: pd.DataFrame) -> pd.DataFrame:
    """Least-squares lines through log(mean distance) over log(width), by activation and depth.

    The seeds' mean is fitted and not the seeds themselves, whose logarithms have a long lower tail:
    where one error dominates, such as that of the largest eigenvalue, it may be near zero. Weights
    of different widths are independent.

    Args:
        points: From `distances`.

    Returns:
        `act`, `depth`, `widths` and `seeds` (how many; the fewest at a width), `slope`,
        `half_width` of its 95 % interval by Student's t (NaN below three widths), `narrowest` and
        `widest` width, and the mean distance at the widest. No slope below two widths.
    """
    lines = []
    for (act, depth), line in points.groupby(LINE, sort=False):
        slope, half = _fit(
            np.log(line["width"].to_numpy(float)), np.log(line["mean"].to_numpy(float))
        )
        last = line.iloc[-1]
        lines.append(
            {
                "act": act,
                "depth": depth,
                "widths": len(line),
                "seeds": line["seeds"].min(),
                "slope": slope,
                "half_width": half,
                "narrowest": line["width"].iloc[0],
                "widest": last["width"],
                "distance_at_widest": last["mean"],
            }
        )
    return pd.DataFrame(lines)


def pooled(points: pd.DataFrame) -> tuple[float, float, float]:
    """One slope for all depths of an activation: parallel lines, each depth at a height of its own.

    Args:
        points: From `distances`, of one activation.

    Returns:
        The slope, half of its 95 % interval by Student's t, and the mean over depths of the lines
        at width 1, by logarithms. NaN where no depth has two widths, or nothing is left to tell the
        scatter by.
    """
    table = points.assign(x=np.log(points["width"]), y=np.log(points["mean"]))
    table = table[table.groupby("depth")["width"].transform("size") > 1]
    means = table.groupby("depth")[["x", "y"]].mean()
    if means.empty:
        return np.nan, np.nan, np.nan
    centred = table[["x", "y"]] - means.loc[table["depth"]].to_numpy()
    slope, half = _line(centred["x"].to_numpy(), centred["y"].to_numpy(), len(means))
    return slope, half, float(np.exp((means["y"] - slope * means["x"]).mean()))


def slope_table(group: Group, fits: pd.DataFrame) -> Table:
    """The slopes to be read, a row a depth and a column an activation."""
    acts = activations(fits["act"])
    known = fits.set_index(LINE)
    rows: list[list[Entry]] = []
    for depth in sorted(fits["depth"].unique()):
        entries = [
            _text(known.loc[(act, depth)]) if (act, depth) in known.index else "—" for act in acts
        ]
        rows.append([int(depth), *entries])
    widths = f"{fits['narrowest'].min()} to {fits['widest'].max()}"
    few, many = fits["seeds"].min(), fits["seeds"].max()
    seeds = f"{few} seed{'s' if few > 1 else ''}" if few == many else f"{few} to {many} seeds"
    notes = [
        "Slope of log(mean over seeds of the distance ‖Θ - Θ̄‖ / ‖Θ̄‖) over log(width) ± half of "
        f"its 95 % interval, by least squares over widths {widths}, {seeds} at each; a distance of "
        "order 1/√width has slope -0.5."
    ]
    caption = f"Convergence with width: fitted slopes by depth and activation ({group.title})"
    return Table(caption, ["Depth", *map(activation_title, acts)], rows, notes)


def convergence_figure(
    points: pd.DataFrame, fits: pd.DataFrame, act: str, subtitle: str = ""
) -> Figure:
    """The distance against width for an activation, a line a depth.

    Of single seeds, whose lines would cross one another everywhere, points and one line for all
    depths. All activations of `points` get the same axes.

    Args:
        points: From `distances`.
        fits: From `slopes`.
        act: The activation.
        subtitle: A second line of the title, such as the data set.
    """
    from matplotlib.figure import Figure

    own = points[points["act"] == act]
    known = fits[fits["act"] == act].set_index("depth")
    depths = shown_depths(points, act)
    every = sorted(points["depth"].unique())
    looks = ordered_looks(every)
    together = _is_pooled(own)
    with style():
        figure = Figure(figsize=(6.2, 3.7), layout="constrained")
        axes = figure.add_subplot()
        axes.set(xscale="log", yscale="log", xlabel="width", ylabel=LIMIT_DISTANCE.symbol)
        for depth in depths:
            line = own[own["depth"] == depth]
            look = looks[depth]
            if (line["seeds"] > 1).any():
                axes.fill_between(
                    line["width"],
                    line["low"],
                    line["high"],
                    color=look.colour,
                    alpha=0.13,
                    linewidth=0,
                )
            axes.plot(
                line["width"],
                line["mean"],
                linestyle="none" if together else "-",
                marker=look.marker,
                color=look.colour,
                markersize=3.2,
                linewidth=1.1,
                label=_legend(known.loc[depth]),
            )
        if together:
            _pooled_line(axes, own)
        _reference(axes, own)
        limits = _limits(points)
        axes.set_ylim(*limits)
        width_ticks(axes.xaxis, points["width"])
        log_ticks(axes.yaxis, *limits)
        grid(axes)
        axes.set_title(activation_title(act) + (f"\n{subtitle}" if subtitle else ""), fontsize=9.5)
        figure.legend(
            loc="outside right center",
            fontsize=8,
            title="depth: slope, 95 % interval",
            title_fontsize=8,
            alignment="left",
        )
        return figure


def alt_text(points: pd.DataFrame, fits: pd.DataFrame, act: str) -> str:
    """The figure in words, for those who cannot see it."""
    own, known = points[points["act"] == act], fits[fits["act"] == act]
    lines = "one line for all and points" if _is_pooled(own) else "a line"
    text = (
        f"Relative distance of the kernel of {activation_title(act)} networks from the "
        f"infinite-width kernel against width, on logarithmic axes, {lines} for each of "
        f"{len(shown_depths(points, act))} depths beside a reference line of slope -1/2. Means run "
        f"from {own['mean'].min():.2g} to {own['mean'].max():.2g}"
    )
    slope = known["slope"].dropna()
    if len(slope):
        text += f"; fitted slopes run from {slope.min():.2f} to {slope.max():.2f}"
    return text + "."


def shown_depths(points: pd.DataFrame, act: str) -> list[int]:
    """The depths of an activation that are drawn: all, or `MOST_LINES` evenly chosen."""
    return spread(sorted(map(int, points.loc[points["act"] == act, "depth"].unique())), MOST_LINES)


def _fit(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope of the least-squares line, and half of its confidence interval."""
    return _line(x - x.mean(), y - y.mean(), 1) if len(x) > 1 else (np.nan, np.nan)


def _line(dx: np.ndarray, dy: np.ndarray, means: int) -> tuple[float, float]:
    """The same of what is left after taking out some means."""
    from scipy.special import stdtrit

    free = len(dx) - means - 1
    # Sums and not products of BLAS, whose last digit depends on where an array lies in memory.
    square = (dx**2).sum()
    slope = float((dx * dy).sum() / square)
    if free < 1:
        return slope, np.nan
    rest = dy - slope * dx
    return slope, float(stdtrit(free, (1 + LEVEL) / 2) * np.sqrt((rest**2).sum() / free / square))


def _text(fit: pd.Series) -> str:
    if np.isnan(fit["slope"]):
        return "—"
    return signed(fit["slope"]) + (
        "" if np.isnan(fit["half_width"]) else f" ± {fit['half_width']:.2f}"
    )


def _legend(fit: pd.Series) -> str:
    return f"{fit.name}: {_text(fit)}".replace("-", "\N{MINUS SIGN}")


def _is_pooled(own: pd.DataFrame) -> bool:
    """Whether an activation has single seeds at several depths."""
    return bool((own["seeds"] == 1).all()) and own["depth"].nunique() > 1


def _pooled_line(axes: Axes, own: pd.DataFrame) -> None:
    """The line of `pooled` at the mean height of all depths."""
    slope, half, level = pooled(own)
    if np.isnan(slope):
        return
    ends = np.array([own["width"].min(), own["width"].max()], dtype=float)
    fit = pd.Series({"slope": slope, "half_width": half}, name="all depths")
    axes.plot(ends, level * ends**slope, color="black", linewidth=1.4, label=_legend(fit))


def _reference(axes: Axes, own: pd.DataFrame) -> None:
    """A dashed line of slope -1/2 in `BELOW` of the middle of the curves of an activation."""
    widths = np.array([own["width"].min(), own["width"].max()], dtype=float)
    if widths[0] < widths[1]:
        axes.plot(
            widths,
            _level(own) / np.sqrt(widths),
            "--",
            color="#444444",
            linewidth=1.1,
            label="slope \N{MINUS SIGN}½",
        )


def _level(own: pd.DataFrame) -> float:
    """The reference line at width 1."""
    return BELOW * float((own["mean"] * np.sqrt(own["width"])).median())


def _limits(points: pd.DataFrame) -> tuple[float, float]:
    """Limits of the distance, the same for all activations.

    Every mean and reference line lies within, and every band but for its lower end.
    """
    levels = [
        _level(own) / np.sqrt(own["width"].max()) for _, own in points.groupby("act", sort=False)
    ]
    return 0.8 * min(*levels, points["mean"].min()), 1.25 * float(
        points[["high", "mean"]].to_numpy().max()
    )


def _compose(study: Study) -> Content:
    group = study.group
    points = distances(group.rows)
    absent = widths_missing(points)
    if absent:
        return Content(missing=missing(study, absent, CHAPTER.makes))
    fits = slopes(points)
    figures = []
    for act in activations(points["act"]):
        draw = partial(convergence_figure, points, fits, act, group.title)
        own = points[points["act"] == act]
        alt = alt_text(points, fits, act)
        figures.append(NamedFigure(f"{CHAPTER.name}-{act}", alt, draw, own))
    single = (
        " Single seeds are points, with one line for all depths, each at a height of its own."
        if any(_is_pooled(own) for _, own in points.groupby("act", sort=False))
        else ""
    )
    lead = (
        "The relative distance ‖Θ - Θ̄‖ / ‖Θ̄‖ in the Frobenius norm from the infinite-width "
        "kernel of the same width and depth, on logarithmic axes: the mean over seeds, and a band "
        "that holds two thirds of them. The dashed line falls like 1/√width. At most "
        f"{MOST_LINES} depths are drawn; the table has all.{single}"
    )
    table = NamedTable(CHAPTER.name, slope_table(group, fits), fits)
    return Content(lead, [Section([table], figures)])


CHAPTER = Chapter(
    name="convergence",
    title="Convergence with width",
    compose=_compose,
    command=Command(
        "convergence",
        "the distance of the kernel from its infinite-width limit, against width",
        "Prints the fitted slopes and writes them to convergence-GROUP.csv, .md and .tex; and for "
        "each activation convergence-ACT-GROUP.png, .svg, .pdf and .csv: the relative distance "
        "against width on logarithmic axes, a line a depth.",
        ("convergence results", "convergence results --data digits -o figures"),
    ),
    need=a_result,
)
