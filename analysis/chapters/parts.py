"""The parts of the report, in their order."""

from __future__ import annotations

import shlex
from functools import partial

import pandas as pd

from analysis.chapters import convergence, inputs, kernels, prediction, spectra, spread
from analysis.chapters.best_cell_probabilities import contenders, contenders_table
from analysis.chapters.chapter import (
    Block,
    Content,
    Part,
    Picture,
    Sheet,
    grid_command,
    results_missing,
)
from analysis.chapters.diagnostics import diagnostics, diagnostics_table
from analysis.chapters.table1 import beside_thesis, best_cells, table1
from analysis.chapters.training_parts import TRAINING_PARTS
from analysis.drawing import heatmap as heatmaps
from analysis.drawing import stacked_heatmaps as panels
from analysis.rows.group import AnalysisError, Group, activations
from analysis.rows.networks import (
    KERNELS,
    comparison,
    comparison_table,
    exemplars,
    label,
    of_thesis,
    stem,
    with_spectrum,
)
from analysis.rows.study import Material
from ntk_sweep.errors import StoreError


def _inputs(material: Material) -> Content:
    group = material.group
    try:
        data = inputs.find(group, material.images)
    except AnalysisError as error:
        option = "--images " + ("FILE.npz" if group.data == "npz" else "FOLDER")
        command = f"python -m analysis report {shlex.quote(group.results)} {option}"
        return Content(
            missing=f"The inputs were not found where this page was made: {error}.", command=command
        )
    lead = (
        "The first inputs in the order of the kernel's rows; their fingerprint is that of the rows."
    )
    if not inputs.drawable(group):
        return Content("The inputs were found, and are no square images that could be shown.")
    picture = Picture(
        "inputs", inputs.alt_text(data), partial(inputs.figure, data), inputs.numbers(data)
    )
    return Content(lead, [Block(pictures=[picture])])


def _heatmaps(material: Material) -> Content:
    statistics, title = material.statistics, material.group.title
    pictures = []
    for act in activations(statistics["act"]):
        grid = heatmaps.grid(statistics, act)
        draw = partial(heatmaps.heatmap, grid, title)
        pictures.append(
            Picture(
                f"heatmap-{act}", heatmaps.alt_text(grid), draw, heatmaps.numbers(statistics, act)
            )
        )
    lead = (
        "Each cell shows the geometric mean of λ_min over its seeds on a logarithmic colour axis; "
        "every activation has a scale of its own. Hatched cells are unresolved: for at least one "
        "seed λ_min does not exceed its error bound and may be rounding noise. The red frame marks "
        "the greatest mean."
    )
    return Content(lead, [Block(pictures=pictures)], explorer=True)


def _table1(material: Material) -> Content:
    group, statistics = material.group, material.statistics
    sheets = [
        Sheet("table1", table1(group, statistics), beside_thesis(best_cells(statistics), group))
    ]
    likely = contenders(group.rows, statistics)
    if len(likely):
        sheets.append(Sheet("contenders", contenders_table(group, likely), likely))
    return Content(blocks=[Block(sheets)])


def _kernels(material: Material) -> Content:
    group = material.group
    saved = group.ok[group.ok["kernel_file"].notna()]
    pictures, unreadable = [], []
    for _, row in exemplars(saved).iterrows():
        try:
            theta = material.store.load_kernel(row["kernel_file"])
        except StoreError as error:
            unreadable.append(str(error))
            continue
        draw = partial(
            kernels.kernel_image,
            theta,
            f"{label(row)}\n{group.title}",
            kernels.class_boundary(group),
            group.classes,
        )
        pictures.append(
            Picture(
                f"kernel-{stem(row)}",
                kernels.alt_text(theta, label(row)),
                draw,
                kernels.numbers(theta),
            )
        )
    lead = (
        "The kernel matrix Θ over all pairs of inputs, in the order of the data; dashed lines part "
        "the classes."
        if pictures
        else ""
    )
    if unreadable:
        return Content(
            lead,
            [Block(pictures=pictures)],
            " ".join(unreadable),
            group.command(KERNELS, "force=true"),
        )
    missing = _networks_missing(saved, "kernel")
    return Content(
        lead, [Block(pictures=pictures)], missing, group.command(KERNELS) if missing else ""
    )


def _spectra(material: Material) -> Content:
    group = material.group
    pictures = []
    complete = with_spectrum(group.ok)
    for _, row in exemplars(complete).iterrows():
        points = spectra.spectrum(row["eigenvalues"], row["eigenvalue_errors"])
        draw = partial(spectra.spectrum_figure, points, f"{label(row)}\n{group.title}")
        pictures.append(
            Picture(f"spectrum-{stem(row)}", spectra.alt_text(points, label(row)), draw, points)
        )
    compared = comparison_table(group, material.statistics)
    sheets = (
        [Sheet("networks", compared, comparison(group, material.statistics))]
        if compared.rows
        else []
    )
    lead = (
        "All eigenvalues of Θ. Below their error bound (grey) eigenvalues may be rounding noise, "
        "and only upper bounds are shown."
    )
    missing = _networks_missing(complete, "spectrum")
    return Content(
        lead if pictures else "",
        [Block(sheets, pictures)],
        missing,
        group.command(KERNELS) if missing else "",
    )


