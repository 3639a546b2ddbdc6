"""What all figures share: their look, and how they become bytes that are the same every time."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ntk_sweep.analysis.drawing.copied_ticks import copied_ticks
from ntk_sweep.analysis.drawing.formulas import parse_formulas_once
from ntk_sweep.analysis.drawing.processes import forked_before, spawned
from ntk_sweep.analysis.drawing.remembered_texts import remembered_texts
from ntk_sweep.analysis.drawing.remembered_ticks import remember_ticks
from ntk_sweep.cores import available_cores

if TYPE_CHECKING:
    from matplotlib.backend_bases import RendererBase
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

FORMATS = ("png", "svg", "pdf")

DPI = 200
"""Of PNG files: twice what a screen shows, and enough for print at half a page's width."""

POINTS = 72
"""An inch in SVG and PDF files."""

_STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "savefig.dpi": DPI,
    # Element ids in an SVG are random unless salted.
    "svg.hashsalt": "ntk-sweep",
}

MANY = 8
"""From this many figures on they are drawn by several processes; fewer take less time than a
process takes to start."""

_HOUSEKEEPING = (
    "backend",
    "interactive",
    "toolbar",
    "webagg",
    "tk.",
    "macosx",
    "figure.max_open_warning",
    "date.epoch",
)

_UNDATED = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@contextmanager
def style() -> Iterator[None]:
    """Our look, whatever a user's matplotlibrc says, and hers again afterwards."""
    import matplotlib

    look: dict[Any, Any] = {
        key: value
        for key, value in matplotlib.rcParamsDefault.items()
        if not key.startswith(_HOUSEKEEPING)
    }
    look.update(_STYLE)
    with matplotlib.rc_context(look):
        yield


COMPRESSION = 3
"""Of PNG files, from 1 to 9: a tenth larger than with 6, in two thirds of the time."""

PADDING = 0.05
"""Inches of white around a figure."""


def render(figure: Figure, kind: str) -> bytes:
    """The figure as a file of one of `FORMATS`; the same figure gives the same bytes."""
    with style():
        return _saved(figure, kind, bbox_inches="tight", pad_inches=PADDING)


def render_all(figure: Figure) -> dict[str, bytes]:
    """The figure in all of `FORMATS`, arranged, measured and drawn once."""
    from ntk_sweep.analysis.drawing.recording import Recorder, recorded

    parse_formulas_once()
    remember_ticks(figure)
    figure.dpi = DPI
    recorder = Recorder(figure)
    with style():
        # Around what keeps its shape a layout leaves white.
        filled = all(axes.get_aspect() == "auto" for axes in figure.axes)
        margin = 0.0
        if (engine := figure.get_layout_engine()) is not None:
            engine.execute(figure)
            margin = engine.get()["w_pad"]
            # What the engine arranged stays.
            figure.set_layout_engine(None)
        figure.patch.set_visible(False)
        figure.draw(recorder)
        if engine is not None and filled:
            box = _box(figure, recorder, margin)
        else:
            box = figure.get_tightbbox(recorder).padded(PADDING)
        page = recorded(recorder, box)
        return {kind: _png(page) if kind == "png" else _saved(page, kind) for kind in FORMATS}


def _png(page: Figure) -> bytes:
    """A page as PNG, without the transparency that no figure has: a third faster."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image  # matplotlib brings it along

    page.dpi = DPI
    canvas = FigureCanvasAgg(page)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", dpi=(DPI, DPI), compress_level=COMPRESSION)
    return buffer.getvalue()


def _saved(figure: Figure, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata=_UNDATED[kind], **options)
    return buffer.getvalue()


def _box(figure: Figure, pixels: RendererBase, margin: float) -> Bbox:
    """What is kept of a figure, in inches: the page, and texts that are longer than it.

    A layout leaves all the rest within the page, but for this much margin. Measuring all ink takes
    as long as drawing it.
    """
    from matplotlib.backends.backend_svg import RendererSVG
    from matplotlib.transforms import Bbox

    width, height = figure.get_size_inches()
    # Letters of pixels and of outlines differ.
    parts = [*_texts(figure, pixels)]
    before = figure.dpi
    try:
        figure.dpi = POINTS
        outlines = RendererSVG(width * POINTS, height * POINTS, io.StringIO())
        parts += _texts(figure, outlines)
    finally:
        figure.dpi = before
    return Bbox.union([Bbox.from_extents(0, 0, width, height).padded(-margin), *parts]).padded(
        PADDING
    )


def _texts(figure: Figure, renderer: Any) -> Iterator[Bbox]:
    """Where the figure's texts, titles and labels of axes reach, in inches."""
    from matplotlib.text import Text

    inches = figure.dpi_scale_trans.inverted()
    for owner in (figure, *figure.axes):
        for text in owner.get_children():
            if isinstance(text, Text) and text.get_visible() and text.get_text():
                yield text.get_window_extent(renderer).transformed(inches)
    middle_x, middle_y = figure.get_size_inches() / 2
    for axes in figure.axes:
        # How far from its axis a label is, the layout knew.
        along = axes.xaxis.label.get_window_extent(renderer).transformed(inches)
        yield along.from_extents(along.x0, middle_y, along.x1, middle_y)
        up = axes.yaxis.label.get_window_extent(renderer).transformed(inches)
        yield up.from_extents(middle_x, up.y0, middle_x, up.y1)


def render_many(draws: Iterable[Callable[[], Figure]]) -> Iterator[dict[str, bytes]]:
    """What each of `draws` returns, in all of `FORMATS`; on all cores where they are many.

    Args:
        draws: Functions that can be pickled, such as a `functools.partial` of one at the top of a
            module. While an iterator makes the later ones, other processes draw the earlier.

    Returns:
        The files in the order of `draws`, which are all made by then; some may still be drawn.
    """
    others = available_cores() - 1
    known: list[Callable[[], Figure]] = []
    sent: list[Future[dict[str, bytes] | None]] = []
    own: dict[int, dict[str, bytes]] = {}
    with ExitStack() as stack:
        helpers = stack.enter_context(forked_before())
        for draw in draws:
            known.append(draw)
            if helpers is None and others and len(known) >= MANY:
                helpers = stack.enter_context(spawned(others))
            if helpers is not None:
                sent += [helpers.submit(_drawn, one) for one in known[len(sent) :]]
        # From the end, where the others have not begun.
        for place in reversed(range(len(known))):
            if helpers is not None and not helpers.takes_last():
                break
            own[place] = _drawn(known[place])
        rest = stack.pop_all()
    return _in_order(known, own, sent, rest)


def _in_order(
    known: Sequence[Callable[[], Figure]],
    own: dict[int, dict[str, bytes]],
    sent: Sequence[Future[dict[str, bytes] | None]],
    helpers: ExitStack,
) -> Iterator[dict[str, bytes]]:
    """The figures of this process and of its helpers, which end with the last."""
    with helpers:
        for place, draw in enumerate(known):
            # Of several helpers, one may come late to what it was sent.
            yield own.get(place) or sent[place].result() or _drawn(draw)


def _drawn(draw: Callable[[], Figure]) -> dict[str, bytes]:
    with copied_ticks(), remembered_texts():
        return render_all(draw())
