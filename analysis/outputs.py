"""Writes tables and figures as files, named after what they show and the group they belong to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis import convergence, heatmaps, kernels, panels, prediction, spectra, spread
from analysis.cells import cells
from analysis.contenders import contenders, contenders_table
from analysis.diagnostics import diagnostics, diagnostics_table
from analysis.figures import render_all
from analysis.formats import Table, csv, latex, markdown
from analysis.frame import AnalysisError, Group, activations
from analysis.networks import (
    Selection,
    comparison,
    comparison_table,
    label,
    of_thesis,
    select,
    stem,
)
from analysis.quantities import LAMBDA_MIN, Quantity
from analysis.sections import GRID
from analysis.summary import commonest_reason, summary_table, without_result
from analysis.table1 import beside_thesis, best_cells, table1
from ntk_sweep.store.store import Store


def require_writable(folder: Path) -> None:
    """Makes a folder, and finds out whether files can be written to it, before work is spent on
    them.

    Raises:
        AnalysisError: They cannot.
    """
    write(folder / ".writable", "").unlink()


def write(path: Path, content: str | bytes) -> Path:
    """Writes a file, and the folders above it; the file appears whole or not at all.

    Raises:
        AnalysisError: The folder cannot be written.
    """
    raw = content.encode() if isinstance(content, str) else content
    hidden = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            hidden.write_bytes(raw)
            hidden.replace(path)
        finally:
            hidden.unlink(missing_ok=True)
    except OSError as error:
        raise AnalysisError(
            f"{path} cannot be written ({error.strerror or error}): choose another folder with "
            "--output"
        ) from error
    return path


def write_table(stem_path: Path, numbers: pd.DataFrame, table: Table) -> list[Path]:
    """The numbers as CSV, the table as Markdown and LaTeX."""
    texts = {".csv": csv(numbers), ".md": markdown(table), ".tex": latex(table)}
    return [write(_suffixed(stem_path, suffix), text) for suffix, text in texts.items()]


def write_figure(
    stem_path: Path, figure: Figure, numbers: pd.DataFrame | None = None
) -> list[Path]:
    """The figure in all formats, and the numbers behind it as CSV."""
    written = [
        write(_suffixed(stem_path, f".{kind}"), content)
        for kind, content in render_all(figure).items()
    ]
    return (
        written
        if numbers is None
        else [*written, write(_suffixed(stem_path, ".csv"), csv(numbers))]
    )


def table1_files(group: Group, output: Path) -> tuple[Table, list[Path]]:
    """Table 1 of a group.

    Raises:
        AnalysisError: No network has a result.
    """
    _require_results(group)
    statistics = cells(group.rows)
    table = table1(group, statistics)
    return table, write_table(
        output / f"table1-{group.slug}", beside_thesis(best_cells(statistics), group), table
    )


def heatmap_files(group: Group, output: Path, quantity: Quantity = LAMBDA_MIN) -> Iterator[Path]:
    """A heat map of a quantity for each activation of a group; all but those of λ_min have the
    quantity in their names.

    Raises:
        AnalysisError: No network has a result.
    """
    _require_results(group)
    statistics = cells(group.rows, quantity)
    name = "heatmap" if quantity is LAMBDA_MIN else f"heatmap-{quantity.name}"
    for act in activations(statistics["act"]):
        figure = heatmaps.heatmap(heatmaps.grid(statistics, act, quantity), group.title)
        yield from write_figure(
            output / f"{name}-{act}-{group.slug}",
            figure,
            heatmaps.numbers(statistics, act, quantity),
        )


def prediction_files(group: Group, output: Path) -> tuple[Table, list[Path]]:
    """λ_min measured, predicted from infinite width, and their ratio: a figure for each activation
    of a group, and a table.

    Raises:
        AnalysisError: No network has a result.
    """
    _require_results(group)
    compared = prediction.tables(group.rows)
    table = prediction.ratio_table(group, compared)
    written = write_table(output / f"prediction-{group.slug}", prediction.ratios(compared), table)
    scales = prediction.scales(compared)
    for act in activations(group.ok["act"]):
        figure = panels.stacked(
            prediction.blocks(compared, act), f"{prediction.title(act)}\n{group.title}", scales
        )
        written += write_figure(
            output / f"prediction-{act}-{group.slug}", figure, prediction.numbers(compared, act)
        )
    return table, written


def convergence_files(group: Group, output: Path) -> tuple[Table, list[Path]]:
    """The distance from the infinite-width kernel against width, a figure for each activation, and
    the fitted slopes.

    Raises:
        AnalysisError: No network has a result, or all have the same width.
    """
    _require_results(group)
    points = convergence.distances(group.rows)
    missing = convergence.missing(points)
    if missing:
        raise AnalysisError(f"{group.title}: {missing} Make more with\n  {group.command(GRID)}")
    fits = convergence.slopes(points)
    table = convergence.slope_table(group, fits)
    written = write_table(output / f"convergence-{group.slug}", fits, table)
    for act in activations(points["act"]):
        figure = convergence.convergence_figure(points, fits, act, group.title)
        written += write_figure(
            output / f"convergence-{act}-{group.slug}", figure, points[points["act"] == act]
        )
    return table, written


def summary_files(
    group: Group, output: Path, training: Group | None = None
) -> tuple[Table, list[Path]]:
    """What was run, and the points without a result, if there are any."""
    table = summary_table(group, training)
    numbers = pd.DataFrame(table.rows, columns=["fact", "value"])
    written = write_table(output / f"summary-{group.slug}", numbers, table)
    failed = without_result(group, training)
    if len(failed):
        written.append(write(output / f"failures-{group.slug}.csv", csv(failed)))
    return table, written


def contenders_files(group: Group, output: Path) -> tuple[Table, list[Path]]:
    """The cells most likely to have the greatest λ_min.

    Raises:
        AnalysisError: No network has a result, or every cell has one seed.
    """
    _require_seeds(group)
    statistics = cells(group.rows)
    likely = contenders(group.rows, statistics)
    table = contenders_table(group, likely)
    return table, write_table(output / f"contenders-{group.slug}", likely, table)


def spread_files(group: Group, output: Path) -> Iterator[Path]:
    """How much λ_min differs from seed to seed, a figure for each activation.

    Raises:
        AnalysisError: No network has a result, or every cell has one seed.
    """
    _require_seeds(group)
    statistics = cells(group.rows)
    scale = spread.scale(statistics)
    for act in activations(statistics["act"]):
        figure = heatmaps.heatmap(spread.spread_grid(statistics, act), group.title, scale)
        yield from write_figure(
            output / f"spread-{act}-{group.slug}", figure, spread.numbers(statistics, act)
        )


def diagnostics_files(group: Group, output: Path) -> tuple[Table, list[Path]]:
    """The diagnostics at the cell of each activation that Table 1 names.

    Raises:
        AnalysisError: No network has a result.
    """
    _require_results(group)
    statistics = cells(group.rows)
    table = diagnostics_table(group, statistics)
    return table, write_table(
        output / f"diagnostics-{group.slug}", diagnostics(group, statistics), table
    )


def kernel_files(group: Group, store: Store, wanted: Selection, output: Path) -> Iterator[Path]:
    """The kernels of chosen networks.

    Raises:
        AnalysisError: There is none.
        StoreError: A kernel is missing or unreadable.
    """
    for _, row in select(group, wanted, kernel=True).iterrows():
        theta = store.load_kernel(row["kernel_file"])
        figure = kernels.kernel_image(
            theta, f"{label(row)}\n{group.title}", kernels.class_boundary(group), group.classes
        )
        yield from write_figure(
            output / f"kernel-{stem(row)}-{group.slug}", figure, kernels.numbers(theta)
        )


def spectrum_files(group: Group, wanted: Selection, output: Path) -> Iterator[Path]:
    """The spectra of chosen networks, and a table of the thesis's two beside what it reports, where
    they are among them.

    Raises:
        AnalysisError: There is none.
    """
    chosen = select(group, wanted, kernel=False)
    for _, row in chosen.iterrows():
        points = spectra.spectrum(row["eigenvalues"], row["eigenvalue_errors"])
        figure = spectra.spectrum_figure(points, f"{label(row)}\n{group.title}")
        yield from write_figure(output / f"spectrum-{stem(row)}-{group.slug}", figure, points)
    if len(of_thesis(chosen)):
        statistics = cells(group.rows)
        yield from write_table(
            output / f"networks-{group.slug}",
            comparison(group, statistics),
            comparison_table(group, statistics),
        )


def _suffixed(stem_path: Path, suffix: str) -> Path:
    # Not with_suffix, which would cut a name that holds a dot.
    return stem_path.with_name(stem_path.name + suffix)


def _require_results(group: Group) -> None:
    if not len(group.ok):
        raise AnalysisError(
            f"none of the {len(group.rows)} points of {group.title} has a result, most often "
            "because of\n"
            f"  {commonest_reason(group.rows)}\n"
            "Amend that, then try them again with\n"
            f"  {group.command(GRID)}"
        )


def _require_seeds(group: Group) -> None:
    _require_results(group)
    missing = spread.missing(cells(group.rows))
    if missing:
        raise AnalysisError(
            f"{group.title}: {missing} Add seeds with\n  {group.command(GRID, 'seed=range(0,5)')}"
        )
