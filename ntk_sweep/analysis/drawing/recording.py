"""A figure drawn once, and played to the writer of each format.

What an artist draws comes down to a few calls of a renderer, with places in pixels. Going through
the artists takes longer than writing a file, and is the same for all formats.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backend_bases import FigureCanvasBase, GraphicsContextBase, RendererBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.transforms import Affine2D, Bbox, TransformedPath

_POINTS = 72

MANY_TEXTS = 4096
"""Different ones, in all sizes; more than a report has."""


class Recorder(RendererBase):
    """Notes what is drawn; measures texts as PNG files show them.

    Attributes:
        figure: Whose artists draw; its dots per inch stay as they are.
        calls: Name and arguments of each call, in pixels from the lower left corner of the page.
    """

    def __init__(self, figure: Figure) -> None:
        super().__init__()
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.figure = figure
        _Measuring(figure, self)

    def flipy(self) -> bool:
        """Places count from below."""
        return False

    def get_canvas_width_height(self) -> tuple[float, float]:
        """Of the page, in pixels."""
        width, height = self.figure.bbox.size
        return width, height

    def points_to_pixels(self, points: Any) -> Any:
        """At the figure's dots per inch."""
        return points * self.figure.dpi / _POINTS

    def get_text_width_height_descent(
        self, s: str, prop: FontProperties, ismath: Any
    ) -> tuple[float, float, float]:
        """Of a line, in pixels."""
        return _extent(s, prop, ismath, self.figure.dpi)


def _noted(name: str) -> Callable[..., None]:
    """A method of the recorder that keeps its arguments; artists change their context later."""

    def note(self: Recorder, *arguments: Any, **named: Any) -> None:
        if arguments and isinstance(arguments[0], GraphicsContextBase):
            context = GraphicsContextBase()
            context.copy_properties(arguments[0])
            arguments = (context, *arguments[1:])
        self.calls.append((name, arguments, named))

    return note


_PLACED = {
    "draw_path": ((), 2),
    "draw_markers": ((2,), 4),
    "draw_path_collection": ((1,), 5),
    "draw_quad_mesh": ((1,), 6),
    "draw_gouraud_triangles": ((), 3),
}
"""Of each call the arguments that are transforms: those of a shape at a place, and of the place."""

_BRACKETS = ("open_group", "close_group", "start_rasterizing", "stop_rasterizing")

for _name in (*_PLACED, *_BRACKETS, "draw_image", "draw_text"):
    setattr(Recorder, _name, _noted(_name))


class _Measuring(FigureCanvasBase):
    """Gives a recorder to the layout of a figure."""

    def __init__(self, figure: Figure, recorder: Recorder) -> None:
        self._recorder = recorder
        super().__init__(figure)

    def get_renderer(self) -> Recorder:
        return self._recorder


@cache
def _pixels(dpi: float) -> RendererAgg:
    return RendererAgg(1, 1, dpi)


@lru_cache(maxsize=MANY_TEXTS)
def _extent(text: str, font: FontProperties, formula: Any, dpi: float) -> Any:
    return _pixels(dpi).get_text_width_height_descent(text, font, formula)


def recorded(recorder: Recorder, box: Bbox) -> Figure:
    """What a recorder noted, as a figure that can be saved in any resolution.

    Args:
        recorder: Of a figure that has been drawn.
        box: What of it is kept, in inches.
    """
    page = Figure((box.width, box.height), facecolor=recorder.figure.get_facecolor())
    page.add_artist(_Recording(recorder, box))
    return page


class _Recording(Artist):
    """The one artist of such a figure."""

    def __init__(self, recorder: Recorder, box: Bbox) -> None:
        super().__init__()
        self._calls = recorder.calls
        self._dpi = recorder.figure.dpi
        self._corner = box.p0

    def draw(self, renderer: RendererBase) -> None:
        """Plays it."""
        place = self._place()
        for name, arguments, named in self._calls:
            if name in _BRACKETS:
                getattr(renderer, name)(*arguments, **named)
                if name.endswith("rasterizing"):
                    place = self._place()
                continue
            context, *others = arguments
            if name in _PLACED:
                shapes, whole = _PLACED[name]
                for at in shapes:
                    others[at - 1] = place.scaled(others[at - 1])
                others[whole - 1] = place.moved(others[whole - 1])
            else:
                x, y = (place.factor * np.array(others[:2]) + place.shift).tolist()
                if name == "draw_text" and renderer.flipy():
                    y = renderer.get_canvas_width_height()[1] - y
                others[:2] = x, y
            own = place.context(renderer, context)
            getattr(renderer, name)(own, *others, **named)
            own.restore()

    def _place(self) -> _Place:
        figure = self.get_figure(root=True)
        assert figure is not None
        return _Place(figure.dpi / self._dpi, -figure.dpi * self._corner)


class _Place:
    """Where a recording lies on a page: scaled, then shifted."""

    def __init__(self, factor: float, shift: np.ndarray) -> None:
        self.factor = factor
        self.shift = shift
        self._scale = np.diag([factor, factor, 1.0])
        self._whole = self._scale.copy()
        self._whole[:2, 2] = shift
        self._rectangles: dict[int, Bbox] = {}
        self._paths: dict[int, TransformedPath] = {}

    def scaled(self, transform: Any) -> Affine2D:
        return Affine2D(self._scale @ transform.get_matrix())

    def moved(self, transform: Any) -> Affine2D:
        return Affine2D(self._whole @ transform.get_matrix())

    def context(self, renderer: RendererBase, noted: GraphicsContextBase) -> GraphicsContextBase:
        """The context of a call; what is cut alike shares what it is cut to."""
        own = renderer.new_gc()
        own.copy_properties(noted)
        if (rectangle := noted.get_clip_rectangle()) is not None:
            key = id(rectangle)
            if key not in self._rectangles:
                self._rectangles[key] = Bbox(self.factor * rectangle.get_points() + self.shift)
            own.set_clip_rectangle(self._rectangles[key])
        path, transform = noted.get_clip_path()
        if isinstance(path, Path):
            if id(path) not in self._paths:
                self._paths[id(path)] = TransformedPath(path, self.moved(transform))
            own.set_clip_path(self._paths[id(path)])
        return own
