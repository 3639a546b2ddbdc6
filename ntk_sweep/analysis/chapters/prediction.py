"""The smallest eigenvalue, measured and predicted by infinite width (docs/theory/limit.md)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from textwrap import fill

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters import map_axes
from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.map_axes import THESIS, MapAxes, chosen, places
from ntk_sweep.analysis.chapters.needs import a_result
from ntk_sweep.analysis.drawing import cell_grid, heatmap
from ntk_sweep.analysis.drawing.cell_grid import DIGITS, SHOWN
from ntk_sweep.analysis.drawing.stacked_heatmaps import Panel, alt_text, stacked
from ntk_sweep.analysis.rows.activations import activation_title, activations
from ntk_sweep.analysis.rows.coordinates import AXES, text
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN, LIMIT_LAMBDA_MIN, RATIO
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, NamedFigure, NamedTable, Section
from ntk_sweep.analysis.writing.entries import Entry, bounded
from ntk_sweep.analysis.writing.tables import Table

COMPARED = (LAMBDA_MIN, LIMIT_LAMBDA_MIN, RATIO)
"""What a prediction is judged by."""


def blocks(
    compared: Sequence[pd.DataFrame], act: str, axes: tuple[str, str] = SHOWN
) -> list[list[Panel]]:
    """λ_min measured and predicted from infinite width, and their ratio, as blocks for `stacked`.

    Args:
        compared: The cells of each of `COMPARED`.
        act: The activation.
        axes: The coordinates that the maps lie over.
    """
    measured, predicted, ratio = (
        cell_grid.grid(table, act, quantity, axes)
        for table, quantity in zip(compared, COMPARED, strict=True)
    )
    above = [
        Panel("measured", measured),
        Panel(r"predicted from infinite width, $\bar{\Theta}$", predicted),
    ]
    return [above, [Panel("measured / predicted", ratio)]]


def numbers(
    compared: Sequence[pd.DataFrame], act: str, axes: tuple[str, str] = SHOWN
) -> pd.DataFrame:
    """The numbers behind `blocks`, one row a cell.

    `measured` is the geometric mean of λ_min over seeds, `predicted` the λ_min of Θ̄, `ratio` the
    one over the other, each with its error bound and state; only resolved values are given.
    """
    parts = []
    for name, quantity, one in zip(
        ("measured", "predicted", "ratio"), COMPARED, compared, strict=True
    ):
        table = cell_grid.numbers(one, act, quantity, axes)
        shown = {
            "geometric_mean": name,
            "geometric_error": f"{name}_error",
            "state": f"{name}_state",
        }
        places = [name for name in table if name in AXES]
        parts.append(table.set_index(["act", *places, "seeds"])[list(shown)].rename(columns=shown))
    return pd.concat(parts, axis=1).reset_index()


def title(act: str) -> str:
    """The heading of the figure of an activation."""
    return f"{activation_title(act)}: the smallest eigenvalue, measured and predicted"


def ratios(compared: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The least and the greatest ratio of each activation, error bound and coordinates of each.

    `unresolved_cells` counts, among the `cells` with a result, those where the measured or the
    predicted value is unresolved.

    Args:
        compared: The cells of each of `COMPARED`.
    """
    table = compared[COMPARED.index(RATIO)]
    axes = [name for name in AXES if name in table]
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
                **{f"{name}_{axis}": cell[axis] for axis in axes},
            }
        lines.append(line)
    columns = [
        f"{name}{suffix}"
        for name in ("least", "greatest")
        for suffix in ("", "_error", *(f"_{axis}" for axis in axes))
    ]
    return pd.DataFrame(lines, columns=["act", "cells", "unresolved_cells", *columns])


def ratio_table(group: Group, compared: Sequence[pd.DataFrame]) -> Table:
    """`ratios` to be read, with the cells whose prediction is unresolved."""
    rows: list[list[Entry]] = []
    limit = compared[COMPARED.index(LIMIT_LAMBDA_MIN)]
    for line in ratios(compared).to_dict("records"):
        predicted = limit[limit["act"] == line["act"]]
        entries: list[Entry] = [activation_title(line["act"])]
        for name in ("least", "greatest"):
            if np.isnan(line[name]):
                entries += ["—", "—"]
            else:
                shown = bounded(line[name], None, line[f"{name}_error"], digits=2)
                entries += [shown, _cell(line, name, group)]
        unresolved = int((predicted["unresolved"] > 0).sum())
        rows.append([*entries, f"{unresolved} of {int((predicted['seeds'] > 0).sum())}"])
    columns = ["Activation", "least ratio", "at", "greatest ratio", "at", "unresolved predictions"]
    caption = f"λ_min measured over predicted from infinite width ({group.title})"
    note = (
        f"Geometric means over the seeds of a ({', '.join(group.coordinates[1:])}) cell, of the "
        "cells where both are resolved."
    )
    return Table(caption, columns, rows, [note])


def _cell(line: dict, name: str, group: Group) -> str:
    """A cell in words: "800 × 3"."""
    others = "".join(f", {axis} {text(line[f'{name}_{axis}'], DIGITS)}" for axis in group.across)
    return f"{line[f'{name}_width']:.0f} × {line[f'{name}_depth']:.0f}{others}"


LEAD = (
    "λ_min of the infinite-width kernel Θ̄ of each width and depth below the measured one, in "
    "the same colours, and the ratio of measured to predicted in colours of its own, whose bar has "
    "a line at 1 where ratios lie on both sides of it. Hatched cells are unresolved: the "
    "eigenvalue, measured or predicted, does not exceed its error bound."
)


def _compose(study: Study, axes: MapAxes = THESIS) -> Content:
    group = study.group
    compared = [
        study.contested(chosen(study.cells(quantity), axes, study), quantity, axes.both)
        for quantity in COMPARED
    ]
    figures = []
    for act in activations(group.ok["act"]):
        for place, own in places(compared[0], axes):
            if not (own["act"] == act).any():
                continue
            parts = [place.of(one) for one in compared]
            stack = blocks(parts, act, axes.both)
            words = fill(group.title + place.words, heatmap.MOST_LETTERS)
            draw = partial(stacked, stack, f"{title(act)}\n{words}")
            name = f"{CHAPTER.name}{axes.slug}-{act}{place.slug}"
            table = numbers(parts, act, axes.both)
            figures.append(NamedFigure(name, alt_text(stack), draw, table))
    name = f"{CHAPTER.name}{axes.slug}"
    tables = [NamedTable(name, ratio_table(group, compared), ratios(compared))]
    return Content(LEAD, [Section(tables, figures)])


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
        map_axes.add_arguments,
        map_axes.options,
    ),
    need=a_result,
    across=map_axes.across,
)
