"""Writes contents as files: figures in all formats, tables in all languages, numbers as CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ntk_sweep.analysis.drawing.rendering import FORMATS, render_many
from ntk_sweep.analysis.writing.content import Content, NamedFigure, NamedTable
from ntk_sweep.analysis.writing.files import OutputFolder
from ntk_sweep.analysis.writing.tables import csv, latex, markdown

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class WrittenTable:
    """A table and its files."""

    table: NamedTable
    paths: Sequence[Path]


@dataclass(frozen=True)
class WrittenFigure:
    """A figure, as SVG, and its files."""

    figure: NamedFigure
    svg: bytes
    paths: Sequence[Path]


@dataclass(frozen=True)
class WrittenSection:
    """The tables and figures of a section."""

    title: str
    tables: Sequence[WrittenTable]
    figures: Sequence[WrittenFigure]

    @property
    def paths(self) -> list[Path]:
        """The files of all of them."""
        tables = [path for one in self.tables for path in one.paths]
        return tables + [path for one in self.figures for path in one.paths]


def publish(
    contents: Iterable[tuple[str, Content]], output: OutputFolder
) -> list[list[WrittenSection]]:
    """Draws and writes contents.

    Args:
        contents: Each with the name of its group, which ends the names of its files. While an
            iterator composes the later ones, figures of the earlier are drawn.
        output: Where.

    Returns:
        Of each content its sections.

    Raises:
        AnalysisError: The folder cannot be written.
    """
    known = []

    def draws() -> Iterator[Callable[[], Figure]]:
        for one in contents:
            known.append(one)
            yield from (figure.draw for figure in one[1].figures)

    drawn = iter(render_many(draws()))
    return [
        [
            WrittenSection(
                section.title,
                [_table(table, label, output) for table in section.tables],
                [_figure(figure, next(drawn), label, output) for figure in section.figures],
            )
            for section in content.sections
        ]
        for label, content in known
    ]


def _table(one: NamedTable, label: str, output: OutputFolder) -> WrittenTable:
    texts = {".csv": csv(one.numbers)}
    if one.table is not None:
        texts |= {".md": markdown(one.table), ".tex": latex(one.table)}
    name = f"{one.name}-{label}"
    paths = [output.write(name, ending, text, output.tables) for ending, text in texts.items()]
    return WrittenTable(one, paths)


def _figure(
    one: NamedFigure, drawn: dict[str, bytes], label: str, output: OutputFolder
) -> WrittenFigure:
    paths = [
        output.write(f"{one.name}-{label}", f".{kind}", drawn[kind], output.figures)
        for kind in FORMATS
    ]
    if one.numbers is not None:
        together = output.figures == output.tables
        name = (together and one.numbers_name) or one.name
        paths.append(output.write(f"{name}-{label}", ".csv", csv(one.numbers), output.figures))
    return WrittenFigure(one, drawn["svg"], paths)
