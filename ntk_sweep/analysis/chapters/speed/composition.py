"""The chapter on what predicts training speed, one section for each loss."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.needs import a_run
from ntk_sweep.analysis.chapters.speed.candidates import THRESHOLDS
from ntk_sweep.analysis.chapters.speed.conclusion import answer_table
from ntk_sweep.analysis.chapters.speed.correlations import LEAST_NETWORKS, correlations
from ntk_sweep.analysis.chapters.speed.figures import (
    Ranking,
    alt_text,
    ranking_figure,
    scatter_figure,
)
from ntk_sweep.analysis.chapters.speed.tables import numbers, ranking_table, scatter_numbers
from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows.columns import TRAINING
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, Missing, NamedFigure, NamedTable, Section

LEAD = (
    "Which quantity known before training ranks the networks by the epochs that they need to a "
    "given loss."
)


def _compose(study: Study, thresholds: Sequence[float] = THRESHOLDS) -> Content:
    """Settings with fewer than `LEAST_NETWORKS` networks are left out.

    What too few networks reach appears in the summary only.
    """
    enough = [one for one in study.runs if len(one.networks) >= LEAST_NETWORKS]
    if not enough:
        return Content(missing=_missing(study))
    every = [(one, correlations(one, thresholds)) for one in enough]
    sections = [Section([NamedTable("speed", answer_table(every), numbers(every))])]
    for threshold in thresholds:
        ranked = [
            (one, frame)
            for one, frame in every
            if frame.loc[frame["threshold"] == threshold, "rho"].notna().any()
        ]
        if ranked:
            sections.append(_section(study.group.title, ranked, threshold))
    return Content(LEAD, sections)


def _section(title: str, ranked: Sequence[Ranking], threshold: float) -> Section:
    """A table for each setting, and two figures of all of them."""
    name, subtitle = f"loss{threshold:g}", f"{title}\nepochs to a loss of {threshold:g}"
    tables = [
        NamedTable(
            f"speed-{name}-{one.setting.slug}",
            ranking_table(one, frame, threshold),
            numbers([(one, frame[frame["threshold"] == threshold])]),
        )
        for one, frame in ranked
    ]
    light = [(one.light(), frame) for one, frame in ranked]
    words = alt_text(ranked, threshold)
    ranking = partial(ranking_figure, light, threshold, subtitle)
    scatter = partial(scatter_figure, light, threshold, subtitle)
    points = scatter_numbers([one for one, _ in ranked], threshold)
    figures = [
        NamedFigure(f"speed-{name}", words, ranking, numbers(ranked)),
        NamedFigure(f"speed-scatter-{name}", words, scatter, points),
    ]
    return Section(tables, figures, f"Epochs to a loss of {threshold:g}")


def _missing(study: Study) -> Missing:
    most = max(len(one.networks) for one in study.runs)
    command = study.group.command(*CHAPTER.makes)
    return Missing(
        f"A ranking needs at least {LEAST_NETWORKS} networks trained in the same way.",
        command,
        f"{study.group.title}: a ranking needs at least {LEAST_NETWORKS} networks trained in "
        f"the same way, and there are at most {most}: train more with\n  {command}",
    )


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    listed = ", ".join(f"{loss:g}" for loss in THRESHOLDS)
    parser.add_argument(
        "--threshold",
        metavar="LOSS",
        type=float,
        action="append",
        help=f"a loss to reach; may be repeated (default: {listed})",
    )


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    thresholds = arguments.threshold or THRESHOLDS
    if min(thresholds) <= 0:
        raise AnalysisError(
            f"--threshold {min(thresholds):g} is never reached: give a loss above 0, such as "
            f"{THRESHOLDS[0]:g}"
        )
    return {"thresholds": tuple(dict.fromkeys(thresholds))}


CHAPTER = Chapter(
    name="speed",
    title="What predicts training speed",
    compose=_compose,
    command=Command(
        "speed",
        "which quantity known before training ranks the networks by epochs to a loss",
        "Prints rank correlations of every candidate with the epochs to a loss, with bootstrap "
        "intervals that resample networks, over all runs and within each activation, and writes "
        f"speed-…: for each learning rate and loss. Needs {LEAST_NETWORKS} networks trained in the "
        "same way.",
        ("speed results", "speed results --threshold 0.05"),
        _add_arguments,
        _options,
    ),
    need=a_run,
    makes=("+experiment=speed_study",),
    tasks=(TRAINING,),
)
