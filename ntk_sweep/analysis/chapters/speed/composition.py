"""The chapter on what tells the speed of training."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.needs import a_run
from ntk_sweep.analysis.chapters.speed.associations import LEAST_NETWORKS, Association, associate
from ntk_sweep.analysis.chapters.speed.candidates import SHARES
from ntk_sweep.analysis.chapters.speed.conclusion import conclusion, spoken_of
from ntk_sweep.analysis.chapters.speed.figures import alt_text, curve_figure, ranking_figure
from ntk_sweep.analysis.chapters.speed.tables import (
    curve_numbers,
    numbers,
    ranking_table,
    summary_table,
)
from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows.columns import TRAINING
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, Missing, NamedFigure, NamedTable, Section

LEAD = (
    "Which quantity known before training tells how soon the loss of a network comes to stay below "
    "a share of its own loss before training."
)


def _compose(study: Study, shares: Sequence[float] = SHARES) -> Content:
    """Settings with fewer than `LEAST_NETWORKS` networks are left out.

    All shares stand in the summary and in CSV files; figures and rankings show the one spoken of.
    """
    enough = [one for one in study.runs if len(one.networks) >= LEAST_NETWORKS]
    if not enough:
        return Content(missing=_missing(study))
    every = [associate(one, share) for one in enough for share in shares]
    summary = summary_table(every, conclusion(every))
    answer = NamedTable("speed", summary, numbers(every))
    shown = [one for one in spoken_of(every) if len(one.table)]
    if not shown:
        return Content(LEAD, [Section([answer])])
    rankings = [
        NamedTable(f"speed-{one.runs.setting.slug}", ranking_table(one), one.table) for one in shown
    ]
    return Content(LEAD, [Section([answer], _figures(shown, study.group.title)), Section(rankings)])


def _figures(shown: Sequence[Association], title: str) -> list[NamedFigure]:
    light, words = [one.light() for one in shown], alt_text(shown)
    curve, ranking = (partial(draw, light, title) for draw in (curve_figure, ranking_figure))
    return [
        NamedFigure("speed-modes", words, curve, curve_numbers(shown)),
        NamedFigure("speed-ranking", words, ranking, numbers(shown)),
    ]


def _missing(study: Study) -> Missing:
    most = max((len(one.networks) for one in study.runs), default=0)
    command = study.group.command(*CHAPTER.makes)
    return Missing(
        f"This needs at least {LEAST_NETWORKS} networks trained in the same way.",
        command,
        f"{study.group.title}: this needs at least {LEAST_NETWORKS} networks trained in the same "
        f"way, and there are at most {most}: train more with\n  {command}",
    )


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    listed = ", ".join(f"{share:g}" for share in SHARES)
    parser.add_argument(
        "--share",
        metavar="SHARE",
        type=float,
        action="append",
        help="a share of the loss before training to stay below; may be repeated (default: "
        f"{listed})",
    )


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    shares = arguments.share or SHARES
    if not all(0 < share < 1 for share in shares):
        wrong = next(share for share in shares if not 0 < share < 1)
        raise AnalysisError(
            f"--share {wrong:g} is no share of the loss before training: give a number between 0 "
            f"and 1, such as {SHARES[1]:g}"
        )
    return {"shares": tuple(dict.fromkeys(shares))}


CHAPTER = Chapter(
    name="speed",
    title="What tells the speed of training",
    compose=_compose,
    command=Command(
        "speed",
        "which quantity known before training tells how soon the loss stays low",
        "Prints Somers' D of every quantity with the epochs after which the loss stays below a "
        "share of that before training, with intervals that resample cells of width and depth, "
        f"and writes speed and speed-…. Needs {LEAST_NETWORKS} networks trained in the same way.",
        ("speed results", "speed results --share 0.01"),
        _add_arguments,
        _options,
    ),
    need=a_run,
    makes=("+experiment=study_small",),
    tasks=(TRAINING,),
)
