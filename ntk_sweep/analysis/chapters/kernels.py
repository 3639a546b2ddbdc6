"""Kernel matrices as images: Figures 1 and 3 of the thesis."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.selection import (
    EXEMPLARS,
    add_arguments,
    options,
    selection_missing,
)
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.networks import KERNELS, Selection, label, select, stem
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, Missing, NamedFigure, Section
from ntk_sweep.errors import StoreError

CERTAINLY_BALANCED = {"fashion_mnist": 12000, "digits": 348}
"""Up to this N both classes have N / 2 inputs, whichever two they are: Fashion-MNIST has 6000
images of each class, the digits 174 of the rarest. Above it, and for arrays of one's own, the rows
do not tell where the second class begins."""


MOST_LISTED = 1000
"""Inputs of a kernel that is written as CSV: 20 MB; the store keeps every kernel as a binary
file."""


def class_boundary(group: Group) -> int | None:
    """The index of the first input of the second class, where the rows of a group tell it."""
    known = (
        group.classes is not None
        and group.n_samples % 2 == 0
        and group.n_samples <= CERTAINLY_BALANCED.get(group.data, 0)
    )
    return group.n_samples // 2 if known else None


def kernel_image(
    theta: np.ndarray,
    title: str,
    boundary: int | None = None,
    classes: tuple[int, ...] | None = None,
) -> Figure:
    """Θ as an image with linear colour.

    Args:
        theta: The kernel matrix, (N, N).
        title: What it is the kernel of.
        boundary: Index of the first input of the second class, marked on both axes; None marks
            nothing.
        classes: The labels of the classes, named beside the mark.
    """
    with style():
        figure = Figure(figsize=(4.6, 3.9), layout="constrained")
        axes = figure.add_subplot()
        n = len(theta)
        image = axes.imshow(
            theta, cmap="viridis", interpolation="nearest", extent=(0.5, n + 0.5, n + 0.5, 0.5)
        )
        colours = figure.colorbar(image, ax=axes, pad=0.02, fraction=0.06)
        colours.set_label(r"$\Theta_{ij}$")
        # Deep sigmoid kernels are constant to five digits; whole numbers on the ticks read better
        # than an offset above the bar.
        colours.ax.ticklabel_format(axis="y", useOffset=False, scilimits=(-3, 5))
        axes.spines[:].set_visible(False)
        axes.set(xlabel="input $j$", ylabel="input $i$")
        axes.set_title(title, fontsize=9.5)
        if boundary is not None:
            for line in (axes.axhline, axes.axvline):
                line(boundary + 0.5, color="white", linewidth=1.6)
                line(boundary + 0.5, color="black", linewidth=0.8, linestyle=(0, (4, 3)))
            if classes:
                top = axes.secondary_xaxis("top")
                top.set_xticks(
                    [(boundary + 1) / 2, (boundary + n + 1) / 2],
                    [f"class {label}" for label in classes],
                )
                top.tick_params(length=0, labelsize=8)
                top.spines[:].set_visible(False)
        return figure


def numbers(theta: np.ndarray) -> pd.DataFrame | None:
    """The entries behind the image for CSV, a row an input.

    None for a kernel so large that its own file is the better one.
    """
    if len(theta) > MOST_LISTED:
        return None
    names = [str(place) for place in range(1, len(theta) + 1)]
    return pd.DataFrame(theta, columns=names).assign(input=names)[["input", *names]]


def alt_text(theta: np.ndarray, network: str) -> str:
    """The image in words, for those who cannot see it."""
    n = len(theta)
    return (
        f"Image of the {n} × {n} kernel matrix of {network}. Entries run from {theta.min():.4g} to "
        f"{theta.max():.4g}."
    )


LEAD = (
    "The kernel matrix Θ over all pairs of inputs, in the order of the data; dashed lines part "
    "the classes."
)


def _compose(study: Study, wanted: Selection = EXEMPLARS) -> Content:
    group = study.group
    saved = group.ok[group.ok["kernel_file"].notna()]
    figures, unreadable = [], []
    for _, row in select(saved, wanted).iterrows():
        try:
            theta = study.store.load_kernel(row["kernel_file"])
        except StoreError as error:
            unreadable.append(str(error))
            continue
        name = label(row)
        title = f"{name}\n{group.title}"
        draw = partial(kernel_image, theta, title, class_boundary(group), group.classes)
        figures.append(
            NamedFigure(f"kernel-{stem(row)}", alt_text(theta, name), draw, numbers(theta))
        )
    if unreadable:
        again = group.command(*CHAPTER.makes, "force=true")
        lost = " ".join(unreadable)
        absent: Missing | None = Missing(lost, again, f"{lost}\nCompute it again with\n  {again}")
    else:
        absent = selection_missing(study, wanted, "kernel", saved)
    return Content(LEAD if figures else "", [Section(figures=figures)], absent)


CHAPTER = Chapter(
    name="kernels",
    title="Kernels (Figures 1 and 3)",
    compose=_compose,
    command=Command(
        "kernel",
        "saved kernel matrices as images",
        "Writes kernel-NETWORK-GROUP.png, .svg, .pdf and .csv. Without a choice: the two networks "
        "of Figures 1 to 4 of the thesis, or else those with a saved kernel. Kernels are saved "
        "with task.save_kernel=true.",
        ("kernel results", "kernel results --act sigmoid"),
        add_arguments,
        options,
    ),
    makes=(KERNELS,),
)
