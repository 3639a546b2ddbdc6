"""The smallest eigenvalue, measured and predicted by infinite width (docs/theory/limit.md)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.needs import a_result
from ntk_sweep.analysis.drawing import heatmap
from ntk_sweep.analysis.drawing.colour_scales import ColourScale, colour_scale
from ntk_sweep.analysis.drawing.stacked_heatmaps import Panel, alt_text, stacked, unresolved_count
from ntk_sweep.analysis.rows.activations import activation_title, activations
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN, LIMIT_LAMBDA_MIN, RATIO
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, NamedFigure, NamedTable, Section
from ntk_sweep.analysis.writing.entries import Entry, bounded
from ntk_sweep.analysis.writing.tables import Table
from ntk_sweep.store.columns import CELL

COMPARED = (LAMBDA_MIN, LIMIT_LAMBDA_MIN, RATIO)
"""What a prediction is judged by."""


def blocks(compared: Sequence[pd.DataFrame], act: str) -> list[list[Panel]]:
    """λ_min measured and predicted from infinite width, and their ratio, as blocks for `stacked`.

    Args:
        compared: The cells of each of `COMPARED`.
        act: The activation.
    """
    measured, predicted, ratio = (
        heatmap.grid(table, act, quantity)
        for table, quantity in zip(compared, COMPARED, strict=True)
    )
    above = [
        Panel("measured", measured),
        Panel(r"predicted from infinite width, $\bar{\Theta}$", predicted),
    ]
    return [above, [Panel("measured / predicted", ratio)]]


def scales(compared: Sequence[pd.DataFrame]) -> list[ColourScale | None]:
    """The colours of the `blocks` of every activation.

    λ_min has a scale in each, the ratio one for all.

    Args:
        compared: The cells of each of `COMPARED`.
    """
    return [
        None,
        colour_scale(RATIO, compared[COMPARED.index(RATIO)]["geometric_mean"].to_numpy(float)),
    ]


def numbers(compared: Sequence[pd.DataFrame], act: str) -> pd.DataFrame:
    """The numbers behind `blocks`, one row a cell.

    `measured` is the geometric mean of λ_min over seeds, `predicted` the λ_min of Θ̄, `ratio` the
    one over the other, each with its error bound and state; only resolved values are given.
    """
    parts = []
    for name, quantity, one in zip(
        ("measured", "predicted", "ratio"), COMPARED, compared, strict=True
    ):
        table = heatmap.numbers(one, act, quantity)
        chosen = {
            "geometric_mean": name,
            "geometric_error": f"{name}_error",
            "state": f"{name}_state",
        }
        parts.append(table.set_index([*CELL, "seeds"])[list(chosen)].rename(columns=chosen))
    return pd.concat(parts, axis=1).reset_index()


def title(act: str) -> str:
    """The heading of the figure of an activation."""
    return f"{activation_title(act)}: the smallest eigenvalue, measured and predicted"


def ratios(compared: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The least and the greatest ratio of each activation, error bound, width and depth of each.

    `unresolved_cells` counts, among the `cells` with a result, those where the measured or the
    predicted value is unresolved.

    Args:
        compared: The cells of each of `COMPARED`.
    """
    table = compared[COMPARED.index(RATIO)]
    lines = []
    for act in activations(table["act"]):
        own = table[(table["act"] == act) & (table["seeds"] > 0)]
        if own.empty:
            continue
        value = own["geometric_mean"]
        line: dict[str, object] = {
            "act": act,
            "cells": len(own),
            "unresolved_cells": int((own["unresolved"] > 0).sum()),
        }
        for name, place in (
            (("least", value.idxmin), ("greatest", value.idxmax)) if value.notna().any() else ()
        ):
            cell = own.loc[place()]
            line |= {
                name: cell["geometric_mean"],
                f"{name}_error": cell["geometric_error"],
                f"{name}_width": cell["width"],
                f"{name}_depth": cell["depth"],
            }
        lines.append(line)
    columns = [
        f"{name}{suffix}"
        for name in ("least", "greatest")
        for suffix in ("", "_error", "_width", "_depth")
    ]
    return pd.DataFrame(lines, columns=["act", "cells", "unresolved_cells", *columns])


def ratio_table(group: Group, compared: Sequence[pd.DataFrame]) -> Table:
    """`ratios` to be read, with the cells whose prediction is unresolved."""
    rows: list[list[Entry]] = []
    limit = compared[COMPARED.index(LIMIT_LAMBDA_MIN)]
    for line in ratios(compared).to_dict("records"):
        predicted = heatmap.grid(limit, line["act"], LIMIT_LAMBDA_MIN)
        entries: list[Entry] = [activation_title(line["act"])]
        for name in ("least", "greatest"):
            if np.isnan(line[name]):
                entries += ["—", "—"]
            else:
                cell = f"{line[f'{name}_width']:.0f} × {line[f'{name}_depth']:.0f}"
                entries += [bounded(line[name], None, line[f"{name}_error"], digits=2), cell]
        rows.append([*entries, unresolved_count(predicted)])
    columns = ["Activation", "least ratio", "at", "greatest ratio", "at", "unresolved predictions"]
    caption = f"λ_min measured over predicted from infinite width ({group.title})"
    note = (
        "Geometric means over the seeds of a (width, depth) cell, of the cells where both are "
        "resolved."
    )
    return Table(caption, columns, rows, [note])


LEAD = (
    "λ_min of the infinite-width kernel Θ̄ of each width and depth below the measured one, in "
    "the same colours, and the ratio of measured to predicted in colours centred at 1, the "
    "same for all activations. Hatched cells are unresolved: the eigenvalue, measured or "
    "predicted, does not exceed its error bound."
)


def _compose(study: Study) -> Content:
    group = study.group
    compared = [study.cells(quantity) for quantity in COMPARED]
    colours = scales(compared)
    figures = []
    for act in activations(group.ok["act"]):
        stack = blocks(compared, act)
        draw = partial(stacked, stack, f"{title(act)}\n{group.title}", colours)
        figures.append(
            NamedFigure(f"{CHAPTER.name}-{act}", alt_text(stack), draw, numbers(compared, act))
        )
    table = NamedTable(CHAPTER.name, ratio_table(group, compared), ratios(compared))
    return Content(LEAD, [Section([table], figures)])


CHAPTER = Chapter(
    name="prediction",
    title="Predicted from infinite width",
    compose=_compose,
    command=Command(
        "prediction",
        "λ_min measured, predicted from infinite width, and their ratio, a figure for each "
        "activation",
        "Prints the least and the greatest ratio and writes them to prediction-GROUP.csv, .md and "
        ".tex; and for each activation prediction-ACT-GROUP.png, .svg, .pdf and .csv: three heat "
        "maps one above the other, the first two in the same colours.",
        ("prediction results", "prediction results --data digits -o figures"),
    ),
    need=a_result,
)
