"""Formulas, parsed once for all figures of a process."""

from __future__ import annotations

import os
from collections.abc import Hashable
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.font_manager import FontProperties

MANY_FORMULAS = 4096
"""More than a report has, in all sizes and formats."""

_POINTS, _DPI = 100, 200
"""The size at which a formula is parsed; places of letters are rounded to 1/64 of a dot."""


@cache
def parse_formulas_once() -> None:
    """Has all figures of a process share what matplotlib makes of a formula, as of a tick's label.

    Each drawing of a figure would parse them again, and each size and resolution: without hinting,
    they differ by a factor.
    """
    from matplotlib import mathtext

    parser_class: Any = mathtext.MathTextParser
    plain = getattr(getattr(parser_class, "_parse_cached", None), "__wrapped__", None)
    if plain is None:
        return
    parsers: dict[str, Any] = {}

    @lru_cache(maxsize=MANY_FORMULAS)
    def shared(output: str, *key: Hashable) -> Any:
        return plain(parsers[output], *key)

    @lru_cache(maxsize=MANY_FORMULAS)
    def scaled(text: str, dpi: float, font: FontProperties, *key: Hashable) -> Any:
        one = font.copy()
        one.set_size(_POINTS)
        points = font.get_size_in_points()
        found = shared("vector", text, _DPI, one, *key)
        factor = points * dpi / (_POINTS * _DPI)
        width, height, depth, glyphs, rectangles = found
        return type(found)(
            *(factor * side for side in (width, height, depth)),
            [
                (face, size * points / _POINTS, *letter, factor * x, factor * y)
                for face, size, *letter, x, y in glyphs
            ],
            [tuple(factor * side for side in rectangle) for rectangle in rectangles],
        )

    def parse(parser: Any, text: str, dpi: float, font: FontProperties | None, *key: Any) -> Any:
        output = parser._output_type
        parsers.setdefault(output, parser)
        if output == "vector" and font is not None:
            return scaled(text, dpi, font, *key)
        return shared(output, text, dpi, font, *key)

    parser_class._parse_cached = parse
    if hasattr(os, "register_at_fork"):
        # Forks share the place in the files of fonts that are open, of which formulas hold some.
        for known in (shared, scaled):
            os.register_at_fork(after_in_child=known.cache_clear)
