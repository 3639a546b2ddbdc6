"""The parts of the report that show training runs, a set of tables and figures for each way of
training.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from analysis.chapters import bounds
from analysis.chapters import training as curves
from analysis.chapters.chapter import Block, Content, Part, Picture, Sheet
from analysis.chapters.drift import figures as drift_figures
from analysis.chapters.drift import numbers as drift
from analysis.chapters.speed import conclusion as verdict
from analysis.chapters.speed import correlations as speed
from analysis.chapters.speed import figures as speed_figures
from analysis.chapters.speed import tables as speed_tables
from analysis.chapters.table1 import best_cells
from analysis.rows.group import Group
from analysis.rows.networks import of_thesis
from analysis.rows.runs import MOST_NETWORKS, Cell, Runs, list_cells, runs
from analysis.rows.study import Material

WINNERS = ("+experiment=thesis_training", "seed=range(0,5)")
NETWORKS = ("+experiment=thesis_kernels_training", "seed=range(0,5)")

_HEAVY = ("eigenvalues", "eigenvalue_errors", "initial_outputs", "outputs", "error")
"""Columns that no figure of these shows, and that need not travel to the process that draws it."""


def _training(material: Material) -> Content:
    """Figures 9 and 10: the best network of each activation, then the two of Figures 1 to 4; else
    what there is, if it is little.
    """
    best = list_cells(best_cells(material.statistics).dropna(subset="lambda_min"))
    blocks: list[Block] = []
    left = 0
    for one in _settings(material):
        thesis = list_cells(of_thesis(one.rows))
        sets = (
            ("-best", best, "the best of each activation by λ_min (Figure 9)"),
            ("-thesis", thesis, "those of Figure 10"),
        )
        chosen = [
            (name, [network for network in one.networks if network in networks], text)
            for name, networks, text in sets
        ]
        chosen = [entry for entry in chosen if entry[1]]
        if not chosen and len(one.networks) <= MOST_NETWORKS:
            chosen = [("", one.networks, "all networks")]
        blocks += [_curves(one, networks, name, text) for name, networks, text in chosen]
        left += not chosen
    lead = (
        "Loss and accuracy over epochs, medians over seeds with bands from the least to the "
        "greatest; beside them what the kernel at initialisation predicts. Runs that were trained "
        "in different ways are never mixed."
    )
    if not left:
        return Content(lead, blocks)
    hold = f"{left} other ways hold" if left > 1 else "One other way holds"
    others = (
        f"{hold if blocks else hold.replace('other ', '')} more than {MOST_NETWORKS} networks and "
        f"none of these: python -m analysis training {shlex.quote(material.group.results)} "
        "--network NAME draws chosen ones."
    )
    if blocks:
        return Content(f"{lead} {others}", blocks)
    return Content(lead, missing=others, command=material.group.command(*WINNERS))


def _curves(one: Runs, networks: list[Cell], name: str, text: str) -> Block:
    """The table and the two figures of some networks."""
    chosen = one.of(networks)
    points = curves.courses(chosen)
    words, title = curves.alt_text(points), f"{one.group.title}\n{one.setting.title}"
    stem = f"{name}-{one.setting.slug}"
    sheet = Sheet(f"training{stem}", curves.outcome_table(chosen), curves.outcomes(points))
    course = Picture(f"curves{stem}", words, partial(curves.course_figure, points, title), points)
    predicted = Picture(
        f"predicted{stem}", words, partial(curves.prediction_figure, points, title), points
    )
    return Block([sheet], [course, predicted], f"{one.setting.title}: {text}")


def _bounds(material: Material) -> Content:
    blocks = []
    for one in _of_figure_11(material):
        values = bounds.bound_values(one)
        title, name = f"{one.group.title}\n{one.setting.title}", f"bounds-{one.setting.slug}"
        sheet = Sheet(name, bounds.violation_table(one, values), bounds.violations(values))
        picture = Picture(
            name,
            bounds.alt_text(values),
            partial(bounds.bound_figure, _light(one), values, title),
            values,
        )
        blocks.append(Block([sheet], [picture], one.setting.title))
    lead = (
        "The loss over epochs and the bounds that λ_min gives for it; none of them is a theorem "
        "for these networks."
    )
    return Content(lead, blocks)


def _of_figure_11(material: Material) -> list[Runs]:
    """The runs of ReLU 800 × 3 whose λ_min is known."""
    own = [
        one.of([bounds.FIGURE_11])
        for one in _settings(material)
        if bounds.FIGURE_11 in one.networks
    ]
    return [
        one for one in own if one.rows["lambda_min_resolved"].eq(True).any()
    ]  # the column may hold None


def _drift(material: Material) -> Content:
    blocks = []
    for one in filter(drift.recorded, _settings(material)):
        points = drift.drift(one)
        fits = drift.slopes(points)
        title, slug = f"{one.group.title}\n{one.setting.title}", one.setting.slug
        words = drift_figures.alt_text(points, fits)
        ends = drift.over_seeds(drift.at_the_end(points))
        sheets = [
            Sheet(f"drift-slopes-{slug}", drift.slope_table(one, points, fits), fits),
            Sheet(f"drift-ends-{slug}", drift.end_table(one, points), ends),
        ]
        pictures = []
        if len(fits):
            draw = partial(drift_figures.width_figure, points, fits, title)
            pictures.append(Picture(f"drift-width-{slug}", words, draw, ends))
        for depth in map(int, sorted(points["depth"].unique())):
            draw = partial(drift_figures.epoch_figure, points, depth, f"{title}, depth {depth}")
            own = drift.over_seeds(points[points["depth"] == depth])
            pictures.append(
                Picture(
                    f"drift-epochs-depth{depth}-{slug}",
                    f"Depth {depth}, over epochs. {words}",
                    draw,
                    own,
                )
            )
        blocks.append(Block(sheets, pictures, one.setting.title))
    return Content("How far the kernel moves while a network is trained.", blocks)


def _speed(material: Material) -> Content:
    every = [(one, speed.correlations(one)) for one in _enough(material)]
    blocks = [Block([Sheet("speed", verdict.answer_table(every), speed_tables.numbers(every))])]
    title = material.group.title
    for threshold in speed.THRESHOLDS:
        shown = [
            (one, frame)
            for one, frame in every
            if frame.loc[frame["threshold"] == threshold, "rho"].notna().any()
        ]
        if not shown:
            continue
        sheets, pictures = [], []
        for one, frame in shown:
            own = speed_tables.numbers([(one, frame[frame["threshold"] == threshold])])
            table = speed_tables.ranking_table(one, frame, threshold)
            sheets.append(Sheet(f"speed-loss{threshold:g}-{one.setting.slug}", table, own))
        light = [(_light(one), frame) for one, frame in shown]
        words, subtitle = (
            speed_figures.alt_text(shown, threshold),
            f"{title}\nepochs to a loss of {threshold:g}",
        )
        ranking = partial(speed_figures.ranking_figure, light, threshold, subtitle)
        scatter = partial(speed_figures.scatter_figure, light, threshold, subtitle)
        pictures.append(
            Picture(f"speed-loss{threshold:g}", words, ranking, speed_tables.numbers(shown))
        )
        points = speed_tables.scatter_numbers([one for one, _ in shown], threshold)
        pictures.append(Picture(f"speed-scatter-loss{threshold:g}", words, scatter, points))
        blocks.append(Block(sheets, pictures, f"Epochs to a loss of {threshold:g}"))
    lead = (
        "Which quantity known before training ranks the networks by the epochs that they need to a "
        "given loss."
    )
    return Content(lead, blocks)


def _enough(material: Material) -> list[Runs]:
    return [one for one in _settings(material) if len(one.networks) >= speed.LEAST_NETWORKS]


def _settings(material: Material) -> list[Runs]:
    """The runs of a group by setting; none where none has a result."""
    group = material.training
    return (
        runs(group)
        if group is not None and group.rows["status"].isin(["ok", "diverged"]).any()
        else []
    )


def _light(one: Runs) -> Runs:
    """Runs without what no figure shows."""
    rows = one.rows.drop(columns=[name for name in _HEAVY if name in one.rows])
    return replace(one, group=replace(one.group, rows=one.group.rows.iloc[:0]), rows=rows)


def _missing(what: str, have: Callable[[Material], list]) -> Callable[[Material], str]:
    def missing(material: Material) -> str:
        if material.training is None:
            return "There is no training run."
        if not _settings(material):
            return f"None of the {len(material.training.rows)} training runs has a result."
        return "" if have(material) else what

    return missing


def _command(*words: str) -> Callable[[Group], str]:
    return lambda group: group.command(*words)


def _recorded(material: Material) -> list[Runs]:
    return [one for one in _settings(material) if drift.recorded(one)]


_FEW = f"A ranking needs at least {speed.LEAST_NETWORKS} networks trained in the same way."

TRAINING_PARTS = (
    Part(
        "training",
        "Training (Figures 9 and 10)",
        _missing("", _settings),
        _command(*WINNERS),
        _training,
    ),
    Part(
        "bounds",
        "Bounds from λ_min (Figure 11)",
        _missing("There is no run of ReLU 800 × 3 with a resolved λ_min.", _of_figure_11),
        _command(*NETWORKS),
        _bounds,
    ),
    Part(
        "drift",
        "Drift of the kernel",
        _missing("No run recorded its kernel during training.", _recorded),
        _command("+experiment=drift"),
        _drift,
    ),
    Part(
        "speed",
        "What predicts training speed",
        _missing(_FEW, _enough),
        _command("+experiment=speed_study"),
        _speed,
    ),
)
