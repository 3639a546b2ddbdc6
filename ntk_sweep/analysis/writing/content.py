"""What is written and shown: tables and figures with their names, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from ntk_sweep.analysis.writing.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class NamedTable:
    """A table and its files.

    Attributes:
        name: Of its files, before the group's name.
        table: To be read: in the page, as Markdown and as LaTeX; None for a CSV file alone.
        numbers: The same with all digits, for CSV.
    """

    name: str
    table: Table | None
    numbers: pd.DataFrame


@dataclass(frozen=True)
class NamedFigure:
    """A figure and its files.

    Attributes:
        name: Of its files, before the group's name.
        alt: The figure in words, for those who cannot see it.
        draw: Draws it. Many are drawn in processes of their own, so this is a `functools.partial`
            of a function at the top of a module.
        numbers: The data behind it, for CSV; None where they lie in a file of their own, such as a
            kernel.
        numbers_name: Of the CSV file in a folder where a table has the name; empty for the name.
    """

    name: str
    alt: str
    draw: Callable[[], Figure]
    numbers: pd.DataFrame | None = None
    numbers_name: str = ""


@dataclass(frozen=True)
class Section:
    """Tables, and the figures that belong to them.

    Attributes:
        tables: Those with a `Table` are shown.
        figures: Below the tables.
        title: What sets it apart from other sections; empty where it is the only one.
    """

    tables: Sequence[NamedTable] = ()
    figures: Sequence[NamedFigure] = ()
    title: str = ""


@dataclass(frozen=True)
class Missing:
    """Rows that are not there.

    Attributes:
        sentence: What is missing.
        command: The command line that makes it.
        message: The same for a terminal, the command included; empty for the sentence.
    """

    sentence: str
    command: str
    message: str = ""


@dataclass(frozen=True)
class Content:
    """What a chapter shows of a study.

    Attributes:
        lead: A paragraph, or nothing.
        sections: Tables and figures, in their order.
        missing: What is not there, of the chapter or of a part of it; None if nothing is.
        explorer: Whether the page shows its interactive heat maps here.
    """

    lead: str = ""
    sections: Sequence[Section] = ()
    missing: Missing | None = None
    explorer: bool = False

    @property
    def figures(self) -> list[NamedFigure]:
        """The figures of all sections."""
        return [figure for section in self.sections for figure in section.figures]

    @property
    def tables(self) -> list[NamedTable]:
        """The tables of all sections."""
        return [table for section in self.sections for table in section.tables]
