"""Kernel matrices as images: Figures 1 and 3 of the thesis."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.selection import (
    EXEMPLARS,
    add_arguments,
    options,
    selection_missing,
)
from ntk_sweep.analysis.drawing.axes import heading
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.networks import KERNELS, Selection, label, select, stem
from ntk_sweep.analysis.rows.runs import network_title
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, Missing, NamedFigure, NamedTable, Section
from ntk_sweep.analysis.writing.entries import Entry, number
from ntk_sweep.analysis.writing.tables import Table
from ntk_sweep.errors import StoreError
from ntk_sweep.store.columns import NETWORK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CERTAINLY_BALANCED = {"fashion_mnist": 12000, "digits": 348}
"""Up to this N both classes have N / 2 inputs, whichever two they are: Fashion-MNIST has 6000
images of each class, the digits 174 of the rarest. Above it, and for arrays of one's own, the rows
do not tell where the second class begins."""


NARROW = 0.01
"""Entries that differ by less than this part of the greatest are said to: colours that span them
look as if Θ varied; tuned by eye."""

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


def centred(theta: np.ndarray, dtype: str = "float64") -> np.ndarray | None:
    """HΘH, H = I - 11ᵀ/N: Θ without what is the same along a row or a column.

    Args:
        theta: The kernel matrix, (N, N).
        dtype: In which its entries were computed.

    Returns:
        A matrix like Θ; None where rounding may be all that is left.
    """
    rest = theta - theta.mean(axis=0, keepdims=True)
    rest = rest - rest.mean(axis=1, keepdims=True)
    eps = np.finfo(np.float32 if dtype == "float32" else np.float64).eps
    rounding = len(theta) * eps * np.linalg.norm(theta)
    return rest if np.linalg.norm(rest) > rounding else None


def kernel_image(
    theta: np.ndarray,
    title: str,
    boundary: int | None = None,
    classes: tuple[int, ...] | None = None,
    dtype: str = "float64",
) -> Figure:
    """Θ as an image with linear colour, and HΘH beside it where it is more than rounding.

    Args:
        theta: The kernel matrix, (N, N).
        title: What it is the kernel of.
        boundary: Index of the first input of the second class, marked on both axes; None marks
            nothing.
        classes: The labels of the classes, named beside the mark.
        dtype: In which the entries were computed.
    """
    from matplotlib.figure import Figure

    rest = centred(theta, dtype)
    shown = {r"$\Theta_{ij}$" + _narrow(theta): theta} | (
        {} if rest is None else {r"$(H\Theta H)_{ij}$": rest}
    )
    with style():
        size = (4.6, 3.9) if rest is None else (7.2, 3.2)
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(1, len(shown), squeeze=False)[0]
        for axes, (symbol, matrix) in zip(panels, shown.items(), strict=True):
            _matrix(figure, axes, matrix, symbol)
            if boundary is not None:
                _mark(axes, len(theta), boundary, classes)
        heading(figure, title)
        return figure


def _narrow(theta: np.ndarray) -> str:
    """By how little entries differ that are nearly the same; else nothing."""
    greatest = np.abs(theta).max()
    part = np.ptp(theta) / greatest if greatest else 0.0
    return f", all within {part:.1g} of the greatest" if 0 < part < NARROW else ""


def _matrix(figure: Figure, axes: Axes, matrix: np.ndarray, symbol: str) -> None:
    """A matrix with its colour bar, the first input on top."""
    n = len(matrix)
    image = axes.imshow(
        matrix, cmap="viridis", interpolation="nearest", extent=(0.5, n + 0.5, n + 0.5, 0.5)
    )
    colours = figure.colorbar(image, ax=axes, pad=0.02, fraction=0.046)
    colours.set_label(symbol)
    # Deep sigmoid kernels are constant to five digits; whole numbers on the ticks read better
    # than an offset above the bar.
    colours.ax.ticklabel_format(axis="y", useOffset=False, scilimits=(-3, 5))
    axes.spines[:].set_visible(False)
    axes.set(xlabel="input $j$", ylabel="input $i$")


def _mark(axes: Axes, n: int, boundary: int, classes: tuple[int, ...] | None) -> None:
    """Dashed lines between the classes, whose labels stand above."""
    for line in (axes.axhline, axes.axvline):
        line(boundary + 0.5, color="white", linewidth=1.6)
        line(boundary + 0.5, color="black", linewidth=0.8, linestyle=(0, (4, 3)))
    if classes:
        top = axes.secondary_xaxis("top")
        top.set_xticks(
            [(boundary + 1) / 2, (boundary + n + 1) / 2], [f"class {label}" for label in classes]
        )
        top.tick_params(length=0, labelsize=8)
        top.spines[:].set_visible(False)


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


def structure(theta: np.ndarray, row: pd.Series) -> dict[str, Any]:
    """What of a kernel is constant, in numbers.

    Returns:
        `act`, `width`, `depth`, `seed`; `least` and `greatest` entry; `varying`, ‖Θ - mean‖ / ‖Θ‖
        in the Frobenius norm, and `centred`, ‖HΘH‖ / ‖Θ‖, NaN where it may be rounding;
        `centred_alignment`, of HΘH with the targets, NaN where the row has none.
    """
    rest, norm = centred(theta, row["dtype"]), np.linalg.norm(theta)
    alignment = row["centred_alignment"]
    return {
        **{name: row[name] for name in NETWORK},
        "least": float(theta.min()),
        "greatest": float(theta.max()),
        "varying": float(np.linalg.norm(theta - theta.mean()) / norm) if norm else np.nan,
        "centred": np.nan if rest is None else float(np.linalg.norm(rest) / norm),
        "centred_alignment": np.nan if pd.isna(alignment) else float(alignment),
    }


def structure_table(group: Group, found: pd.DataFrame) -> Table:
    """`structure` of some networks to be read."""
    names = ("least", "greatest", "varying", "centred", "centred_alignment")
    rows: list[list[Entry]] = [
        [
            network_title((line["act"], line["width"], line["depth"])),
            line["seed"],
            *("—" if np.isnan(line[name]) else number(line[name], 3) for name in names),
        ]
        for line in found.to_dict("records")
    ]
    columns = ["Network", "seed", "least Θ_ij", "greatest"]
    columns += ["‖Θ - mean‖ / ‖Θ‖", "‖HΘH‖ / ‖Θ‖", "centred alignment"]
    notes = [
        "‖HΘH‖ / ‖Θ‖: what is left of Θ in the Frobenius norm after centring, H = I - 11ᵀ/N. Θ "
        "looks constant where it is small, however orderly the rest. Centred alignment: of HΘH "
        "with the targets, from 0 to 1, free of its scale.",
    ]
    known = found.dropna(subset=["centred", "centred_alignment"])
    if len(known) > 1:
        aligned, left = known["centred_alignment"], known["centred"]
        notes.append(
            f"From one of these networks to another, ‖HΘH‖ / ‖Θ‖ differs by a factor of up to "
            f"{number(left.max() / left.min(), 2)}, centred alignment by up to "
            f"{number(aligned.max() - aligned.min(), 2)}."
        )
    return Table(f"What of a kernel is constant ({group.title})", columns, rows, notes)


LEAD = (
    "The kernel matrix Θ over all pairs of inputs, in the order of the data, and HΘH beside it: "
    "what is left without what is the same along a row or a column; dashed lines part the classes."
)


def _compose(study: Study, wanted: Selection = EXEMPLARS) -> Content:
    group = study.group
    saved = group.ok[group.ok["kernel_file"].notna()]
    figures, unreadable, lines = [], [], []
    for _, row in select(saved, wanted).iterrows():
        try:
            theta = study.store.load_kernel(row["kernel_file"])
        except StoreError as error:
            unreadable.append(str(error))
            continue
        name = label(row)
        title = f"{name}\n{group.title}"
        boundary = class_boundary(group)
        draw = partial(kernel_image, theta, title, boundary, group.classes, row["dtype"])
        lines.append(structure(theta, row))
        figures.append(
            NamedFigure(f"kernel-{stem(row)}", alt_text(theta, name), draw, numbers(theta))
        )
    if unreadable:
        again = group.command(*CHAPTER.makes, "force=true")
        lost = " ".join(unreadable)
        absent: Missing | None = Missing(lost, again, f"{lost}\nCompute it again with\n  {again}")
    else:
        absent = selection_missing(study, wanted, "kernel", saved)
    if not figures:
        return Content(missing=absent)
    found = pd.DataFrame(lines)
    table = NamedTable(CHAPTER.name, structure_table(group, found), found)
    return Content(LEAD, [Section([table], figures)], absent)


CHAPTER = Chapter(
    name="kernels",
    title="Kernels (Figures 1 and 3)",
    compose=_compose,
    command=Command(
        "kernel",
        "saved kernel matrices as images",
        "Prints what of a kernel is constant, and writes kernel-NETWORK-GROUP.png, .svg, .pdf and "
        ".csv. Without a choice: the two networks of Figures 1 to 4 of the thesis, or else those "
        "with a saved kernel. Kernels are saved with task.save_kernel=true.",
        ("kernel results", "kernel results --act sigmoid"),
        add_arguments,
        options,
    ),
    makes=(KERNELS,),
)
