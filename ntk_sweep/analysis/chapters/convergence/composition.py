"""The chapter on convergence with width."""

from __future__ import annotations

from functools import partial

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.convergence.figures import MOST_LINES, alt_text, convergence_figure
from ntk_sweep.analysis.chapters.convergence.numbers import (
    distances,
    is_pooled,
    pooled,
    slopes,
    widths_missing,
)
from ntk_sweep.analysis.chapters.convergence.tables import slope_table
from ntk_sweep.analysis.chapters.needs import a_result, missing
from ntk_sweep.analysis.rows.activations import activations
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, NamedFigure, NamedTable, Section


def _compose(study: Study) -> Content:
    group = study.group
    points = distances(group.rows)
    absent = widths_missing(points)
    if absent:
        return Content(missing=missing(study, absent, CHAPTER.makes))
    fits = slopes(points)
    figures = []
    for act in activations(points["act"]):
        own = points[points["act"] == act]
        line = pooled(own) if is_pooled(own) else None
        draw = partial(convergence_figure, points, fits, act, group.title, line)
        alt = alt_text(points, fits, act)
        figures.append(NamedFigure(f"{CHAPTER.name}-{act}", alt, draw, own))
    single = (
        " Single seeds are points, with one line for all depths, each at a height of its own."
        if any(is_pooled(own) for _, own in points.groupby("act", sort=False))
        else ""
    )
    lead = (
        "The relative distance ‖Θ - Θ̄‖ / ‖Θ̄‖ in the Frobenius norm from the infinite-width "
        "kernel of the same width and depth, on logarithmic axes: the mean over seeds, and a band "
        "that holds two thirds of them. The dashed line falls like 1/√width. At most "
        f"{MOST_LINES} depths are drawn; the table has all.{single}"
    )
    table = NamedTable(CHAPTER.name, slope_table(group, fits), fits)
    return Content(lead, [Section([table], figures)])


CHAPTER = Chapter(
    name="convergence",
    title="Convergence with width",
    compose=_compose,
    command=Command(
        "convergence",
        "the distance of the kernel from its infinite-width limit, against width",
        "Prints the fitted slopes and writes them to convergence-GROUP.csv, .md and .tex; and for "
        "each activation convergence-ACT-GROUP.png, .svg, .pdf and .csv: the relative distance "
        "against width on logarithmic axes, a line a depth.",
        ("convergence results", "convergence results --data digits -o figures"),
    ),
    need=a_result,
)
