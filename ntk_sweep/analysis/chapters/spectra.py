"""All eigenvalues of a kernel on a logarithmic axis: Figures 2 and 4 of the thesis."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.selection import (
    EXEMPLARS,
    add_arguments,
    options,
    selection_missing,
)
from ntk_sweep.analysis.drawing.axes import grid
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.rows import thesis
from ntk_sweep.analysis.rows.activations import activation_title
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.inputs import affine_rank
from ntk_sweep.analysis.rows.networks import (
    KERNELS,
    Selection,
    label,
    of_thesis,
    select,
    stem,
    with_spectrum,
)
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.statistics.decay import Decay, exponential
from ntk_sweep.analysis.writing.content import Content, NamedFigure, NamedTable, Section
from ntk_sweep.analysis.writing.entries import Entry, Number, bounded, number
from ntk_sweep.analysis.writing.tables import Table
from ntk_sweep.store.columns import CELL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEAR = 1e-3
"""Of an eigenvalue: error bounds above this part of it can be told from the axis; tuned by eye."""


def spectrum(eigenvalues: np.ndarray, errors: np.ndarray) -> pd.DataFrame:
    """A spectrum in numbers, the greatest eigenvalue first.

    The columns are `index` from 1, `eigenvalue`, `error` and `resolved`.

    An eigenvalue is resolved if it exceeds its own error bound; of the others only the upper bound
    eigenvalue + error is a fact.
    """
    order = np.argsort(-np.asarray(eigenvalues, dtype=float), kind="stable")
    value, error = (
        np.asarray(eigenvalues, dtype=float)[order],
        np.asarray(errors, dtype=float)[order],
    )
    return pd.DataFrame(
        {
            "index": np.arange(1, len(value) + 1),
            "eigenvalue": value,
            "error": error,
            "resolved": value > error,
        }
    )


def decay(points: pd.DataFrame) -> Decay | None:
    """The exponential decay of the resolved eigenvalues, as the thesis calls it.

    Without the greatest, which stands apart: it belongs to the mean of the kernel.

    Args:
        points: From `spectrum`.
    """
    fitted = points[points["resolved"] & (points["index"] > 1)]
    return exponential(fitted["index"].to_numpy(), fitted["eigenvalue"].to_numpy())


def spectrum_figure(points: pd.DataFrame, title: str, rank: int | None = None) -> Figure:
    """Eigenvalues over their index.

    The region below the error bounds is shaded; unresolved ones are hollow upper bounds in it.

    Args:
        points: From `spectrum`.
        title: What it is the spectrum of.
        rank: Of the centred inputs, plus 1; marked where it is below the number of eigenvalues.
    """
    from matplotlib.figure import Figure

    floor = _bottom(points)
    with style():
        figure = Figure(figsize=(5.4, 3.5), layout="constrained")
        axes = figure.add_subplot()
        axes.set_yscale("log", nonpositive="clip")
        if max(points["eigenvalue"].max(), points["error"].max()) <= 0:
            # A zero kernel known exactly leaves a logarithmic axis nothing to scale itself by.
            axes.set_ylim(floor, 1.0)
        _draw_eigenvalues(axes, points)
        _draw_decay(axes, points)
        if rank is not None and rank < len(points):
            label = f"rank of the centred inputs + 1 = {rank}"
            axes.axvline(rank, color="#009E73", linestyle=":", linewidth=1.3, label=label)
        # Each bound beside its own eigenvalue: a sliver below the greatest ones alone would show
        # nothing.
        if (points["error"] > NEAR * points["eigenvalue"].abs()).any():
            axes.fill_between(
                points["index"],
                floor,
                points["error"].clip(lower=floor),
                color="#999999",
                alpha=0.25,
                linewidth=0,
                label="below the error bound",
            )
        axes.set_ylim(bottom=floor)
        axes.margins(x=0.02)
        axes.set(xlabel=r"index $i$, greatest eigenvalue first", ylabel=r"$\lambda_i$")
        grid(axes, "y")
        axes.set_title(title, fontsize=9.5)
        axes.legend(loc="upper right", fontsize=8)
        return figure


def _draw_eigenvalues(axes: Axes, points: pd.DataFrame) -> None:
    """Resolved eigenvalues with their errors, and the upper bounds of the others."""
    resolved, unresolved = points[points["resolved"]], points[~points["resolved"]]
    small = 3.0 if len(points) <= 400 else 1.5
    if len(resolved):
        value, error = resolved["eigenvalue"].to_numpy(), resolved["error"].to_numpy()
        axes.vlines(
            resolved["index"],
            value - error,
            value + error,
            color="#1f77b4",
            alpha=0.35,
            linewidth=small,
            rasterized=len(points) > 2000,
        )
        axes.plot(
            resolved["index"],
            value,
            ".",
            color="#1f77b4",
            markersize=1.6 * small,
            label="eigenvalue",
        )
    if len(unresolved):
        axes.plot(
            unresolved["index"],
            unresolved["eigenvalue"] + unresolved["error"],
            "v",
            color="#c44e00",
            markerfacecolor="none",
            markersize=small,
            markeredgewidth=0.7,
            label=f"unresolved: at most this ({len(unresolved)} of {len(points)})",
        )


def _draw_decay(axes: Axes, points: pd.DataFrame) -> None:
    """The fitted exponential as a dashed line over the eigenvalues it is fitted to."""
    fit = decay(points)
    if fit is None:
        return
    ends = np.array([2, points.loc[points["resolved"], "index"].max()])
    label = rf"$\propto e^{{-{fit.rate:.2g}\,i}}$, $i\geq 2$: $R^2$ = {fit.explained:.2f}"
    axes.plot(ends, fit.at(ends), color="#222222", linestyle="--", linewidth=1.0, label=label)


def alt_text(points: pd.DataFrame, network: str, rank: int | None = None) -> str:
    """The figure in words, for those who cannot see it."""
    resolved = points.loc[points["resolved"], "eigenvalue"]
    text = f"The {len(points)} eigenvalues of the kernel of {network} on a logarithmic axis. "
    if len(resolved):
        text += f"They fall from {resolved.iloc[0]:.3g} to {resolved.iloc[-1]:.3g}"
        text += (
            f" among the {len(resolved)} that are resolved; "
            if len(resolved) < len(points)
            else ". "
        )
    missing = len(points) - len(resolved)
    text += (
        f"{missing} lie below the error bound of {points['error'].max():.2g}."
        if missing
        else "All exceed their error bounds."
    )
    fit = decay(points)
    if fit is not None:
        text += (
            f" An exponential decay by {fit.rate:.2g} an index explains {fit.explained:.2f} of the "
            "variance of their logarithms from the second on."
        )
    if rank is not None and rank < len(points):
        text += f" The rank of the centred inputs plus 1, {rank}, is marked."
    return text


def _bottom(points: pd.DataFrame) -> float:
    """The lower end of the axis.

    One decade below the error bounds where they are within sight, else below the data.
    """
    least = points.loc[points["resolved"], "eigenvalue"].min()
    floor = points.loc[points["error"] > 0, "error"].min()
    if np.isnan(least):
        # Nothing is resolved: the bounds are all there is to see, and without them any axis will
        # do.
        return float(floor) / 10 if floor > 0 else 1e-3
    # An error bound many decades below everything would squeeze the eigenvalues into the upper end.
    if np.isnan(floor) or floor < least * 1e-6:
        return float(least) / 3
    return float(min(floor, least)) / 10


def comparison(group: Group, cells: pd.DataFrame) -> pd.DataFrame:
    """The cells of the networks of Figures 1 to 4, with the column `thesis_lambda_min`.

    It is empty where the thesis's values do not apply.
    """
    own = of_thesis(cells)
    known = {
        (network.act, network.width, network.depth): network.lambda_min
        for network in thesis.NETWORKS
    }
    reported = [
        " or ".join(f"{value:.4g}" for value in known[tuple(cell)])
        for cell in own[CELL].itertuples(index=False)
    ]
    return own.assign(thesis_lambda_min=reported if thesis.applies(group) else "").reset_index(
        drop=True
    )


def comparison_table(group: Group, cells: pd.DataFrame) -> Table:
    """`comparison` to be read."""
    rows: list[list[Entry]] = []
    known = {
        (network.act, network.width, network.depth): network.lambda_min
        for network in thesis.NETWORKS
    }
    for row in comparison(group, cells).to_dict("records"):
        name = f"{activation_title(row['act'])} {row['width']} × {row['depth']}"
        if row["resolved"]:
            found: list[Entry] = [
                bounded(row["mean"], row["sd"], row["error"]),
                Number(row["error"], digits=2),
            ]
        else:
            found = [_not_found(row["unresolved"], row["seeds"]), "—"]
        reported = " or ".join(map(number, known[row["act"], row["width"], row["depth"]]))
        rows.append(
            [name, *found, int(row["seeds"]), *([reported] if thesis.applies(group) else [])]
        )
    columns = [
        "Network",
        "λ_min",
        "error bound",
        "seeds",
        *(["thesis: λ_min"] if thesis.applies(group) else []),
    ]
    notes = (
        ["λ_min is the mean ± standard deviation over seeds."]
        if any(isinstance(row[1], Number) and row[3] != 1 for row in rows)
        else []
    )
    if thesis.applies(group) and any(
        row[0].startswith("Sigmoid") for row in rows if isinstance(row[0], str)
    ):
        notes.append(
            "Thesis: Berg (2024), one draw each; it gives two values for the sigmoid network."
        )
    return Table(
        f"The networks of Figures 1 to 4 of the thesis ({group.title})", columns, rows, notes
    )


def _not_found(unresolved: int, seeds: int) -> str:
    if not seeds:
        return "failed"
    return "unresolved" if unresolved == seeds else f"unresolved for {unresolved} of {seeds} seeds"


LEAD = (
    "All eigenvalues of Θ. Below their error bound (grey) eigenvalues may be rounding noise, "
    "and only upper bounds are shown. The dashed line is an exponential decay, fitted by least "
    "squares to the logarithms from the second eigenvalue on; R² says how much of their variance "
    "it explains. A dotted line marks the rank of the centred inputs plus 1, the dimension of the "
    "functions that are affine in the inputs, where that is below N and the inputs are found."
)


def _compose(study: Study, wanted: Selection = EXEMPLARS) -> Content:
    group = study.group
    complete = with_spectrum(group.ok)
    chosen = select(complete, wanted)
    rank = affine_rank(group, study.images) if len(chosen) else None
    figures = []
    for _, row in chosen.iterrows():
        points = spectrum(row["eigenvalues"], row["eigenvalue_errors"])
        draw = partial(spectrum_figure, points, f"{label(row)}\n{group.title}", rank)
        alt = alt_text(points, label(row), rank)
        figures.append(NamedFigure(f"spectrum-{stem(row)}", alt, draw, points))
    tables = []
    if wanted == EXEMPLARS or len(of_thesis(chosen)):
        table = comparison_table(group, study.cells())
        if table.rows:
            tables.append(NamedTable("networks", table, comparison(group, study.cells())))
    absent = selection_missing(study, wanted, "spectrum", complete)
    return Content(LEAD if figures else "", [Section(tables, figures)], absent)


CHAPTER = Chapter(
    name="spectra",
    title="Spectra (Figures 2 and 4)",
    compose=_compose,
    command=Command(
        "spectrum",
        "all eigenvalues of single networks on a logarithmic axis",
        "Writes spectrum-NETWORK-GROUP.png, .svg, .pdf and .csv. Without a choice: the two "
        "networks of Figures 1 to 4 of the thesis, for which it also writes networks-GROUP.csv, "
        ".md and .tex, their λ_min beside the thesis's values.",
        ("spectrum results", "spectrum results --act relu --width 800 --depth 3"),
        add_arguments,
        options,
    ),
    makes=(KERNELS,),
)
