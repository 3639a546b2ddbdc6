"""All eigenvalues of a kernel on a logarithmic axis: Figures 2 and 4 of the thesis."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.drawing.axes import grid
from analysis.drawing.rendering import style

NEAR = 1e-3
"""Of an eigenvalue: error bounds above this part of it can be told from the axis; tuned by eye."""


def spectrum(eigenvalues: np.ndarray, errors: np.ndarray) -> pd.DataFrame:
    """A spectrum in numbers, the greatest eigenvalue first: `index` from 1, `eigenvalue`, `error`,
    `resolved`.

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


def spectrum_figure(points: pd.DataFrame, title: str) -> Figure:
    """Eigenvalues over their index, the region below the error bounds shaded, unresolved ones as
    hollow upper bounds in it.

    Args:
        points: From `spectrum`.
        title: What it is the spectrum of.
    """
    resolved, unresolved = points[points["resolved"]], points[~points["resolved"]]
    bound = unresolved["eigenvalue"] + unresolved["error"]
    with style():
        figure = Figure(figsize=(5.4, 3.5), layout="constrained")
        axes = figure.add_subplot()
        axes.set_yscale("log", nonpositive="clip")
        floor = _bottom(points)
        if max(points["eigenvalue"].max(), points["error"].max()) <= 0:
            axes.set_ylim(
                floor, 1.0
            )  # a zero kernel known exactly leaves a logarithmic axis nothing to scale itself by
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
            label = f"unresolved: at most this ({len(unresolved)} of {len(points)})"
            axes.plot(
                unresolved["index"],
                bound,
                "v",
                color="#c44e00",
                markerfacecolor="none",
                markersize=small,
                markeredgewidth=0.7,
                label=label,
            )
        # Each bound beside its own eigenvalue: a sliver below the greatest ones alone would show
        # nothing.
        if (points["error"] > NEAR * points["eigenvalue"].abs()).any():
            top = points["error"].clip(lower=floor)
            axes.fill_between(
                points["index"],
                floor,
                top,
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


def alt_text(points: pd.DataFrame, network: str) -> str:
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
    return text + (
        f"{missing} lie below the error bound of {points['error'].max():.2g}."
        if missing
        else "All exceed their error bounds."
    )


def _bottom(points: pd.DataFrame) -> float:
    """The lower end of the axis: one decade below the error bounds where they are within sight,
    else below the data.
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
