"""A few of the inputs behind the rows, drawn where they are found."""

from __future__ import annotations

import shlex
from functools import partial
from math import isqrt
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.chapter import Chapter
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.inputs import find
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, Missing, NamedFigure, Section
from ntk_sweep.data.dataset import Dataset

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 8
"""Inputs of a class that are drawn."""


def shown(data: Dataset) -> list[tuple[str, np.ndarray]]:
    """The places of the inputs that are drawn.

    The first of each class under its name; without classes the first of all.
    """
    places = np.arange(len(data.x))
    named = zip(data.labelling.targets, data.classes or (), strict=False)
    word = "label" if data.labelling.title else "class"
    groups = [
        (f"{word} {label}", places[data.y == target])
        for target, label in named
        if (data.y == target).any()
    ] or [("", places)]
    return [(name, own[:SHOWN]) for name, own in groups]


def figure(data: Dataset) -> Figure:
    """The inputs of `shown`, a row a class, greatest values black."""
    from matplotlib.figure import Figure

    side = isqrt(data.x.shape[1])
    groups = shown(data)
    columns = max(len(places) for _, places in groups)
    with style():
        drawn = Figure(
            figsize=(0.75 * columns + 0.4, 0.78 * len(groups) + 0.1), layout="constrained"
        )
        frames = drawn.subplots(len(groups), columns, squeeze=False)
        for line, (name, places) in zip(frames, groups, strict=True):
            line[0].set_ylabel(name, fontsize=8)
            for frame, values in zip(line, data.x[places], strict=False):
                frame.imshow(
                    values.reshape(side, side),
                    cmap="gray_r",
                    vmin=0,
                    vmax=max(float(data.x.max()), 1e-300),
                )
            for frame in line:
                frame.set(xticks=[], yticks=[])
                frame.spines[:].set_visible(False)
        return drawn


def numbers(data: Dataset) -> pd.DataFrame:
    """The inputs of `shown` for CSV.

    The columns are `input` (its place in the data, from 1), the target `y`, and its values.
    """
    chosen = np.concatenate([places for _, places in shown(data)])
    values = pd.DataFrame(
        data.x[chosen], columns=[f"x_{place}" for place in range(1, data.x.shape[1] + 1)]
    )
    return pd.concat([pd.DataFrame({"input": chosen + 1, "y": data.y[chosen]}), values], axis=1)


def drawable(group: Group) -> bool:
    """Whether an input is a square image."""
    return isqrt(group.n_inputs) ** 2 == group.n_inputs and group.n_inputs > 1


def alt_text(data: Dataset) -> str:
    """The figure in words, for those who cannot see it."""
    side = isqrt(data.x.shape[1])
    which = (
        f" of each of the classes {' and '.join(map(str, data.classes))}" if data.classes else ""
    )
    return (
        f"The first images{which} of the data set {data.name}, {side} × {side} pixels each, dark "
        "where their values are great."
    )


def _compose(study: Study) -> Content:
    group = study.group
    try:
        data = find(group, study.images)
    except AnalysisError as error:
        option = "--images " + ("FILE.npz" if group.data == "npz" else "FOLDER")
        command = f"ntk-sweep report {shlex.quote(group.results)} {option}"
        sentence = f"The inputs were not found where this page was made: {error}."
        return Content(missing=Missing(sentence, command))
    if not drawable(group):
        return Content("The inputs were found, and are no square images that could be shown.")
    lead = (
        "The first inputs in the order of the kernel's rows; their fingerprint is that of the rows."
    )
    drawn = NamedFigure("inputs", alt_text(data), partial(figure, data), numbers(data))
    return Content(lead, [Section(figures=[drawn])])


CHAPTER = Chapter(name="inputs", title="The data", compose=_compose)
"""On the page only."""
