"""All eigenvalues of a kernel on a logarithmic axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.spectra.numbers import decay
from ntk_sweep.analysis.drawing.axes import grid
from ntk_sweep.analysis.drawing.rendering import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEAR = 1e-3
"""Of an eigenvalue: error bounds above this part of it can be told from the axis; tuned by eye."""


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
