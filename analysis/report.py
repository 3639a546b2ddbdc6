"""One self-contained page with everything: what was run, tables, heat maps, the infinite-width prediction, kernels and spectra."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from analysis import convergence, heatmaps, kernels, panels, prediction, spectra
from analysis.cells import cells
from analysis.diagnostics import diagnostics_table
from analysis.figures import render
from analysis.formats import html, html_text
from analysis.frame import Group, activations
from analysis.networks import KERNELS, comparison_table, exemplars, label, of_thesis
from analysis.summary import Summary, summarise
from analysis.table1 import table1
from analysis.thesis import CITATION
from ntk_sweep.errors import StoreError
from ntk_sweep.store import Store

GRID = "+experiment=thesis_grid"


@dataclass(frozen=True)
class Picture:
    """A figure on the page.

    Attributes:
        alt: The figure in words.
        source: Its bytes as a data URI.
    """

    alt: str
    source: str


@dataclass(frozen=True)
class Section:
    """A part of a group's page.

    Attributes:
        anchor: Unlike that of any other section.
        title: The heading.
        lead: A paragraph, or nothing.
        tables: Tables in HTML.
        pictures: Figures.
        missing: What is not there; empty if everything is.
        command: What makes it.
    """

    anchor: str
    title: str
    lead: str = ""
    tables: Sequence[Markup] = ()
    pictures: Sequence[Picture] = ()
    missing: str = ""
    command: str = ""


@dataclass(frozen=True)
class Chapter:
    """All that the page says of one group."""

    group: Group
    summary: Summary
    sections: Sequence[Section]


def chapter(group: Group, store: Store) -> Chapter:
    """Computes and draws everything for a group."""
    table = cells(group.rows)
    sections = [
        _table_section(group, table),
        _heatmap_section(group, table),
        _prediction_section(group),
        _convergence_section(group),
        _diagnostics_section(group, table),
        _kernel_section(group, store),
        _spectrum_section(group, table),
    ]
    return Chapter(group, summarise(group), sections)


def page(chapters: Sequence[Chapter]) -> str:
    """The page as HTML; everything that is printed is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["symbols"] = html_text
    template = environment.from_string(files("analysis").joinpath("templates/report.html").read_text(encoding="utf-8"))
    return template.render(chapters=chapters, citation=CITATION) + "\n"


def embed(figure: Figure) -> str:
    """A figure as a data URI: SVG, which stays sharp at any size and in print."""
    return "data:image/svg+xml;base64," + base64.b64encode(render(figure, "svg")).decode()


def _table_section(group: Group, table: pd.DataFrame) -> Section:
    anchor, title = f"table1-{group.slug}", "Table 1: the greatest λ_min of each activation"
    if not len(group.ok):
        return Section(anchor, title, missing="There is no network with a result.", command=group.command(GRID))
    return Section(anchor, title, tables=[html(table1(group, table))])


def _heatmap_section(group: Group, table: pd.DataFrame) -> Section:
    anchor, title = f"heatmaps-{group.slug}", "λ_min over width and depth"
    if not len(group.ok):
        return Section(anchor, title, missing="There is no network with a result.", command=group.command(GRID))
    pictures = []
    for act in activations(table["act"]):
        grid = heatmaps.grid(table, act)
        pictures.append(Picture(heatmaps.alt_text(grid), embed(heatmaps.heatmap(grid))))
    lead = (
        "Each cell shows the geometric mean of λ_min over its seeds on a logarithmic colour axis; every activation has a scale of "
        "its own. Hatched cells are unresolved: for at least one seed λ_min does not exceed its error bound and may be rounding "
        "noise. The red frame marks the greatest mean."
    )
    return Section(anchor, title, lead, pictures=pictures)


def _prediction_section(group: Group) -> Section:
    anchor, title = f"prediction-{group.slug}", "Predicted from infinite width"
    if not len(group.ok):
        return Section(anchor, title, missing="There is no network with a result.", command=group.command(GRID))
    pictures = []
    for act in activations(group.ok["act"]):
        blocks = prediction.blocks(group.rows, act)
        figure = panels.stacked(blocks, prediction.title(act))
        pictures.append(Picture(panels.alt_text(blocks), embed(figure)))
    lead = (
        "λ_min of the infinite-width kernel Θ̄ of each width and depth below the measured one, in the same colours, and the ratio "
        "of measured to predicted in colours centred at 1. Hatched cells are unresolved: the eigenvalue, measured or predicted, "
        "does not exceed its error bound."
    )
    return Section(anchor, title, lead, [html(prediction.ratio_table(group))], pictures)


