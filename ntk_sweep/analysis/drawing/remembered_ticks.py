"""Ticks and the extents of their labels, found once for each place of an axis.

Arranging and drawing a figure asks for them about ten times, and each time matplotlib finds them
anew, which takes half the time of both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

_ASKED = ("_update_ticks", "_get_ticklabel_bboxes")
"""Methods of matplotlib's axes of coordinates; where a version lacks one, all is as without us."""


def remember_ticks(figure: Figure) -> None:
    """From here on the axes of a figure change in place and limits only."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            for name in _ASKED:
                if plain := getattr(axis, name, None):
                    setattr(axis, name, _remembered(axis, plain))


def _remembered(axis: Axis, plain: Callable[..., Any]) -> Callable[..., Any]:
    """A method of an axis that answers as the last time while nothing has moved."""
    known: Any = None
    place: tuple[float, ...] = ()
    asked: tuple[Any, ...] = ()

    def answer(*arguments: Any) -> Any:
        nonlocal known, place, asked
        here = (*axis.axes.bbox.bounds, *axis.get_view_interval())
        # Ticks and renderers are equal when they are the same.
        if here != place or arguments != asked:
            place, asked, known = here, arguments, plain(*arguments)
        return known

    return answer
