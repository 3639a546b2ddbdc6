"""The chapter on the drift of the kernel, one section for each way of training."""

from __future__ import annotations

from functools import partial

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.drift.figures import (
    EIGENVALUES,
    eigenvalue_figure,
    eigenvalue_text,
    epoch_figure,
)
from ntk_sweep.analysis.chapters.drift.numbers import (
    EXPERIMENT,
    at_the_end,
    drift,
    missing,
    over_seeds,
    recorded,
    slopes,
)
from ntk_sweep.analysis.chapters.drift.tables import end_table, slope_table
from ntk_sweep.analysis.chapters.drift.width_figure import alt_text, width_figure
from ntk_sweep.analysis.chapters.needs import a_run
from ntk_sweep.analysis.rows.columns import TRAINING
from ntk_sweep.analysis.rows.over_seeds import ENDS
from ntk_sweep.analysis.rows.runs import Runs
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, Missing, NamedFigure, NamedTable, Section
from ntk_sweep.store.columns import CELL


def _compose(study: Study) -> Content:
    every = [one for one in study.runs if recorded(one)]
    if not every:
        sentence = "No run recorded its kernel during training."
        command = study.group.command(*CHAPTER.makes)
        return Content(missing=Missing(sentence, command, missing(study.group)))
    lead = "How far the kernel moves while a network is trained."
    return Content(lead, [_section(one) for one in every])


def _section(one: Runs) -> Section:
    """The tables and figures of the networks that were trained in one way."""
    points = drift(one)
    fits = slopes(points)
    title, slug = f"{one.group.title}\n{one.setting.title}", one.setting.slug
    words, ends = alt_text(points, fits), over_seeds(at_the_end(points))
    tables = [
        NamedTable(f"drift-slopes-{slug}", slope_table(one, points, fits), fits),
        NamedTable(f"drift-ends-{slug}", end_table(one, points), ends),
    ]
    figures = []
    if len(fits):
        draw = partial(width_figure, points, fits, title)
        figures.append(NamedFigure(f"drift-width-{slug}", words, draw, ends))
    later = points[points["epoch"] > 0]
    for depth in map(int, sorted(later["depth"].unique())):
        own = points[points["depth"] == depth]
        subtitle, end, shown = f"{title}, depth {depth}", f"depth{depth}-{slug}", over_seeds(own)
        for name, figure, alt, columns in (
            ("epochs", epoch_figure, f"Depth {depth}, over epochs. {words}", ("change",)),
            ("eigenvalues", eigenvalue_figure, eigenvalue_text(own), EIGENVALUES),
        ):
            kept = [*CELL, "epoch", "seeds", *(f"{one}{at}" for one in columns for at in ENDS)]
            figures.append(
                NamedFigure(f"drift-{name}-{end}", alt, partial(figure, own, subtitle), shown[kept])
            )
    return Section(tables, figures, one.setting.title)


CHAPTER = Chapter(
    name="drift",
    title="Drift of the kernel",
    compose=_compose,
    command=Command(
        "drift",
        "how far the kernel moves during training, over epochs and against width",
        "Prints the fitted slopes against width and the change of kernel, λ_min, λ_max and "
        "alignment, and writes drift-…: of runs that recorded their kernel "
        "(task.record_kernel_every).",
        ("drift results", "drift results --data digits -o figures"),
    ),
    need=a_run,
    makes=(EXPERIMENT,),
    tasks=(TRAINING,),
)
