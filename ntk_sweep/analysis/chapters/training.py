"""Loss and accuracy over epochs beside what Θ at initialisation predicts.

Figures 9 and 10 of the thesis.
"""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.needs import a_run
from ntk_sweep.analysis.chapters.run_choice import Choice, add_arguments, chosen_runs, options
from ntk_sweep.analysis.chapters.training_notes import training_notes
from ntk_sweep.analysis.drawing.axes import PAPER, epoch_axis, heading, log_limits
from ntk_sweep.analysis.drawing.looks import COLOURS, network_looks
from ntk_sweep.analysis.drawing.loss_panels import band, ceiling, loss_panels, remark_divergence
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.rows import thesis
from ntk_sweep.analysis.rows.columns import SPECTRUM, TRAINING
from ntk_sweep.analysis.rows.courses import PREDICTED, courses
from ntk_sweep.analysis.rows.over_seeds import ENDS, diverged_note, seeds_note
from ntk_sweep.analysis.rows.runs import (
    MOST_NETWORKS,
    WINNERS,
    Cell,
    Runs,
    list_cells,
    network_title,
    rows_of,
)
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, Missing, NamedFigure, NamedTable, Section
from ntk_sweep.analysis.writing.entries import Entry, bracket
from ntk_sweep.analysis.writing.tables import Table
from ntk_sweep.store.columns import CELL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PREDICTION_TITLES = {
    "linearised": "linearised network, same order of samples",
    "descent": "full-batch gradient descent, constant kernel",
    "flow": "gradient flow, constant kernel",
}

_LOOKS: dict[str, dict[str, Any]] = {
    "linearised": {"linestyle": (0, (5, 1.5)), "linewidth": 1.3},
    "descent": {"linestyle": (0, (1, 1)), "linewidth": 1.6},
    "flow": {"linestyle": (0, (6, 1.5, 1, 1.5)), "linewidth": 1.1},
}
_PREDICTION_COLOURS = {"linearised": COLOURS[1], "descent": COLOURS[2], "flow": COLOURS[3]}


def outcomes(points: pd.DataFrame) -> pd.DataFrame:
    """What `courses` comes to, a row a network.

    The columns `seeds`, `diverged`, `loss_before`, then all of the last epoch, with `_low` and
    `_high`.
    """
    first, last = points[points["epoch"] == 0], points[points["epoch"] == points["epoch"].max()]
    before = first[[*CELL, *(f"loss{end}" for end in ENDS)]].rename(
        columns=lambda name: name.replace("loss", "loss_before")
    )
    return before.merge(last, on=CELL)


def outcome_table(runs: Runs, points: pd.DataFrame) -> Table:
    """`outcomes` to be read."""
    columns = [
        *("Network", "seeds", "diverged", "loss before", "loss after", "accuracy after"),
        *("predicted after: linearised", "descent", "flow"),
    ]
    names = ("loss_before", "loss", "accuracy", *PREDICTED)
    rows: list[list[Entry]] = []
    for line in outcomes(points).to_dict("records"):
        network = (line["act"], line["width"], line["depth"])
        rows.append(
            [
                network_title(network),
                line["seeds"],
                line["diverged"],
                *(bracket(line, name) for name in names),
            ]
        )
    notes = [
        seeds_note(runs.rows, "each number"),
        "Loss: the mean squared error over all samples. Accuracy: with the threshold ½. Predicted: "
        "from the kernel at initialisation, by the linearised network with the same order of "
        "samples, by full-batch gradient descent with as many steps of the same size, and by "
        "gradient flow for the same time.",
        *training_notes(runs),
        *diverged_note(runs.rows),
    ]
    return Table(
        f"Training: loss before and after, and predicted ({runs.title})", columns, rows, notes
    )


