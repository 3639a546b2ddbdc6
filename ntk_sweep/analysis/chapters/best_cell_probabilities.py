"""Which cell has the greatest mean λ_min, and how sure that is: the uncertainty behind Table 1."""

from __future__ import annotations

import pandas as pd

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.needs import SEEDS, several_seeds
from ntk_sweep.analysis.rows.activations import activation_title, activations
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, NamedTable, Section
from ntk_sweep.analysis.writing.entries import Entry, bounded, interval_text, probability_text
from ntk_sweep.analysis.writing.tables import Table
from ntk_sweep.store.columns import CELL

SHOWN = 5
"""Cells of an activation in the table, which already cover most of the probability where anything
does."""


def most_probable(chances: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """The `SHOWN` most probable cells of each activation, with their means and intervals.

    Args:
        chances: From `ntk_sweep.analysis.rows.best_cells.probabilities`; none where seeds are
            single.
        cells: From `ntk_sweep.analysis.rows.cells.cells`.
    """
    known = chances.dropna(subset="probability").merge(cells, on=CELL)
    parts = [
        known[(known["act"] == act) & (known["probability"] > 0)]
        .sort_values(["probability", "mean"], ascending=False, kind="stable")
        .head(SHOWN)
        for act in activations(known["act"])
    ]
    columns = [*CELL, "seeds", "mean", "sd", "low", "high", "error", "probability"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def probability_table(group: Group, likely: pd.DataFrame) -> Table:
    """`most_probable` to be read."""
    rows: list[list[Entry]] = [
        [
            activation_title(line["act"]),
            int(line["width"]),
            int(line["depth"]),
            int(line["seeds"]),
            bounded(line["mean"], line["sd"], line["error"]),
            interval_text(line["low"], line["high"], line["error"]),
            probability_text(line["probability"]),
        ]
        for line in likely.to_dict("records")
    ]
    notes = [
        "The probability to have the greatest mean λ_min among all widths and depths of the "
        "activation: bootstrap over the seeds, independent from cell to cell. Five cells of "
        "each activation at the most; none of an activation of which a cell with a single seed may "
        "be the greatest."
    ]
    columns = ["Activation", "width", "depth", "seeds", "λ_min", "95 % interval", "probability"]
    return Table(
        f"The cells most likely to have the greatest λ_min ({group.title})", columns, rows, notes
    )


def _compose(study: Study) -> Content:
    likely = most_probable(study.probabilities, study.cells())
    table = probability_table(study.group, likely)
    return Content(sections=[Section([NamedTable(CHAPTER.name, table, likely)])])


CHAPTER = Chapter(
    name="contenders",
    title="The cells most likely to have the greatest λ_min",
    compose=_compose,
    command=Command(
        "contenders",
        "the cells most likely to have the greatest λ_min, with their probabilities",
        "Prints, for each activation, the cells that may have the greatest mean λ_min and how "
        "probable each is, by bootstrap over the seeds, and writes them to contenders-GROUP.csv, "
        ".md and .tex. Needs several seeds.",
        ("contenders results", "contenders results --data digits -o tables"),
    ),
    need=several_seeds,
    makes=SEEDS,
    section="table1",
)
