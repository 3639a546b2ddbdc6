"""Single networks: which to show the kernel and the spectrum of, and their λ_min beside what the
thesis reports.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.rows import thesis
from analysis.rows.cells import CELL
from analysis.rows.group import AnalysisError, Group, activation_title, by_activation
from analysis.writing.tables import Entry, Number, Table, number

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

    def __str__(self) -> str:
        return " ".join(
            f"--{name} {value}" for name, value in vars(self).items() if value is not None
        )


def of_thesis(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the networks of Figures 1 to 4, of every seed."""
    shown = pd.MultiIndex.from_tuples(
        [(network.act, network.width, network.depth) for network in thesis.NETWORKS]
    )
    return rows[pd.MultiIndex.from_frame(rows[CELL]).isin(shown)]


def with_spectrum(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that hold all eigenvalues; method `extreme` computes the least and the greatest
    alone.
    """
    return rows[rows["eigenvalues"].notna()]


def exemplars(rows: pd.DataFrame) -> pd.DataFrame:
    """The networks to show where nobody chose: those of Figures 1 to 4, else those with a saved
    kernel, else all if they are few.

    Of several seeds the one with a saved kernel is taken, then the lowest.
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


def select(group: Group, wanted: Selection, kernel: bool) -> pd.DataFrame:
    """The networks of a group to draw.

    Args:
        group: The group.
        wanted: What was asked for; if nothing, `exemplars` are taken.
        kernel: Whether only networks with a saved kernel will do.

    Raises:
        AnalysisError: There are none; the message says which command makes them.
    """
    rows = group.ok[group.ok["kernel_file"].notna()] if kernel else with_spectrum(group.ok)
    what = "saved kernel" if kernel else "spectrum"
    if not str(wanted):
        chosen = exemplars(rows)
        if chosen.empty:
            others = (
                ""
                if rows.empty
                else "\nor choose others of the store with --act, --width, --depth and --seed"
            )
            raise AnalysisError(
                f"no {what} of the thesis's networks ({group.title}): make them with\n"
                f"  {group.command(KERNELS)}{others}"
            )
        return chosen
    match = np.ones(len(rows), dtype=bool)
    for name, value in vars(wanted).items():
        match &= (rows[name] == value).to_numpy() if value is not None else True
    if not match.any():
        settings = [f"{name}={value}" for name, value in vars(wanted).items() if value is not None]
        save = ["task.save_kernel=true"] if kernel else []
        raise AnalysisError(
            f"no {what} for {wanted} ({group.title}): make it with\n"
            f"  {group.command(*settings, *save)}"
        )
    return rows[match]


def label(row: pd.Series) -> str:
    """A network in words, for titles."""
    return (
        f"{activation_title(row['act'])}, width {row['width']}, depth {row['depth']}, seed "
        f"{row['seed']}"
    )


def stem(row: pd.Series) -> str:
    """A network as part of a file name."""
    return f"{row['act']}-{row['width']}x{row['depth']}-seed{row['seed']}"


def comparison(group: Group, cells: pd.DataFrame) -> pd.DataFrame:
    """The cells of the networks of Figures 1 to 4, with the column `thesis_lambda_min` where it
    applies: a frame of numbers.
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
            found: list[Entry] = [Number(row["mean"], row["sd"]), Number(row["error"], digits=2)]
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