def course_figure(points: pd.DataFrame, subtitle: str = "") -> Figure:
    """Loss, running loss and accuracy over epochs, the networks in different colours and markers.

    Args:
        points: From `courses`.
        subtitle: Above the panels.
    """
    from matplotlib.figure import Figure

    networks = list_cells(points)
    with style():
        figure = Figure(figsize=(PAPER, 3.1), layout="constrained")
        loss, running, accuracy = figure.subplots(1, 3)
        losses = [
            points[f"{name}{end}"].to_numpy()
            for name in ("loss", "running_loss")
            for end in ("_low", "_high")
        ]
        limits = log_limits(*losses, ceiling=ceiling(points))
        for axes, title in (
            (loss, "loss over all samples"),
            (running, "running mean of the loss"),
            (accuracy, "accuracy"),
        ):
            axes.set_title(title, fontsize=9)
            epoch_axis(axes, int(points["epoch"].max()))
            if axes is not accuracy:
                axes.set(yscale="log", ylim=limits)
        for place, (network, look) in enumerate(
            zip(networks, network_looks(networks), strict=True)
        ):
            own, colour = rows_of(points, network), look.colour
            loss_look = look.curve(place, own["loss"])
            count = int(own["diverged"].iloc[-1])
            label = network_title(network) + (
                f" ({count} of {own['seeds'].iloc[0]} diverged)" if count else ""
            )
            band(loss, own, "loss", colour, label, **loss_look)
            later = own[own["epoch"] > 0]
            # The mean over an epoch stands in its middle.
            middle = later["epoch"].to_numpy() - 0.5
            running_look = look.curve(place, later["running_loss"])
            band(running, later, "running_loss", colour, x=middle, **running_look)
            band(accuracy, own, "accuracy", colour, **look.curve(place, own["accuracy"]))
            remark_divergence(loss, own, "loss", colour, network_title(network))
            remark_divergence(running, later, "running_loss", colour, network_title(network))
        least = float(np.nanmin(points["accuracy_low"]))
        accuracy.set_ylim(min(0.45, least - 0.03), 1.02)
        heading(figure, subtitle)
        # Longer names, of runs that diverged, leave room for fewer beside one another.
        columns = 2 if points["diverged"].any() else 4
        figure.legend(loc="outside lower left", ncols=min(len(networks), columns), fontsize=8)
        return figure


def prediction_figure(points: pd.DataFrame, subtitle: str = "") -> Figure:
    """Each network's loss beside its predictions, a panel each.

    Args:
        points: From `courses`.
        subtitle: Above the panels.
    """
    measured = [points[f"loss{end}"].to_numpy() for end in ("_low", "_high")]
    # A prediction far below every measured loss would squeeze all else together.
    floor = log_limits(*measured)[0] / 100
    limits = log_limits(
        *measured,
        *(points[name].to_numpy() for name in PREDICTED),
        floor=floor,
        ceiling=ceiling(points),
    )
    with style():
        networks = list_cells(points)
        figure, panels = loss_panels(
            networks, 2 if len(networks) <= 4 else 3, int(points["epoch"].max()), limits, subtitle
        )
        for place, (network, axes) in enumerate(panels.items()):
            own = rows_of(points, network)
            band(axes, own, "loss", COLOURS[0], "measured" if place == 0 else "", linewidth=1.6)
            remark_divergence(axes, own, "loss", COLOURS[0], "measured")
            for name, title in PREDICTION_TITLES.items():
                label = title if place == 0 else ""
                # The bands of those without the noise of single samples hide one another, and are
                # as wide as the linearised one.
                band(
                    axes,
                    own,
                    name,
                    _PREDICTION_COLOURS[name],
                    label,
                    filled=name == "linearised",
                    **_LOOKS[name],
                )
                words = title.partition(",")[0]
                remark_divergence(axes, own, name, _PREDICTION_COLOURS[name], words)
        figure.legend(loc="outside lower left", ncols=2, fontsize=8, handlelength=3.2)
        return figure


def alt_text(points: pd.DataFrame) -> str:
    """Both figures in words, for those who cannot see them."""
    texts = []
    for network in list_cells(points):
        own = rows_of(points, network)
        last = own.iloc[-1]
        text = f"{network_title(network)} goes from {own['loss'].iloc[0]:.3g} to {last['loss']:.3g}"
        predicted = [f"{name} {last[name]:.3g}" for name in PREDICTED if np.isfinite(last[name])]
        texts.append(text + (f" (predicted: {', '.join(predicted)})" if predicted else ""))
    epochs = int(points["epoch"].max())
    return f"Loss over {epochs} epochs on logarithmic axes, medians over seeds: {'; '.join(texts)}."


