"""What a heat map can show.

Of each quantity its value in a row, when that value is to be trusted, and how to draw it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd

from ntk_sweep.digits import ratio_bound
from ntk_sweep.store.best_cells import resolved

Rows = Callable[[pd.DataFrame], pd.Series]


@dataclass(frozen=True)
class Quantity:
    """A quantity of a network.

    Attributes:
        name: As on the command line.
        title: As in a heading; λ_min stands for the symbol.
        symbol: As on an axis, in matplotlib's mathematical notation.
        words: As in a sentence for those who cannot see the figure.
        definition: What it is, in a line.
        value: One number a row.
        error: A bound of the absolute error of each; None where the rows hold none.
        resolved: Which rows can be trusted; None takes all that have a value.
        mean: The mean over seeds that is drawn. On a logarithmic axis the natural mean is the
            geometric one, the mean of what is drawn.
        scale: Of the colour: logarithmic, linear, logarithmic with 1 marked ("ratio"), or "auto":
            logarithmic where all values are positive and span two decades.
        gap: What is hatched, in the legend.
        state: The same as one word, in CSV files.
        seeded: Whether it depends on the seed.
        greatest: How the cell with the greatest mean is called, which gets a frame; empty for none.
    """

    name: str
    title: str
    symbol: str
    words: str
    definition: str
    value: Rows
    error: Rows | None = None
    resolved: Rows | None = None
    mean: Literal["geometric", "arithmetic"] = "arithmetic"
    scale: Literal["log", "linear", "ratio", "auto"] = "linear"
    gap: str = "undefined"
    state: str = "undefined"
    seeded: bool = True
    greatest: str = ""


# No lambdas here: figures hold their quantity, and go to other processes to be drawn.


def _column(name: str) -> Rows:
    return partial(_floats, name)


def _floats(name: str, rows: pd.DataFrame) -> pd.Series:
    return rows[name].astype(float)


def _predicted(rows: pd.DataFrame) -> pd.Series:
    return rows["limit_lambda_min"].astype(float) > rows["limit_lambda_min_error"].astype(float)


def _ratio(rows: pd.DataFrame) -> pd.Series:
    return rows["lambda_min"].astype(float) / rows["limit_lambda_min"].astype(float)


def _both(rows: pd.DataFrame) -> pd.Series:
    return resolved(rows) & _predicted(rows)


def _greatest_resolved(rows: pd.DataFrame) -> pd.Series:
    return rows["lambda_max"].astype(float) > rows["lambda_max_error"].astype(float)


def _ratio_error(rows: pd.DataFrame) -> pd.Series:
    a, da = rows["lambda_min"].astype(float), rows["lambda_min_error"].astype(float)
    b, db = rows["limit_lambda_min"].astype(float), rows["limit_lambda_min_error"].astype(float)
    return ratio_bound(a, da, b, db)


LAMBDA_MIN = Quantity(
    name="lambda_min",
    title="λ_min",
    symbol=r"$\lambda_{\min}$",
    words="smallest NTK eigenvalue",
    definition="the smallest eigenvalue of Θ",
    value=_column("lambda_min"),
    error=_column("lambda_min_error"),
    resolved=resolved,
    mean="geometric",
    scale="log",
    greatest="greatest mean",
    gap="unresolved (below error bound)",
    state="unresolved",
)

LIMIT_LAMBDA_MIN = Quantity(
    name="limit_lambda_min",
    title="λ_min of the infinite-width kernel",
    symbol=r"$\lambda_{\min}(\bar{\Theta})$",
    words="smallest eigenvalue of the infinite-width kernel",
    definition=(
        "the smallest eigenvalue of Θ̄, the kernel predicted from infinite width for each width "
        "and depth"
    ),
    value=_column("limit_lambda_min"),
    error=_column("limit_lambda_min_error"),
    resolved=_predicted,
    mean="geometric",
    scale="log",
    seeded=False,
    greatest="greatest",
    gap="unresolved (below error bound)",
    state="unresolved",
)

RATIO = Quantity(
    name="ratio",
    title="λ_min, measured over predicted",
    symbol=r"$\lambda_{\min}(\Theta)\,/\,\lambda_{\min}(\bar{\Theta})$",
    words="ratio of the measured smallest NTK eigenvalue to that of the infinite-width kernel",
    definition="λ_min of Θ over λ_min of Θ̄",
    value=_ratio,
    error=_ratio_error,
    resolved=_both,
    mean="geometric",
    scale="ratio",
    gap="unresolved (one is below its error bound)",
    state="unresolved",
)

LIMIT_DISTANCE = Quantity(
    name="limit_distance",
    title="Distance from the infinite-width kernel",
    symbol=r"$\|\Theta-\bar{\Theta}\|_F\,/\,\|\bar{\Theta}\|_F$",
    words="relative distance of the kernel from the infinite-width kernel",
    definition="‖Θ - Θ̄‖ / ‖Θ̄‖ in the Frobenius norm",
    value=_column("limit_distance"),
    mean="geometric",
    scale="log",
)

_OTHERS = (
    Quantity(
        name="lambda_max",
        title="λ_max",
        symbol=r"$\lambda_{\max}$",
        words="greatest NTK eigenvalue",
        definition="the greatest eigenvalue of Θ",
        value=_column("lambda_max"),
        error=_column("lambda_max_error"),
        resolved=_greatest_resolved,
        mean="geometric",
        scale="log",
        gap="unresolved (below error bound)",
        state="unresolved",
    ),
    Quantity(
        name="condition_number",
        title="Condition number",
        symbol=r"$\lambda_{\max}\,/\,\lambda_{\min}$",
        words="condition number of the NTK",
        definition="λ_max / λ_min of Θ",
        value=_column("condition_number"),
        resolved=resolved,
        mean="geometric",
        scale="log",
        gap=r"unresolved ($\lambda_{\min}$ below error bound)",
        state="unresolved",
    ),
    Quantity(
        name="trace",
        title="Trace",
        symbol=r"$\mathrm{tr}\,\Theta$",
        words="trace of the NTK",
        definition="the sum of the eigenvalues of Θ",
        value=_column("trace"),
        mean="geometric",
        scale="log",
    ),
    Quantity(
        name="effective_rank",
        title="Effective rank",
        symbol="effective rank",
        words="effective rank of the NTK",
        definition=(
            "exp of the entropy of the eigenvalues as shares of their sum, between 1 and N (Roy "
            "and Vetterli 2007)"
        ),
        value=_column("effective_rank"),
    ),
    Quantity(
        name="alignment",
        title="Alignment",
        symbol=r"alignment of $\Theta$ with $y y^{\mathsf{T}}$",
        words="alignment of the NTK with the targets",
        definition="the cosine between Θ and yyᵀ as matrices (Cristianini et al. 2001)",
        value=_column("alignment"),
    ),
    Quantity(
        name="centred_alignment",
        title="Centred alignment",
        symbol=r"centred alignment of $\Theta$ with $y y^{\mathsf{T}}$",
        words="centred alignment of the NTK with the targets",
        definition="the same after taking the mean out of Θ and y (Cortes et al. 2012)",
        value=_column("centred_alignment"),
    ),
    Quantity(
        name="class_contrast",
        title="Class contrast",
        symbol="class contrast",
        words="class contrast of the NTK",
        definition=(
            "the mean of Θ_ij / √(Θ_ii Θ_jj) over pairs within a class less that over pairs of "
            "different classes"
        ),
        value=_column("class_contrast"),
        scale="auto",
    ),
    *(
        Quantity(
            name=f"target_share_{count}",
            title=f"Target share, {count} eigenvector{'s' if count > 1 else ''}",
            symbol=f"target share in {count} eigenvector{'s' if count > 1 else ''}",
            words=(
                f"share of the centred targets in the {count} leading "
                f"eigenvector{'s' if count > 1 else ''} of the NTK"
            ),
            definition=(
                f"the share of ‖y - ȳ‖² in the {count} leading "
                f"eigenvector{'s' if count > 1 else ''} of Θ (Arora et al. 2019)"
            ),
            value=_column(f"target_share_{count}"),
            scale="auto",
        )
        for count in (1, 2, 5, 10)
    ),
)

QUANTITIES = {
    quantity.name: quantity
    for quantity in (LAMBDA_MIN, LIMIT_LAMBDA_MIN, RATIO, LIMIT_DISTANCE, *_OTHERS)
}


def trusted(rows: pd.DataFrame, quantity: Quantity) -> pd.Series:
    """The values of a quantity, NaN where there is no result or it cannot be trusted.

    A store may be read that was written by other code: what has no logarithm is not resolved where
    the mean is geometric, whatever its row says.
    """
    value = quantity.value(rows)
    good = (rows["status"] == "ok") & np.isfinite(value)
    if quantity.resolved is not None:
        good &= quantity.resolved(rows)
    if quantity.mean == "geometric":
        good &= value > 0
    return value.where(good)
