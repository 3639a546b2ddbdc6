"""The chapter on how λ_min follows width and depth (docs/theory/scaling.md)."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.needs import a_resolved_cell, missing
from ntk_sweep.analysis.chapters.scaling.figures import alt_text, scaling_figure
from ntk_sweep.analysis.chapters.scaling.laws import inputs_of
from ntk_sweep.analysis.chapters.scaling.numbers import DEPTH, WIDTH, points, slopes
from ntk_sweep.analysis.chapters.scaling.tables import case_text, depth_table, width_table
from ntk_sweep.analysis.rows.activations import activations
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, NamedFigure, NamedTable, Section


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--images",
        metavar="PATH",
        help="where the inputs lie, whose rank decides which law applies: the folder that holds "
        "FashionMNIST/raw, or an npz file (default: where a sweep would look, without downloading)",
    )


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    return {"images": arguments.images}


def _compose(study: Study, images: str | None = None) -> Content:
    group = study.group
    table = points(study)
    known = table[table["mean"].notna()]
    inputs = inputs_of(group, images or study.images)
    fits = {axis.name: slopes(table, axis, inputs, law_of(group)) for axis in (WIDTH, DEPTH)}
    sentence = widths_missing(known, fits[WIDTH.name])
    absent = missing(study, sentence, CHAPTER.makes) if sentence else None
    if all(own.empty for own in fits.values()):
        return Content(missing=absent)
    drawn = pd.concat(fits.values())["act"]
    case, tables = [case_text(group, inputs, activations(drawn))], []
    for axis, make in ((WIDTH, width_table), (DEPTH, depth_table)):
        own = fits[axis.name]
        if len(own):
            made = make(group, own)
            # below the first table, so that a terminal shows it too
            made = replace(made, notes=[*case, *made.notes])
            tables.append(NamedTable(f"{CHAPTER.name}-{axis.name}", made, own))
            case = []
    figures = []
    for act in activations(drawn):
        draw = partial(scaling_figure, table, fits, act, inputs, law_of(group), group.title)
        own = table[table["act"] == act].drop(columns="logs")
        figures.append(NamedFigure(f"{CHAPTER.name}-{act}", alt_text(table, fits, act), draw, own))
    lead = (
        "λ_min against width and against depth, geometric means over seeds, beside those of the "
        "infinite-width kernel and the laws of docs/theory/scaling.md."
    )
    return Content(lead, [Section(tables, figures)], absent)


def law_of(group: Group) -> str:
    """The name under which laws know a group; those of `ntk` hold at any scale."""
    return group.parametrisation if group.parametrisation == "ntk" else group.scaling


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
        "looked for where a sweep would find them, or at --images.",
        ("scaling results", "scaling results --data digits -o figures"),
        _add_arguments,
        _options,
    ),
    need=a_resolved_cell,
)
