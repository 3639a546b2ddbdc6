"""Single networks: of which to show the kernel and the spectrum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ntk_sweep.analysis.rows import thesis
from ntk_sweep.analysis.rows.activations import activation_title, by_activation
from ntk_sweep.store.columns import CELL

KERNELS = "+experiment=thesis_kernels"

FEW = 6
"""Networks that a report shows one by one where none of the thesis's is among them."""


@dataclass(frozen=True)
class Selection:
    """Which networks were asked for; None leaves a coordinate open."""

    act: str | None = None
    width: int | None = None
    depth: int | None = None
    seed: int | None = None

    @property
    def given(self) -> dict[str, str | int]:
        """The coordinates that were asked for."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def of(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows of these networks."""
        match = np.ones(len(rows), dtype=bool)
        for name, value in self.given.items():
            match &= (rows[name] == value).to_numpy()
        return rows[match]

    def __str__(self) -> str:
        return " ".join(f"--{name} {value}" for name, value in self.given.items())


def of_thesis(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the networks of Figures 1 to 4, of every seed."""
    shown = pd.MultiIndex.from_tuples(
        [(network.act, network.width, network.depth) for network in thesis.NETWORKS]
    )
    return rows[pd.MultiIndex.from_frame(rows[CELL]).isin(shown)]


def with_spectrum(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that hold all eigenvalues.

    Method `extreme` computes the least and the greatest alone.
    """
    return rows[rows["eigenvalues"].notna()]


def exemplars(rows: pd.DataFrame) -> pd.DataFrame:
    """The networks to show where nobody chose.

    Those of Figures 1 to 4, else those with a saved kernel, else all if they are few. Of several
    seeds the one with a saved kernel is taken, then the lowest.
    """
    for candidates in (
        of_thesis(rows),
        rows[rows["kernel_file"].notna()],
        rows if len(rows) <= FEW else rows.iloc[:0],
    ):
        if len(candidates):
            ranked = candidates.assign(_none=candidates["kernel_file"].isna()).sort_values(
                ["_none", "seed"], kind="stable"
            )
            first = ranked.drop_duplicates(CELL).drop(columns="_none")
            return by_activation(first, ["width", "depth", "seed"]).iloc[:FEW]
    return rows.iloc[:0]


def select(rows: pd.DataFrame, wanted: Selection) -> pd.DataFrame:
    """The networks to draw: those asked for, or `exemplars` where nothing was."""
    return wanted.of(rows) if wanted.given else exemplars(rows)


def label(row: pd.Series) -> str:
    """A network in words, for titles."""
    return (
        f"{activation_title(row['act'])}, width {row['width']}, depth {row['depth']}, seed "
        f"{row['seed']}"
    )


def stem(row: pd.Series) -> str:
    """A network as part of a file name."""
    return f"{row['act']}-{row['width']}x{row['depth']}-seed{row['seed']}"