def _convergence_section(group: Group) -> Section:
    anchor, title = f"convergence-{group.slug}", "Convergence with width"
    points = convergence.distances(group.rows)
    missing = convergence.missing(points)
    if missing:
        return Section(anchor, title, missing=missing, command=group.command(GRID))
    fits = convergence.slopes(points)
    pictures = [
        Picture(convergence.alt_text(points, fits, act), embed(convergence.convergence_figure(points, fits, act)))
        for act in activations(points["act"])
    ]
    lead = (
        "The relative distance ‖Θ - Θ̄‖ / ‖Θ̄‖ in the Frobenius norm from the infinite-width kernel of the same width and depth, on "
        "logarithmic axes: the mean over seeds, and a band that holds two thirds of them. The dashed line falls like 1/√width. At most "
        f"{convergence.MOST_LINES} depths are drawn; the table has all."
    )
    return Section(anchor, title, lead, [html(convergence.slope_table(group, fits))], pictures)


def _diagnostics_section(group: Group, table: pd.DataFrame) -> Section:
    anchor, title = f"diagnostics-{group.slug}", "What else the kernel tells"
    shown = diagnostics_table(group, table)
    if not shown.rows:
        return Section(anchor, title, missing="There is no cell with a resolved λ_min.", command=group.command(GRID))
    return Section(anchor, title, tables=[html(shown)])


def _kernel_section(group: Group, store: Store) -> Section:
    anchor, title = f"kernels-{group.slug}", "Kernels"
    saved = group.ok[group.ok["kernel_file"].notna()]
    pictures, unreadable = [], []
    for _, row in exemplars(saved).iterrows():
        try:
            theta = store.load_kernel(row["kernel_file"])
        except StoreError as error:
            unreadable.append(str(error))
            continue
        figure = kernels.kernel_image(theta, label(row), kernels.class_boundary(group), group.classes)
        pictures.append(Picture(kernels.alt_text(theta, label(row)), embed(figure)))
    lead = (
        "The kernel matrix Θ over all pairs of inputs, in the order of the data; dashed lines part the classes." if pictures else ""
    )
    if unreadable:
        return Section(
            anchor, title, lead, pictures=pictures, missing=" ".join(unreadable), command=group.command(KERNELS, "force=true")
        )
    missing, command = _missing(group, saved, "kernel")
    return Section(anchor, title, lead, pictures=pictures, missing=missing, command=command)


def _spectrum_section(group: Group, table: pd.DataFrame) -> Section:
    anchor, title = f"spectra-{group.slug}", "Spectra"
    pictures = []
    for _, row in exemplars(group.ok).iterrows():
        points = spectra.spectrum(row["eigenvalues"], row["eigenvalue_errors"])
        figure = spectra.spectrum_figure(points, label(row))
        pictures.append(Picture(spectra.alt_text(points, label(row)), embed(figure)))
    compared = comparison_table(group, table)
    missing, command = _missing(group, group.ok, "spectrum")
    lead = (
        "All eigenvalues of Θ. Below their error bound (grey) eigenvalues may be rounding noise, and only upper bounds are shown."
        if pictures
        else ""
    )
    return Section(anchor, title, lead, [html(compared)] if compared.rows else [], pictures, missing, command)


def _missing(group: Group, rows: pd.DataFrame, what: str) -> tuple[str, str]:
    """What is not there of the two networks of Figures 1 to 4, and the command that makes it."""
    there = len(of_thesis(rows).drop_duplicates(["act", "width", "depth"]))
    if there == 2:
        return "", ""
    networks = "either network" if there == 0 else "one of the two networks"
    return f"The {what} of {networks} that the thesis shows (ReLU 800 × 3, Sigmoid 300 × 8) is not there.", group.command(KERNELS)
