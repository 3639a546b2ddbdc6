"""Heat maps, one an activation; of λ_min over width and depth Figures 5 to 8 of the thesis."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from ntk_sweep.analysis.chapters import map_axes
from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.map_axes import THESIS, MapAxes, chosen, places
from ntk_sweep.analysis.chapters.needs import a_result
from ntk_sweep.analysis.drawing import cell_grid, heatmap
from ntk_sweep.analysis.rows.activations import activation_title, activations
from ntk_sweep.analysis.rows.cells import not_positive
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN, QUANTITIES, Quantity
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, NamedFigure, Section

LEAD = (
    "Each cell shows the geometric mean of λ_min over its seeds on a logarithmic colour axis; "
    "every activation has a scale of its own. Hatched cells are unresolved: for at least one "
    "seed λ_min does not exceed its error bound and may be rounding noise. Red frames mark the "
    "cells that have the greatest geometric mean with a probability above 5 %, by bootstrap over "
    "the seeds, and of single seeds the greatest value. Table 1 compares arithmetic means."
)


def _compose(study: Study, quantity: Quantity = LAMBDA_MIN, axes: MapAxes = THESIS) -> Content:
    """All but the figures of λ_min over width and depth have what they show in their names."""
    cells = study.contested(chosen(study.cells(quantity), axes, study), quantity, axes.both)
    name = ("heatmap" if quantity is LAMBDA_MIN else f"heatmap-{quantity.name}") + axes.slug
    figures = []
    for act in activations(cells["act"]):
        for place, own in places(cells, axes):
            if (own["act"] == act).any():
                grid = cell_grid.grid(own, act, quantity, axes.both)
                draw = partial(heatmap.heatmap, grid, study.group.title + place.words)
                numbers = cell_grid.numbers(own, act, quantity, axes.both)
                alt = cell_grid.alt_text(grid)
                figures.append(NamedFigure(f"{name}-{act}{place.slug}", alt, draw, numbers))
    return Content(LEAD + _unresolved(study), [Section(figures=figures)], explorer=True)


def _unresolved(study: Study) -> str:
    """How many cells are unresolved, and in how many of these λ_min came out as 0 or below."""
    cells, negative = study.cells(), not_positive(study.group.rows, study.group.coordinates)
    texts = [
        f"{activation_title(act)} {(own['unresolved'] > 0).sum()} of {(own['seeds'] > 0).sum()}, "
        f"in {negative.get(act, 0)} of them with a seed whose λ_min was computed as 0 or below"
        for act, own in cells.groupby("act", sort=False)
        if (own["unresolved"] > 0).any()
    ]
    return (
        f" Unresolved cells: {'; '.join(texts)}. A map without error bounds leaves out the latter "
        "alone, and shows the noise of the others."
        if texts
        else ""
    )


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--quantity",
        metavar="NAME",
        choices=list(QUANTITIES),
        default=LAMBDA_MIN.name,
        help=f"what to show: {', '.join(QUANTITIES)} (default: {LAMBDA_MIN.name})",
    )
    map_axes.add_arguments(parser)


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    return {"quantity": QUANTITIES[arguments.quantity], **map_axes.options(arguments)}


CHAPTER = Chapter(
    name="heatmaps",
    title="λ_min over width and depth (Figures 5 to 8)",
    compose=_compose,
    command=Command(
        "heatmaps",
        "λ_min or another quantity over width and depth, a figure for each activation",
        "Writes heatmap-ACT-GROUP.png, .svg, .pdf and .csv: the geometric mean of λ_min over seeds "
        "in logarithmic colour. Unresolved cells are hatched, missing ones empty. Another quantity "
        "goes to heatmap-QUANTITY-ACT-GROUP; `ratio` is λ_min over limit_lambda_min, what infinite "
        "width predicts. Other coordinates (--x, --y) are named in the "
        "files, too.",
        (
            "heatmaps results",
            "heatmaps results --quantity ratio",
            "heatmaps results --x weight_std --y bias_std --width 200",
            "heatmaps results --data digits -o figures",
        ),
        _add_arguments,
        _options,
    ),
    need=a_result,
    across=map_axes.across,
)
