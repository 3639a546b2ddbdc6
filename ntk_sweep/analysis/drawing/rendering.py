"""What all figures share: their look, and how they become bytes that are the same every time."""

from __future__ import annotations

import io
import logging
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ntk_sweep.cores import available_cores

if TYPE_CHECKING:
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


PADDING = 0.05
"""Inches of white around a figure."""


def render(figure: Figure, kind: str, box: Bbox | None = None) -> bytes:
    """The figure as a file of one of `FORMATS`; the same figure gives the same bytes.

    Args:
        figure: What.
        kind: As what.
        box: What of it is kept, in inches; None finds out where there is ink, which takes as long
            as drawing it.
    """
    buffer = io.BytesIO()
    with style():
        figure.savefig(
            buffer,
            format=kind,
            metadata=_UNDATED[kind],
            bbox_inches=box or "tight",
            pad_inches=PADDING,
        )
    return buffer.getvalue()


def render_all(figure: Figure) -> dict[str, bytes]:
    """The figure in all of `FORMATS`, arranged and measured once."""
    with style():
        if (engine := figure.get_layout_engine()) is not None:
            engine.execute(figure)
        # What the engine arranged stays; with an engine every file would be drawn twice.
        figure.set_layout_engine(None)
        box = _ink(figure).padded(PADDING)
    return {kind: render(figure, kind, box) for kind in FORMATS}


def _ink(figure: Figure) -> Bbox:
    """Where there is ink in any format, in inches: letters of pixels and of outlines differ."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import RendererSVG
    from matplotlib.transforms import Bbox

    width, height = figure.get_size_inches()
    before = figure.dpi
    try:
        figure.dpi = DPI
        pixels = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer())
        figure.dpi = POINTS
        outlines = figure.get_tightbbox(RendererSVG(width * POINTS, height * POINTS, io.StringIO()))
    finally:
        figure.dpi = before
    return Bbox.union([pixels, outlines])


def render_many(draws: Sequence[Callable[[], Figure]]) -> list[dict[str, bytes]]:
    """What each of `draws` returns, in all of `FORMATS`; on all cores where they are many.

    Args:
        draws: Functions that can be pickled, such as a `functools.partial` of one at the top of a
            module.
    """
    cores = min(available_cores(), len(draws))
    if len(draws) < MANY or cores == 1:
        return [_drawn(draw) for draw in draws]
    # Not forked: threads of Arrow may hold locks at this moment, which a fork would keep for ever.
    with ProcessPoolExecutor(
        cores,
        mp_context=multiprocessing.get_context("spawn"),
        # What matplotlib warns of when it is loaded, this process was told already.
        initializer=logging.disable,
        initargs=(logging.WARNING,),
    ) as pool:
        with _signals_left_to_parent():
            drawn = pool.map(_drawn, draws)
        return list(drawn)


@contextmanager
def _signals_left_to_parent() -> Iterator[None]:
    """Processes started in here wait for this one to end them, also at Ctrl-C.

    A terminal sends it to all processes of a command, and each would say so.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Not every system knows SIGHUP.
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    ends = {getattr(signal, name) for name in names if hasattr(signal, name)}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _drawn(draw: Callable[[], Figure]) -> dict[str, bytes]:
    return render_all(draw())
