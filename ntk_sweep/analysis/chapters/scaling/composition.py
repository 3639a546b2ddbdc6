"""The chapter on how λ_min follows width and depth (docs/theory/scaling.md)."""

from __future__ import annotations

from functools import partial

import pandas as pd

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.needs import a_resolved_cell, missing
from ntk_sweep.analysis.chapters.scaling.figures import alt_text, scaling_figure
from ntk_sweep.analysis.chapters.scaling.laws import inputs_of
from ntk_sweep.analysis.chapters.scaling.numbers import DEPTH, WIDTH, points, slopes
from ntk_sweep.analysis.chapters.scaling.tables import case_text, depth_table, width_table
from ntk_sweep.analysis.rows.activations import activations
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, NamedFigure, NamedTable, Section


def _compose(study: Study) -> Content:
    group = study.group
    table = points(study)
    known = table[table["mean"].notna()]
    inputs = inputs_of(group, study.images)
    fits = {
        axis.name: slopes(table, axis, inputs, group.parametrisation) for axis in (WIDTH, DEPTH)
    }
    sentence = widths_missing(known, fits[WIDTH.name])
    absent = missing(study, sentence, CHAPTER.makes) if sentence else None
    if all(own.empty for own in fits.values()):
        return Content(missing=absent)
    tables = [
        NamedTable(f"{CHAPTER.name}-{axis.name}", make(group, fits[axis.name]), fits[axis.name])
        for axis, make in ((WIDTH, width_table), (DEPTH, depth_table))
        if len(fits[axis.name])
    ]
    drawn = pd.concat(fits.values())["act"]
    figures = []
    for act in activations(drawn):
        draw = partial(scaling_figure, table, fits, act, inputs, group.parametrisation, group.title)
        own = table[table["act"] == act].drop(columns="logs")
        figures.append(NamedFigure(f"{CHAPTER.name}-{act}", alt_text(table, fits, act), draw, own))
    lead = (
        "λ_min against width and against depth, geometric means over seeds, beside those of the "
        "infinite-width kernel and what the laws of docs/theory/scaling.md say. "
        f"{case_text(group, inputs, activations(drawn))}"
    )
    return Content(lead, [Section(tables, figures)], absent)


def widths_missing(known: pd.DataFrame, fits: pd.DataFrame) -> str:
    """What is not there for a slope over width, as a sentence; empty if everything is."""
    if len(fits):
        return ""
    widths = known["width"].unique()
    if len(widths) == 1:
        return (
            f"All cells with a resolved λ_min have the same width ({widths[0]}), and a slope needs "
            "at least two."
        )
    return "No activation and depth has a resolved λ_min at two widths, which a slope needs."


CHAPTER = Chapter(
    name="scaling",
    title="Scaling with width and depth",
    compose=_compose,
    command=Command(
        "scaling",
        "how λ_min follows width and depth, measured and by the laws",
        "Prints the fitted powers of the width and factors of a layer beside those of the "
        "infinite-width kernel and of the laws, and writes them to scaling-width-GROUP.csv, .md "
        "and .tex, and scaling-depth-GROUP likewise; and for each activation scaling-ACT-GROUP.png,"
        " .svg, .pdf and .csv. Which law applies follows from the rank of the inputs, which are "
        "looked for where a sweep would find them.",
        ("scaling results", "scaling results --data digits -o figures"),
    ),
    need=a_resolved_cell,
)
