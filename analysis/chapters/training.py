"""The course of training: loss and accuracy over epochs beside what Θ at initialisation predicts.
Figures 9 and 10 of the thesis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.drawing.axes import (
    COLOURS,
    PAPER,
    band,
    epoch_axis,
    heading,
    log_limits,
    loss_panels,
    network_colours,
)
from analysis.drawing.rendering import style
from analysis.rows.cells import CELL
from analysis.rows.runs import (
    Runs,
    diverged_note,
    history,
    list_cells,
    network_title,
    rows_of,
    seeds_note,
)
from analysis.writing.tables import Entry, Table, number

ENDS = ("", "_low", "_high")
"""Behind the name of a quantity: its median over seeds, its least and its greatest finite value."""

MEASURED = {"loss": "losses", "running_loss": "running_losses", "accuracy": "accuracies"}

PREDICTED = {"linearised": "linearised_losses", "descent": "descent_losses", "flow": "flow_losses"}

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

ABOVE = 30.0
"""A loss this many times the greatest one before training is off the axis: a diverging run would
leave the others no room; tuned."""

DIGITS = 3
"""Of a loss in a table: seeds differ in the second."""


def courses(runs: Runs) -> pd.DataFrame:
    """Loss, accuracy and predictions over epochs, over seeds.

    Returns:
        A row for each network and epoch from 0: `act`, `width`, `depth`, `epoch`, `seeds` and
        `diverged` (how many, up to there); then of `loss`, `running_loss` (mean over the epoch that
        ends there), `accuracy`, and the predicted losses `linearised`, `descent` and `flow` the
        median over seeds, and `NAME_low` and `NAME_high`, the least and greatest finite value. In
        medians the loss of a diverged run is infinite from where it stopped; its accuracy is left
        out from there.
    """
    tables = []
    for network in runs.networks:
        own = runs.of([network]).rows
        length = runs.setting.epochs + 1
        diverged = (own["status"] == "diverged").to_numpy()
        ends = np.array([_finite_length(losses) for losses in own["losses"]])
        table: dict[str, object] = dict(zip(CELL, network, strict=True))
        table |= {"epoch": np.arange(length), "seeds": len(own)}
        table["diverged"] = ((ends[:, None] <= np.arange(length)) & diverged[:, None]).sum(axis=0)
        for name, column in (MEASURED | PREDICTED).items():
            late = np.nan if name == "accuracy" else np.inf
            values = np.stack(
                [_padded(value, length, name == "running_loss", late) for value in own[column]]
            )
            table |= dict(zip((f"{name}{end}" for end in ENDS), _statistics(values), strict=True))
        tables.append(pd.DataFrame(table))
    return pd.concat(tables, ignore_index=True)


def outcomes(points: pd.DataFrame) -> pd.DataFrame:
    """What `courses` comes to, a row a network: `seeds`, `diverged`, `loss_before`, then all of the
    last epoch, with `_low` and `_high`.
    """
    first, last = points[points["epoch"] == 0], points[points["epoch"] == points["epoch"].max()]
    before = first[[*CELL, *(f"loss{end}" for end in ENDS)]].rename(
        columns=lambda name: name.replace("loss", "loss_before")
    )
    return before.merge(last, on=CELL)


def outcome_table(runs: Runs) -> Table:
    """`outcomes` to be read."""
    columns = [
        *("Network", "seeds", "diverged", "loss before", "loss after", "accuracy after"),
        *("predicted after: linearised", "descent", "flow"),
    ]
    names = ("loss_before", "loss", "accuracy", *PREDICTED)
    rows: list[list[Entry]] = []
    for line in outcomes(courses(runs)).to_dict("records"):
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
        *diverged_note(runs.rows),
    ]
    return Table(
        f"Training: loss before and after, and predicted ({runs.title})", columns, rows, notes
    )


def course_figure(points: pd.DataFrame, subtitle: str = "") -> Figure:
    """Loss, running loss and accuracy over epochs, the networks in different colours.

    Args:
        points: From `courses`.
        subtitle: Above the panels.
    """
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
        for network, colour in zip(networks, network_colours(networks), strict=True):
            own = rows_of(points, network)
            count = int(own["diverged"].iloc[-1])
            label = network_title(network) + (
                f" ({count} of {own['seeds'].iloc[0]} diverged)" if count else ""
            )
            band(loss, own, "loss", colour, label)
            later = own[own["epoch"] > 0]
            # The mean over an epoch stands in its middle.
            band(running, later, "running_loss", colour, x=later["epoch"].to_numpy() - 0.5)
            band(accuracy, own, "accuracy", colour)
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
    return (
        f"Loss over {epochs} epochs on a logarithmic axis, medians over seeds: {'; '.join(texts)}."
    )


def bracket(line: dict, name: str, digits: int = DIGITS) -> str:
    """A median with the least and greatest value, from the columns `NAME`, `NAME_low` and
    `NAME_high`: 0.12 [0.10, 0.15].
    """
    middle, low, high = (line[f"{name}{end}"] for end in ENDS)
    if np.isnan(middle):
        return "—"
    text = "infinite" if np.isinf(middle) else number(middle, digits)
    return (
        text
        if low == high or not np.isfinite(low)
        else f"{text} [{number(low, digits)}, {number(high, digits)}]"
    )


def ceiling(points: pd.DataFrame) -> float:
    """The greatest loss that an axis shows."""
    return ABOVE * float(points.loc[points["epoch"] == 0, "loss_high"].max())


def _finite_length(losses: Sequence[float]) -> int:
    """How many epochs, counted from 0, have a finite loss before the first that has none."""
    finite = np.isfinite(np.asarray(losses, dtype=float))
    return int(len(finite) if finite.all() else np.argmin(finite))


def _padded(values: object, length: int, after_first: bool, late: float) -> np.ndarray:
    """A history of an entry an epoch as one of `length`; `late` where it ended early, and for what
    is infinite or undefined.
    """
    known = history(values)
    if known is None:
        return np.full(length, np.nan)
    known = known[: length - after_first]
    padded = np.full(length, late)
    padded[after_first : after_first + len(known)] = np.where(np.isfinite(known), known, late)
    if after_first:
        padded[0] = np.nan
    return padded


def _statistics(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median, least and greatest finite value over seeds (the first axis); NaN where there is
    none.
    """
    finite = np.isfinite(values)
    low = np.where(finite, values, np.inf).min(axis=0)
    high = np.where(finite, values, -np.inf).max(axis=0)
    empty = np.isnan(values).all(axis=0)
    middle = np.where(empty, np.nan, np.nanmedian(np.where(empty, 0.0, values), axis=0))
    none = ~finite.any(axis=0)
    return middle, np.where(none, np.nan, low), np.where(none, np.nan, high)
