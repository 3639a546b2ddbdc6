"""The chapter on test inputs: what kernels predict of generalisation, and what f₀ does to it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.generalisation.figures import alt_text, course_figure
from ntk_sweep.analysis.chapters.generalisation.numbers import (
    Comparison,
    comparisons,
    courses,
    of_networks,
    outcomes,
)
from ntk_sweep.analysis.chapters.generalisation.tables import losses_table
from ntk_sweep.analysis.chapters.needs import missing
from ntk_sweep.analysis.rows.columns import TRAINING
from ntk_sweep.analysis.rows.runs import MOST_NETWORKS, WINNERS, list_cells
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, Missing, NamedFigure, NamedTable, Section

MAKES = (WINNERS, "data.n_test_per_class=50", "task.centre_outputs=false,true", "seed=range(0,5)")
"""What trains the best networks and tests them, from f_0 as drawn and removed."""

LEAD = (
    "Loss and accuracy on inputs that are not trained on, and what the kernel before training and "
    "its infinite-width limits predict of them: along the gradient flow, and for t → ∞, which is "
    "kernel regression. The function before training, f₀, is no part of what was to be learnt; "
    "task.centre_outputs=true removes it."
)


def _need(study: Study, makes: Sequence[str]) -> Missing | None:
    """A run that was tested."""
    if study.training is not None and comparisons(study.training):
        return None
    return missing(study, "There is no training run with a loss on test inputs.", makes)


def _compose(study: Study) -> Content:
    assert study.training is not None
    found = comparisons(study.training)
    sections = [_section(one, one.setting.title if len(found) > 1 else "") for one in found]
    return Content(LEAD, sections)


def _section(one: Comparison, title: str) -> Section:
    """The table and the figure of one way of training."""
    values = outcomes(one)
    table = NamedTable(f"generalisation-{one.name}", losses_table(one, values), values)
    networks = list_cells(one.rows)
    if one.setting.is_flow or not networks:
        return Section([table], [], title)
    # those with the least measured loss, where a figure does not hold all
    best = values.groupby(["act", "width", "depth"], sort=False)["measured"].min()
    shown = sorted(networks, key=lambda network: (best[network], network))[:MOST_NETWORKS]
    points = courses(of_networks(one, [network for network in networks if network in shown]))
    draw = partial(course_figure, points, f"{one.group.title}\n{one.setting.title}")
    figure = NamedFigure(f"test-loss-{one.name}", alt_text(points), draw, points)
    return Section([table], [figure], title)


CHAPTER = Chapter(
    name="generalisation",
    title="Test inputs: measured and predicted",
    compose=_compose,
    command=Command(
        "generalisation",
        "loss and accuracy on test inputs, beside what kernels predict",
        "Prints the loss and accuracy on test inputs after training (data.n_test_per_class), what "
        "the kernel before training, its infinite-width limit and the NNGP kernel predict of them, "
        "and what removing the function before training does, and writes generalisation-… and "
        "test-loss-… for each way of training.",
        ("generalisation results", "generalisation results --data digits -o figures"),
    ),
    need=_need,
    makes=MAKES,
    tasks=(TRAINING,),
)