def _networks_missing(rows: pd.DataFrame, what: str) -> str:
    """What is not there of the two networks of Figures 1 to 4."""
    there = len(of_thesis(rows).drop_duplicates(["act", "width", "depth"]))
    networks = {0: "either network", 1: "one of the two networks"}.get(there)
    return (
        f"The {what} of {networks} that the thesis shows (ReLU 800 × 3, Sigmoid 300 × 8) is not "
        "there."
        if networks
        else ""
    )


def _prediction(material: Material) -> Content:
    group = material.group
    compared = [material.cells(quantity) for quantity in prediction.COMPARED]
    pictures = []
    scales = prediction.scales(compared)
    for act in activations(group.ok["act"]):
        stack = prediction.blocks(compared, act)
        draw = partial(panels.stacked, stack, f"{prediction.title(act)}\n{group.title}", scales)
        pictures.append(
            Picture(
                f"prediction-{act}", panels.alt_text(stack), draw, prediction.numbers(compared, act)
            )
        )
    lead = (
        "λ_min of the infinite-width kernel Θ̄ of each width and depth below the measured one, in "
        "the same colours, and the ratio of measured to predicted in colours centred at 1, the "
        "same for all activations. Hatched cells are unresolved: the eigenvalue, measured or "
        "predicted, does not exceed its error bound."
    )
    sheet = Sheet(
        "prediction", prediction.ratio_table(group, compared), prediction.ratios(compared)
    )
    return Content(lead, [Block([sheet], pictures)])


def _spread(material: Material) -> Content:
    statistics, title = material.statistics, material.group.title
    scale = spread.scale(statistics)
    pictures = []
    for act in activations(statistics["act"]):
        grid = spread.spread_grid(statistics, act)
        draw = partial(heatmaps.heatmap, grid, title, scale)
        pictures.append(
            Picture(f"spread-{act}", heatmaps.alt_text(grid), draw, spread.numbers(statistics, act))
        )
    lead = (
        "The standard deviation of λ_min over the seeds of a cell, over their mean: how far a "
        "single draw may lie from it. Its median over all cells is "
        f"{spread.typical(statistics):.2f}. All activations have the same colours."
    )
    return Content(lead, [Block(pictures=pictures)])


def _convergence(material: Material) -> Content:
    group = material.group
    points = convergence.distances(group.rows)
    fits = convergence.slopes(points)
    pictures = []
    for act in activations(points["act"]):
        draw = partial(convergence.convergence_figure, points, fits, act, group.title)
        own = points[points["act"] == act]
        pictures.append(
            Picture(f"convergence-{act}", convergence.alt_text(points, fits, act), draw, own)
        )
    lead = (
        "The relative distance ‖Θ - Θ̄‖ / ‖Θ̄‖ in the Frobenius norm from the infinite-width "
        "kernel of the same width and depth, on logarithmic axes: the mean over seeds, and a band "
        "that holds two thirds of them. The dashed line falls like 1/√width. At most "
        f"{convergence.MOST_LINES} depths are drawn; the table has all."
    )
    return Content(
        lead, [Block([Sheet("convergence", convergence.slope_table(group, fits), fits)], pictures)]
    )


def _convergence_missing(material: Material) -> str:
    return results_missing(material) or convergence.missing(
        convergence.distances(material.group.rows)
    )


def _diagnostics(material: Material) -> Content:
    group, statistics = material.group, material.statistics
    sheet = Sheet(
        "diagnostics", diagnostics_table(group, statistics), diagnostics(group, statistics)
    )
    return Content(blocks=[Block([sheet])])


def _resolved_missing(material: Material) -> str:
    return (
        "" if material.statistics["resolved"].any() else "There is no cell with a resolved λ_min."
    )


def _seeds_command(group: Group) -> str:
    return group.command("+experiment=thesis_grid", "seed=range(0,5)")


def _nothing_missing(material: Material) -> str:
    return ""


PARTS = (
    Part("inputs", "The data", _nothing_missing, grid_command, _inputs),
    Part(
        "table1",
        "Table 1: the greatest λ_min of each activation",
        results_missing,
        grid_command,
        _table1,
    ),
    Part(
        "heatmaps",
        "λ_min over width and depth (Figures 5 to 8)",
        results_missing,
        grid_command,
        _heatmaps,
    ),
    Part("prediction", "Predicted from infinite width", results_missing, grid_command, _prediction),
    Part(
        "spread",
        "Spread over seeds",
        lambda material: spread.missing(material.statistics),
        _seeds_command,
        _spread,
    ),
    Part("convergence", "Convergence with width", _convergence_missing, grid_command, _convergence),
    Part("kernels", "Kernels (Figures 1 and 3)", _nothing_missing, grid_command, _kernels),
    Part("spectra", "Spectra (Figures 2 and 4)", _nothing_missing, grid_command, _spectra),
    Part(
        "diagnostics", "What else the kernel tells", _resolved_missing, grid_command, _diagnostics
    ),
    *TRAINING_PARTS,
)
"""A part more is an entry more: its rows in `Material`, its tables and figures in a `Content`."""
