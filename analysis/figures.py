"""What all figures share: their look, and how they become bytes that are the same every time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")

DPI = 200
"""Of PNG files: twice what a screen shows, and enough for print at half a page's width."""

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

_HOUSEKEEPING = ("backend", "interactive", "toolbar", "webagg", "tk.", "macosx", "figure.max_open_warning", "date.epoch")

_UNDATED = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@contextmanager
def style() -> Iterator[None]:
    """Our look, whatever a user's matplotlibrc says, and hers again afterwards."""
    look: dict[Any, Any] = {key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith(_HOUSEKEEPING)}
    look.update(_STYLE)
    with matplotlib.rc_context(look):
        yield


def render(figure: Figure, kind: str) -> bytes:
    """The figure as a file of one of `FORMATS`; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format=kind, metadata=_UNDATED[kind], bbox_inches="tight", pad_inches=0.05)
    return buffer.getvalue()
