"""The chapters as a function, for Python and notebooks: frames and figures in place of files."""

from __future__ import annotations

import argparse
import base64
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any, NoReturn

import pandas as pd

from ntk_sweep.analysis.chapters import order
from ntk_sweep.analysis.cli import contents, parser
from ntk_sweep.analysis.drawing.rendering import DPI, render
from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.writing.content import Content

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OF_FILES = {"command", "chapter", "results", "output"}
"""What the command line parses beside a chapter's options."""

SCREEN_DPI = 96
"""CSS pixels an inch: a notebook shows a figure in its own size."""


@dataclass(frozen=True)
class Shown:
    """What a chapter shows; a notebook displays its figures, or its frames if there are none.

    The names are those of the files that the command line writes. The group (data set and
    parametrisation) is in them only where the store holds several.

    Attributes:
        frames: The numbers of tables and figures, as in the CSV files.
        figures: Matplotlib figures; the last value of a notebook's cell is displayed. They are not
            pyplot's: there is nothing to close.
        alts: The figures in words.
        left_out: What is missing, a sentence each.
    """

    frames: Mapping[str, pd.DataFrame]
    figures: Mapping[str, Figure]
    alts: Mapping[str, str]
    left_out: tuple[str, ...] = ()

    def __repr__(self) -> str:
        named = {"frames": self.frames, "figures": self.figures}
        parts = [f"{what}: {', '.join(names) or 'none'}" for what, names in named.items()]
        return "\n".join([*parts, *(f"left out: {sentence}" for sentence in self.left_out)])

    def _repr_html_(self) -> str:
        parts = [
            f'<figure style="display:inline-block">{_image(figure, self.alts[name])}'
            f"<figcaption>{escape(name)}</figcaption></figure>"
            for name, figure in self.figures.items()
        ]
        if not parts:
            parts = [
                f"<h4>{escape(name)}</h4>{frame.to_html(max_rows=20)}"
                for name, frame in self.frames.items()
            ]
        return "\n".join([*parts, *(f"<p>left out: {escape(one)}</p>" for one in self.left_out)])


def chapter(name: str, results: str | os.PathLike[str], **options: Any) -> Shown:
    """What a command of ``ntk-sweep`` writes, as frames and figures.

    ``chapter("spectrum", "results", act="relu", width=800, depth=3)`` is
    ``ntk-sweep spectrum results --act relu --width 800 --depth 3``.

    Args:
        name: Of the command: heatmaps, spectrum, training, table1, …
        results: The results folder or URI of a sweep.
        options: Those of the command: a flag is True, an option that may be repeated a list.

    Raises:
        AnalysisError: There is no such chapter or option, or there are no rows for it; the message
            says which there are, or what makes the rows.
        StoreError: A part of the store is unreadable.
    """
    known = {one.command.name: one for one in order.CHAPTERS if one.command}
    if name not in known:
        raise AnalysisError(f"there is no chapter {name!r}: choose one of {', '.join(known)}")
    where = os.fspath(results)
    reader = parser(kind=_Refusing)
    allowed = set(vars(reader.parse_args([name, "--", where]))) - _OF_FILES
    for option in options:
        if option not in allowed:
            raise AnalysisError(
                f"chapter({name!r}) has no option {option!r}: it takes {', '.join(sorted(allowed))}"
            )
    words = [word for option, value in options.items() for word in _typed(option, value)]
    found, left_out = contents(known[name], reader.parse_args([name, *words, "--", where]))
    return _shown(found, left_out)


class _Refusing(argparse.ArgumentParser):
    """A parser that raises where that of a command line ends the process."""

    def error(self, message: str) -> NoReturn:
        raise AnalysisError(f"{self.prog.split()[-1]}: {message}")


def _typed(option: str, value: Any) -> list[str]:
    """An option as on the command line."""
    flag = f"--{option.replace('_', '-')}"
    if value is None or value is False:
        return []
    if value is True:
        return [flag]
    values = value if isinstance(value, list | tuple) else [value]
    return [f"{flag}={one}" for one in values]


def _shown(found: list[tuple[str, Content]], left_out: list[str]) -> Shown:
    frames: dict[str, pd.DataFrame] = {}
    figures: dict[str, Figure] = {}
    alts: dict[str, str] = {}
    missing = [content.missing.sentence for _, content in found if content.missing]
    for label, content in found:
        ending = f"-{label}" if len(found) > 1 else ""
        frames |= {name + ending: frame for name, frame in _frames(content)}
        for one in content.figures:
            figure = one.draw()
            # IPython asks for this; without pyplot it knows of no other way to show a figure.
            figure._repr_png_ = partial(_png, figure)  # type: ignore[attr-defined]
            figures[one.name + ending], alts[one.name + ending] = figure, one.alt
    return Shown(frames, figures, alts, (*missing, *left_out))


def _frames(content: Content) -> Iterator[tuple[str, pd.DataFrame]]:
    for table in content.tables:
        yield table.name, table.numbers
    for figure in content.figures:
        if figure.numbers is not None:
            yield figure.numbers_name or figure.name, figure.numbers


def _png(figure: Figure) -> tuple[bytes, dict[str, int]]:
    """The figure as a file, and its size on the screen."""
    data = render(figure, "png")
    width = int.from_bytes(data[16:20])  # of the header of every PNG file
    return data, {"width": round(width * SCREEN_DPI / DPI)}


def _image(figure: Figure, alt: str) -> str:
    data, size = _png(figure)
    source = base64.b64encode(data).decode()
    return f'<img alt="{escape(alt)}" width="{size["width"]}" src="data:image/png;base64,{source}">'
