"""Table 1: for each activation the greatest λ_min over widths and depths."""

from __future__ import annotations

import pandas as pd

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.needs import a_result
from ntk_sweep.analysis.rows import thesis
from ntk_sweep.analysis.rows.activations import activation_title
from ntk_sweep.analysis.rows.cells import seeds_text
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, NamedTable, Section
from ntk_sweep.analysis.writing.entries import (
    Entry,
    Number,
    bounded,
    interval_text,
    probability_text,
)
from ntk_sweep.analysis.writing.tables import Table
from ntk_sweep.store.columns import CELL

FEW_SEEDS = 5
"""Below, a 95 % interval would have to reach beyond the least and the greatest seed, which no
bootstrap can."""


def beside_thesis(best: pd.DataFrame, chances: pd.DataFrame, group: Group) -> pd.DataFrame:
    """The best cells with their `probability`, `thesis_lambda_min` and `thesis_depth`.

    Args:
        best: From `ntk_sweep.analysis.rows.best_cells.best_cells`.
        chances: From `probabilities` there; missing where seeds are single.
        group: The thesis's values are missing where they do not apply to it, or are lost.
    """
    chances = chances.astype({"width": "Int64", "depth": "Int64"})
    best = best.merge(chances, on=CELL, how="left")
    known = thesis.TABLE_1 if thesis.applies(group) else {}
    value = [known[act].lambda_min if act in known else None for act in best["act"]]
    depth = [
        " or ".join(map(str, known[act].depths)) if act in known else "" for act in best["act"]
    ]
    return best.assign(
        thesis_lambda_min=pd.Series(value, dtype="float64", index=best.index), thesis_depth=depth
    )


def table1(group: Group, cells: pd.DataFrame, best: pd.DataFrame) -> Table:
    """Table 1 of a group, to be read: λ_min as mean ± standard deviation.

    Args:
        group: Beside the thesis's values where they apply to it.
        cells: Its cells.
        best: From `beside_thesis`.
    """
    compared = thesis.applies(group)
    columns = [
        "Activation",
        "greatest λ_min",
        "95 % interval",
        "probability",
        "error bound",
        "width",
        "depth",
        "seeds",
        "unresolved cells",
    ]
    rows = []
    for row in best.to_dict("records"):
        entries = [
            activation_title(row["act"]),
            *_found(row),
            f"{row['unresolved_cells']} of {row['cells']}",
        ]
        if compared:
            lost = pd.isna(row["thesis_lambda_min"])
            entries += [
                "—" if lost else Number(row["thesis_lambda_min"]),
                row["thesis_depth"] or "—",
            ]
        rows.append(entries)
    if compared:
        columns += ["thesis: λ_min", "thesis: depth"]
    caption = f"Table 1. Greatest λ_min over widths and depths, by activation ({group.title})"
    return Table(caption, columns, rows, notes(cells, compared))


def notes(cells: pd.DataFrame, compared: bool) -> list[str]:
    """What a reader must know of Table 1: what its numbers are, and what was left out."""
    found = cells[cells["seeds"] > 0]
    single = len(found) > 0 and found["seeds"].max() == 1
    sentences = []
    if single:
        draws = found.groupby("act").size().max()
        luck = (
            f", and the greatest of up to {draws} draws is mostly luck, as are its width and depth"
            if draws > 1
            else ""
        )
        sentences.append(
            f"One seed: each λ_min is a single random draw, without a spread{luck}. Means over "
            "several seeds say more: add seed=range(0,5) to the sweep."
        )
    elif len(found):
        sentences.append(
            "λ_min is the mean ± standard deviation over the seeds of a (width, depth) cell; cells "
            f"hold {seeds_text(cells)}. The interval of the mean and the probability that no other "
            "cell has a greater one are by bootstrap over the seeds."
        )
        if found["seeds"].max() < FEW_SEEDS:
            sentences.append(
                "With fewer than five seeds the interval is their range, and too narrow; the "
                "probability is as rough."
            )
        if found["seeds"].min() < found["seeds"].max():
            sentences.append(
                "A cell with fewer seeds scatters more, and is more easily the greatest by chance. "
                "Where one with a single seed may be, there is no probability."
            )
    sentences.append("The error bound is that of the computation, not of the draw.")
    unresolved, failed = int((cells["unresolved"] > 0).sum()), int(cells["failed"].sum())
    if unresolved:
        sentences.append(
            f"{unresolved} of {len(found)} cells are unresolved: for at least one seed λ_min does "
            "not exceed its error bound and may be rounding noise. The greatest is taken over the "
            "other cells."
        )
    if failed:
        sentences.append(
            f"{failed} point{'s' if failed > 1 else ''} failed or diverged and "
            f"{'are' if failed > 1 else 'is'} left out."
        )
    if compared:
        sentences.append(
            "Thesis: what is known of Table 1 of Berg (2024); of ReLU and LeakyReLU one is best at "
            "depth 3 and the other at depth 4, and the rest is lost (—). It took the greatest of "
            "single draws, which tends to lie above the greatest mean."
        )
    return sentences


def _found(row: dict) -> list[Entry]:
    if pd.isna(row["lambda_min"]):
        return ["unresolved" if row["cells"] else "failed", *["—"] * 6]
    return [
        bounded(row["lambda_min"], row["sd"], row["error"]),
        interval_text(row["low"], row["high"], row["error"]),
        probability_text(row["probability"]),
        Number(row["error"], digits=2),
        int(row["width"]),
        int(row["depth"]),
        int(row["seeds"]),
    ]


def _compose(study: Study) -> Content:
    best = beside_thesis(study.best_cells, study.probabilities, study.group)
    table = table1(study.group, study.cells(), best)
    return Content(sections=[Section([NamedTable(CHAPTER.name, table, best)])])


CHAPTER = Chapter(
    name="table1",
    title="Table 1: the greatest λ_min of each activation",
    compose=_compose,
    command=Command(
        "table1",
        "the greatest λ_min of each activation, its width and depth",
        "Prints Table 1 and writes table1-GROUP.csv, .md and .tex: for each activation the "
        "greatest λ_min over widths and depths, as mean ± standard deviation over seeds, with its "
        "error bound.",
        (
            "table1 results",
            "table1 results --data fashion_mnist --parametrisation thesis -o tables",
        ),
        draws=False,
    ),
    need=a_result,
)
