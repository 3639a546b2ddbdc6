"""Layouts of texts, found once for all texts of a process that look alike.

Arranging and drawing a figure asks for that of each label about five times, and figures of a report
share most of their labels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from operator import attrgetter
from typing import Any

MANY_LAYOUTS = 8192
"""More than a report has; they take a kilobyte each."""

_LOOK = attrgetter(
    "_text",
    "_rotation",
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

if hasattr(os, "register_at_fork"):
    # Forks share the place in the files of fonts that are open, of which layouts hold some.
    os.register_at_fork(after_in_child=_known.clear)


@contextmanager
def remembered_texts() -> Iterator[None]:
    """In here the layout of a text is that of the last one that looked alike.

    Where a version of matplotlib lays texts out in another way, all is as without us.
    """
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.backends.backend_pdf import RendererPdf
    from matplotlib.ft2font import FT2Font
    from matplotlib.text import Text
    from matplotlib.textpath import TextToPath

    replaced: list[tuple[type, str, Callable[[Any], Any]]] = [
        (Text, "_get_layout", _remembered_layout)
    ]
    if hasattr(FT2Font, "_layout"):
        replaced += [
            (RendererAgg, "_prepare_font", _remembering_font),
            (RendererPdf, "_get_font_ttf", _remembering_font),
            (TextToPath, "_get_font", _remembering_font),
        ]
    with ExitStack() as stack:
        for owner, name, made in replaced:
            if plain := getattr(owner, name, None):
                stack.callback(setattr, owner, name, plain)
                setattr(owner, name, made(plain))
        yield


def _remembered_layout(plain: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The layout of the lines of a text beside one another."""

    def layout(text: Any, renderer: Any) -> Any:
        try:
            look = _LOOK(text)
            font = (*vars(text._fontproperties).values(),)
        except AttributeError:
            return plain(text, renderer)
        if text.get_wrap() or text.get_transform_rotates_text():  # depend on the place
            return plain(text, renderer)
        key = (type(renderer), text.get_figure(root=True).dpi, *look, *font)
        return _answer(key, lambda: plain(text, renderer))

    return layout


def _remembering_font(plain: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A font that knows the places of letters in lines that it has laid out in this size."""

    def font(owner: Any, properties: Any) -> Any:
        size = (type(owner), getattr(owner, "dpi", 0), properties.get_size_in_points())
        return _Font(plain(owner, properties), size)

    return font


class _Font:
    def __init__(self, font: Any, size: tuple[Any, ...]) -> None:
        self._font = font
        self._size = size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._font, name)

    def _layout(self, line: str, *settings: Any, **named: Any) -> Any:
        key = (self._font, *self._size, line, settings, *named.items())
        return _answer(key, lambda: self._font._layout(line, *settings, **named))


def _answer(key: tuple[Any, ...], find: Callable[[], Any]) -> Any:
    if key not in _known:
        if len(_known) >= MANY_LAYOUTS:
            _known.clear()
        _known[key] = find()
    return _known[key]
