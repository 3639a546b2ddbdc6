"""What the kernel says beyond its eigenvalues, at each activation's cell of Table 1."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.needs import a_resolved_cell
from ntk_sweep.analysis.rows.activations import activation_title
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.quantities import QUANTITIES
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, NamedTable, Section
from ntk_sweep.analysis.writing.entries import Entry, Number
from ntk_sweep.analysis.writing.tables import Table
from ntk_sweep.store.columns import CELL

SHOWN = {
    "effective_rank": "effective rank",
    "alignment": "alignment",
    "centred_alignment": "centred alignment",
    "class_contrast": "class contrast",
    "target_share_1": "target share in 1",
    "target_share_2": "in 2",
    "target_share_5": "in 5",
    "target_share_10": "in 10",
}

SIGNIFICANT = 3
"""Digits of a mean: the spread over seeds leaves no more."""


def diagnostics(group: Group, best: pd.DataFrame) -> pd.DataFrame:
    """The diagnostics of each activation at its cell with the greatest mean λ_min.

    Args:
        group: The rows.
        best: Their frame of `ntk_sweep.analysis.rows.best_cells.best_cells`.

    Returns:
        `act`, `width`, `depth`, `seeds`, then mean and standard deviation over seeds of each
        quantity as `NAME` and `NAME_sd`, and `layer_trace_share_1`, … from the first layer to the
        last. Activations without a resolved cell are left out.
    """
    lines = []
    for act, width, depth in best.dropna(subset="lambda_min")[CELL].itertuples(index=False):
        own = group.ok
        own = own[(own["act"] == act) & (own["width"] == width) & (own["depth"] == depth)]
        line = {"act": act, "width": int(width), "depth": int(depth), "seeds": len(own)}
        for name in SHOWN:
            values = own[name].astype(float)
            line |= {name: values.mean(), f"{name}_sd": values.std()}
        shares = [np.asarray(value, dtype=float) for value in own["layer_trace_shares"].dropna()]
        if shares:
            line |= {
                f"layer_trace_share_{place}": share
                for place, share in enumerate(np.mean(shares, axis=0), 1)
            }
        lines.append(line)
    return pd.DataFrame(lines)


def diagnostics_table(group: Group, numbers: pd.DataFrame) -> Table:
    """`diagnostics` to be read."""
    rows: list[list[Entry]] = []
    for line in numbers.to_dict("records"):
        entries: list[Entry] = [
            f"{activation_title(line['act'])} {line['width']} × {line['depth']}",
            line["seeds"],
        ]
        for name in SHOWN:
            missing = np.isnan(line[name])
            entries.append(
                "—" if missing else Number(line[name], line[f"{name}_sd"], digits=SIGNIFICANT)
            )
        layers = [
            line.get(f"layer_trace_share_{layer}", np.nan) for layer in range(1, line["depth"] + 1)
        ]
        rows.append(
            [
                *entries,
                "—" if np.isnan(layers).any() else " / ".join(f"{share:.3f}" for share in layers),
            ]
        )
    columns = ["Network", "seeds", *SHOWN.values(), "trace by layer"]
    caption = (
        "What else the kernel tells, at the cell of each activation with the greatest mean λ_min "
        f"({group.title})"
    )
    return Table(caption, columns, rows, notes() if rows else [])


def notes() -> list[str]:
    """The definitions of the columns."""
    named = [name for name in SHOWN if not name.startswith("target_share_")]
    texts = [f"{QUANTITIES[name].title}: {QUANTITIES[name].definition}." for name in named]
    return [
        "Means ± standard deviation over seeds.",
        *texts,
        (
            "Target shares: the share of ‖y - ȳ‖² in the 1, 2, 5 and 10 leading eigenvectors of Θ "
            "(Arora et al. 2019)."
        ),
        (
            "Trace by layer: the share of each layer's weights and biases in the trace of Θ, from "
            "the first layer to the last."
        ),
    ]


def _compose(study: Study) -> Content:
    numbers = diagnostics(study.group, study.best_cells)
    table = NamedTable(CHAPTER.name, diagnostics_table(study.group, numbers), numbers)
    return Content(sections=[Section([table])])


CHAPTER = Chapter(
    name="diagnostics",
    title="What else the kernel tells",
    compose=_compose,
    command=Command(
        "diagnostics",
        "effective rank, alignments, class contrast and target shares at each activation's best "
        "cell",
        "Prints the table and writes diagnostics-GROUP.csv, .md and .tex: for the cell of each "
        "activation with the greatest mean λ_min, what the kernel tells beyond its eigenvalues.",
        ("diagnostics results", "diagnostics results --data digits -o tables"),
    ),
    need=a_resolved_cell,
)