LEAD = (
    "Loss and accuracy over epochs, medians over seeds with bands from the least to the "
    "greatest; beside them what the kernel at initialisation predicts. Both axes are "
    "logarithmic, that of epochs from 1 on. Runs that were trained in different ways are never "
    "mixed."
)


def _compose(study: Study, choice: Choice | None = None) -> Content:
    """The networks of Figures 9 and 10, or those of a choice."""
    if choice is not None:
        chosen = chosen_runs(study, choice)
        return Content(LEAD, [_section(one, name, "chosen networks") for one, name in chosen])
    sections = []
    left = 0
    for one in study.runs:
        shown = _of_figures(study, one)
        if not shown and len(one.networks) <= MOST_NETWORKS:
            shown = [("", one.networks, "all networks")]
        sections += [_section(one.of(networks), name, text) for name, networks, text in shown]
        left += not shown
    return _with_others(study, sections, left) if left else Content(LEAD, sections)


def _of_figures(study: Study, one: Runs) -> list[tuple[str, list[Cell], str]]:
    """The best network of each activation, and the two of Figures 1 to 4, as far as trained."""
    best = list_cells(study.best_cells.dropna(subset="lambda_min"))
    two = [(network.act, network.width, network.depth) for network in thesis.NETWORKS]
    sets = (
        ("-best", best, "the best of each activation by λ_min (Figure 9)"),
        ("-thesis", two, "those of Figure 10"),
    )
    shown = []
    for name, networks, text in sets:
        own = [network for network in one.networks if network in networks]
        if own:
            part = ", as far as trained in this way" if len(own) < len(networks) else ""
            shown.append((name, own, text + part))
    return shown


def _with_others(study: Study, sections: list[Section], left: int) -> Content:
    """The content, and how to see the ways of training that hold too many networks."""
    hold = f"{left} other ways hold" if left > 1 else "One other way holds"
    others = (
        f"{hold if sections else hold.replace('other ', '')} more than {MOST_NETWORKS} networks "
        f"and none of these: ntk-sweep training {shlex.quote(study.group.results)} "
        "--network NAME draws chosen ones."
    )
    if sections:
        return Content(f"{LEAD} {others}", sections)
    return Content(LEAD, missing=Missing(others, study.group.command(*CHAPTER.makes)))


def _section(chosen: Runs, name: str, text: str) -> Section:
    """The table and the two figures of some networks."""
    points = courses(chosen)
    words, title = alt_text(points), f"{chosen.group.title}\n{chosen.setting.title}"
    stem = f"{name}-{chosen.setting.slug}"
    table = NamedTable(f"training{stem}", outcome_table(chosen, points), outcomes(points))
    course = partial(course_figure, points, title)
    predicted = partial(prediction_figure, points, title)
    figures = [
        NamedFigure(f"curves{stem}", words, course, points),
        NamedFigure(f"predicted{stem}", words, predicted, points),
    ]
    return Section([table], figures, f"{chosen.setting.title}: {text}")


CHAPTER = Chapter(
    name="training",
    title="Training (Figures 9 and 10)",
    compose=_compose,
    command=Command(
        "training",
        "loss and accuracy over epochs, beside what the kernel at initialisation predicts",
        "Prints the loss before and after training, measured and predicted, and writes training-…, "
        "curves-… and predicted-… for each way of training (learning rate, batch size, epochs, "
        "order): medians over seeds, with bands from the least to the greatest. Shows all networks "
        f"if they are at most {MOST_NETWORKS}, and else those chosen.",
        (
            "training results --best",
            "training results --network relu-800x3 --network sigmoid-300x8 -o figures",
        ),
        add_arguments,
        options,
    ),
    need=a_run,
    makes=(WINNERS, "seed=range(0,5)"),
    tasks=(TRAINING, SPECTRUM),
)
