"""Protects that figures are the same bytes every time, whatever matplotlib is set to."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import matplotlib
import numpy as np
import pytest

from ntk_sweep.analysis.chapters import kernels, spectra
from ntk_sweep.analysis.drawing import heatmap as heatmaps
from ntk_sweep.analysis.drawing import remembered_ticks, rendering
from ntk_sweep.analysis.drawing.rendering import FORMATS, render
from ntk_sweep.analysis.rows.cells import cells
from tests.helpers.analysis_rows import frame, grid


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_rows_give_the_same_bytes_and_matplotlib_is_left_alone(kind):
    before = dict(matplotlib.rcParams)

    def draw() -> list[bytes]:
        heat = heatmaps.heatmap(heatmaps.grid(cells(frame(grid())), "sigmoid"))
        points = spectra.spectrum(np.array([0.0, 1.0]), np.full(2, 1e-9))
        return [
            render(figure, kind)
            for figure in (
                heat,
                spectra.spectrum_figure(points, "a"),
                kernels.kernel_image(np.eye(4), "b", 2),
            )
        ]

    first = draw()
    with matplotlib.rc_context({"font.size": 20, "savefig.dpi": 30, "svg.hashsalt": None}):
        second = draw()
    assert first == second
    assert dict(matplotlib.rcParams) == before


def size(kind: str, file: bytes) -> tuple[float, ...]:
    """Width and height of a figure, in inches."""
    if kind == "png":
        return tuple(int.from_bytes(file[at : at + 4]) / rendering.DPI for at in (16, 20))
    box = re.search(
        {"svg": rb'viewBox="0 0 (.*?) (.*?)"', "pdf": rb"0 0 (.*?) (.*?) \]"}[kind], file
    )
    return tuple(float(side) / rendering.POINTS for side in box.groups())


def test_formulas_are_parsed_once_and_look_the_same():
    figures = [kernels.kernel_image(np.eye(4), r"$\lambda_{\min}$", 2) for _ in range(2)]
    plain = {kind: render(figures[0], kind) for kind in FORMATS}
    rendering._parse_formulas_once()
    assert {kind: render(figures[1], kind) for kind in FORMATS} == plain


def test_remembered_ticks_look_the_same():
    drawn = [heatmaps.heatmap(heatmaps.grid(cells(frame(grid())), "sigmoid")) for _ in range(2)]
    remembered_ticks.remember_ticks(drawn[0])
    for kind in FORMATS:
        assert render(drawn[0], kind) == render(drawn[1], kind), kind


@pytest.mark.parametrize("place", ["title", "xlabel", "ylabel"])
def test_no_format_cuts_the_ink_of_another(place):
    figure = heatmaps.heatmap(heatmaps.grid(cells(frame(grid())), "sigmoid"))
    figure.axes[0].set(**{place: "a text that is longer than the rest, " * 3})
    pixel = 1 / rendering.DPI
    for kind, file in rendering.render_all(figure).items():
        whole = np.array(size(kind, render(figure, kind)))
        assert (np.array(size(kind, file)) > whole - 2 * pixel).all(), kind


@pytest.mark.parametrize(("cores", "expected"), [(1, []), (3, [2]), (99, [98])])
def test_figures_are_drawn_by_no_more_processes_than_there_are_cores(monkeypatch, cores, expected):
    pools = []

    def pool(size, **_):
        pools.append(size)
        return ThreadPoolExecutor(1)

    monkeypatch.setattr(rendering, "available_cores", lambda: cores)
    monkeypatch.setattr(rendering, "ProcessPoolExecutor", pool)
    monkeypatch.setattr(rendering, "render_all", lambda figure: figure)
    draws = [lambda number=number: number for number in range(rendering.MANY)]
    assert rendering.render_many(draws) == list(range(rendering.MANY))
    assert pools == expected
