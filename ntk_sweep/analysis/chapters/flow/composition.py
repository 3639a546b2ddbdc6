"""The chapter on the gradient flow: at which loss λ_min begins to matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.flow.figures import alt_text, drawn, rate_figure
from ntk_sweep.analysis.chapters.flow.numbers import FACTOR, curves, ends, resolved
from ntk_sweep.analysis.chapters.flow.tables import flow_table, short_answer
from ntk_sweep.analysis.rows.columns import TRAINING
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, Missing, NamedFigure, NamedTable, Section

EXPERIMENT = "+experiment=study_small"
"""What follows a few networks along the flow, among others."""


def _need(study: Study, makes: Sequence[str]) -> Missing | None:
    """A run along the flow with a resolved λ_min."""
    if any(len(resolved(one)) for one in study.flows):
        return None
    sentence = (
        "λ_min of no run along the gradient flow exceeds its error bound."
        if study.flows
        else "There is no run along the gradient flow with a result."
    )
    # Only in float64 is a flow followed.
    command = replace(study.group, dtype="float64").command(*makes)
    return Missing(
        sentence, command, f"{study.group.title}: {sentence} Make some with\n  {command}"
    )


def _compose(study: Study) -> Content:
    tables, panels, answers = [], [], []
    for one in study.flows:
        rows = resolved(one)
        if rows.empty:
            continue
        values, points = ends(rows), curves(rows)
        tables.append(NamedTable(f"flow-{one.setting.slug}", flow_table(one, values), values))
        answers.append(f"{short_answer(values)} ({one.setting.title})")
        if len(points):
            panels.append((one.setting.title, points))
    lead = (
        "With a constant kernel the loss along the gradient flow falls at least as fast as "
        "exp(-4λ_min t/N), and in the end at that rate if the residual has a part in that mode. "
        "The figure has the rate at which it does fall, over the loss, in units of 4λ_min/N of the "
        "kernel before training: λ_min matters "
        f"where the curve comes near 1. In the end it is within a factor of {FACTOR:g} of it in "
        f"{'; '.join(answers)}."
    )
    figures = []
    if panels:
        draw = partial(rate_figure, panels, study.group.title)
        figures.append(NamedFigure("flow-rates", alt_text(panels), draw, drawn(panels)))
    return Content(lead, [Section(tables, figures)])


CHAPTER = Chapter(
    name="flow",
    title="Gradient flow and λ_min",
    compose=_compose,
    command=Command(
        "flow",
        "at which loss λ_min begins to matter, along the gradient flow",
        "Prints, for each network followed along the gradient flow (task.optimiser=flow), the rate "
        "at which its loss falls in the end and the loss from which that is the rate of λ_min, and "
        "writes flow-…: the tables, and the rate over the loss.",
        ("flow results", "flow results --data digits -o figures"),
    ),
    need=_need,
    makes=(EXPERIMENT,),
    tasks=(TRAINING,),
)
