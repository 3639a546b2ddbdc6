"""Protects that figures are the same bytes every time, whatever matplotlib is set to."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor

import matplotlib
import numpy as np
import pytest
from matplotlib.axis import Axis
from matplotlib.text import Text
from matplotlib.textpath import TextToPath
from PIL import Image

from ntk_sweep.analysis.chapters import kernels
from ntk_sweep.analysis.chapters.spectra.figures import spectrum_figure
from ntk_sweep.analysis.chapters.spectra.numbers import spectrum
from ntk_sweep.analysis.drawing import (
    cell_grid,
    formulas,
    processes,
    remembered_ticks,
    rendering,
)
from ntk_sweep.analysis.drawing import heatmap as heatmaps
from ntk_sweep.analysis.drawing.rendering import FORMATS, render
from ntk_sweep.analysis.rows.cells import cells
from tests.helpers.analysis_rows import frame, grid


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_rows_give_the_same_bytes_and_matplotlib_is_left_alone(kind):
    before = dict(matplotlib.rcParams)

    def draw() -> list[bytes]:
        heat = heatmaps.heatmap(cell_grid.grid(cells(frame(grid())), "sigmoid"))
        points = spectrum(np.array([0.0, 1.0]), np.full(2, 1e-9))
        return [
            render(figure, kind)
            for figure in (
                heat,
                spectrum_figure(points, "a"),
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
    formulas.parse_formulas_once()
    shared = {kind: render(figures[1], kind) for kind in FORMATS}
    # Lengths in dots are rounded up where a formula is parsed at its own size.
    for kind in FORMATS:
        dot = 1 / {"png": rendering.DPI}.get(kind, rendering.POINTS)
        np.testing.assert_allclose(size(kind, shared[kind]), size(kind, plain[kind]), atol=2 * dot)
        assert len(shared[kind]) == pytest.approx(len(plain[kind]), rel=0.1)


def test_remembered_ticks_look_the_same():
    drawn = [heatmaps.heatmap(cell_grid.grid(cells(frame(grid())), "sigmoid")) for _ in range(2)]
    remembered_ticks.remember_ticks(drawn[0])
    for kind in FORMATS:
        assert render(drawn[0], kind) == render(drawn[1], kind), kind


def test_what_is_copied_and_remembered_gives_the_same_bytes():
    def draw():
        return heatmaps.heatmap(cell_grid.grid(cells(frame(grid())), "sigmoid"), "digits\nα")

    methods = Axis._get_tick, Text._get_layout, TextToPath._get_font
    plain = rendering.render_all(draw())
    (first,), (again,) = (rendering.render_many([draw]) for _ in range(2))
    assert plain == first == again
    assert (Axis._get_tick, Text._get_layout, TextToPath._get_font) == methods


@pytest.mark.parametrize("cells_shown", [4, 60], ids=["outlined", "an image inside"])
def test_what_is_drawn_once_looks_as_if_drawn_for_each_format(cells_shown):
    rng = np.random.default_rng(0)
    value = rng.random((cells_shown, cells_shown))
    unresolved = value < 0.2
    value[unresolved] = np.nan
    sides = [list(range(cells_shown))] * 2
    shown = cell_grid.Grid("relu", cell_grid.SHOWN, *sides, value, unresolved, (0, 1), "2 seeds")
    figures = [heatmaps.heatmap(shown) for _ in range(2)]
    for figure in figures:
        figure.dpi = rendering.DPI
        with rendering.style():
            figure.get_layout_engine().execute(figure)
        figure.set_layout_engine(None)
    once = rendering.render_all(figures[0])
    for kind in FORMATS:
        each = render(figures[1], kind)
        np.testing.assert_allclose(size(kind, once[kind]), size(kind, each), rtol=0.01)
        # PNG files are compressed otherwise.
        assert kind == "png" or len(once[kind]) == pytest.approx(len(each), rel=0.15), kind
    seen, expected = (
        np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=float)
        for png in (once["png"], render(figures[1], "png"))
    )
    height, width = (min(sides) for sides in zip(seen.shape[:2], expected.shape[:2], strict=True))
    difference = np.abs(seen[:height, :width] - expected[:height, :width]).mean()
    assert difference < 2.0


@pytest.mark.parametrize("place", ["title", "xlabel", "ylabel"])
def test_no_format_cuts_the_ink_of_another(place):
    figure = heatmaps.heatmap(cell_grid.grid(cells(frame(grid())), "sigmoid"))
    figure.axes[0].set(**{place: "a text that is longer than the rest, " * 3})
    pixel = 1 / rendering.DPI
    for kind, file in rendering.render_all(figure).items():
        whole = np.array(size(kind, render(figure, kind)))
        assert (np.array(size(kind, file)) > whole - 2 * pixel).all(), kind


@pytest.mark.parametrize(("cores", "expected"), [(1, []), (3, [2]), (99, [98])])
def test_figures_are_drawn_by_no_more_processes_than_there_are_cores(monkeypatch, cores, expected):
    pools = []

    def pool(size, *, initargs, **_):
        pools.append(size)
        monkeypatch.setattr(processes, "_turns", initargs[0])
        return ThreadPoolExecutor(1)

    monkeypatch.setattr(rendering, "available_cores", lambda: cores)
    monkeypatch.setattr(processes, "ProcessPoolExecutor", pool)
    monkeypatch.setattr(rendering, "render_all", lambda figure: figure)
    draws = [lambda number=number: number for number in range(1, rendering.MANY + 1)]
    assert list(rendering.render_many(draws)) == list(range(1, rendering.MANY + 1))
    assert pools == expected


def test_what_a_helper_came_late_to_is_drawn_all_the_same(monkeypatch):
    class Late(processes.Helpers):
        def submit(self, work, *arguments):
            late = Future()
            late.set_result(None)
            return late

    helpers = Late(1, "spawn")
    monkeypatch.setattr(processes, "_forked", [helpers])
    monkeypatch.setattr(rendering, "render_all", lambda figure: figure)
    assert list(rendering.render_many([lambda: "first", lambda: "last"])) == ["first", "last"]


def test_no_font_is_open_where_helpers_are_forked():
    """Its place in the file would be that of all processes."""
    program = (
        "import os\n"
        "from ntk_sweep.analysis import cli\n"
        "from ntk_sweep.analysis.drawing.processes import forked_early\n"
        "folder = '/proc/self/fd'\n"
        "with forked_early():\n"
        "    files = [os.path.realpath(os.path.join(folder, one)) for one in os.listdir(folder)]\n"
        "print([file for file in files if file.endswith(('.ttf', '.otf', '.ttc'))])\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "[]\n", "")
