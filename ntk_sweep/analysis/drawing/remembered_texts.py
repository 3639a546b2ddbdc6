"""Layouts of texts, found once for all texts of a process that look alike.

Arranging and drawing a figure asks for that of each label about five times, and figures of a report
share most of their labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

MANY_LAYOUTS = 8192
"""More than a report has; they take a kilobyte each."""

_LOOK = attrgetter(
    "_text",
    "_rotation",
    "_transform_rotates_text",
    "_rotation_mode",
    "_horizontalalignment",
    "_verticalalignment",
    "_multialignment",
    "_linespacing",
    "_usetex",
    "_parse_math",
)
"""What a layout depends on, besides font and resolution; not on the place."""

_known: dict[tuple[Any, ...], Any] = {}


@contextmanager
def remembered_texts() -> Iterator[None]:
    """In here the layout of a text is that of the last one that looked alike.

    Where a version of matplotlib lays texts out in another way, all is as without us.
    """
    from matplotlib.text import Text

    plain: Any = getattr(Text, "_get_layout", None)
    if plain is None:
        yield
        return

    def layout(text: Any, renderer: Any) -> Any:
        try:
            look = _LOOK(text)
            font = (*vars(text._fontproperties).values(),)
        except AttributeError:
            return plain(text, renderer)
        if text.get_wrap() or look[2]:  # depend on the place
            return plain(text, renderer)
        key = (type(renderer), text.get_figure(root=True).dpi, *look, *font)
        if key not in _known:
            if len(_known) >= MANY_LAYOUTS:
                _known.clear()
            _known[key] = plain(text, renderer)
        return _known[key]

    Text._get_layout = layout  # type: ignore[attr-defined]
    try:
        yield
    finally:
        Text._get_layout = plain  # type: ignore[attr-defined]
