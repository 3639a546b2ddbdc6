"""Ticks of an axis, made as copies of its first.

Matplotlib makes each tick, of three lines and two texts, from its settings, and then gives it the
properties of the first one. That takes a fifth of drawing a figure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

_Thing = TypeVar("_Thing")

_LINES = ("tick1line", "tick2line", "gridline")
_LABELS = ("label1", "label2")


@contextmanager
def copied_ticks() -> Iterator[None]:
    """In here ticks of matplotlib's axes of coordinates are copies; for figures that nobody sees.

    Where a version of matplotlib makes ticks in another way, all is as without us.
    """
    from matplotlib.axis import Axis

    make: Any = getattr(Axis, "_get_tick", None)
    match: Any = getattr(Axis, "_copy_tick_props", None)
    if make is None or match is None:
        yield
        return

    def copied(axis: Any, major: bool) -> Any:
        known = axis.majorTicks if major else axis.minorTicks
        return _copy_of_tick(known[0]) if known else make(axis, major)

    def same_already(axis: Any, first: Any, other: Any) -> None:
        """A copy has the properties of the first."""

    _replace(Axis, copied, same_already)
    try:
        yield
    finally:
        _replace(Axis, make, match)


def _replace(axis: Any, make: Callable[..., Any], match: Callable[..., None]) -> None:
    axis._get_tick, axis._copy_tick_props = make, match


def _copy_of_tick(first: Any) -> Any:
    """A tick of lines and texts of its own; these replace what they have, and change none of it."""
    tick = _copy(first)
    for name in _LINES:
        setattr(tick, name, _copy(getattr(first, name)))
    for name in _LABELS:
        label = _copy(getattr(first, name))
        label._fontproperties = label._fontproperties.copy()
        setattr(tick, name, label)
    return tick


def _copy(thing: _Thing) -> _Thing:
    new = object.__new__(type(thing))
    vars(new).update(vars(thing))
    return new
