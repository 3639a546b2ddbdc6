"""What the report is built of: parts, each with the rows it needs, the command that makes them, and
its tables and figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.formats import Table
from analysis.frame import Group
from analysis.material import Material

GRID = "+experiment=thesis_grid"


@dataclass(frozen=True)
class Picture:
    """A figure of the report.

    Attributes:
        name: Of its files, before the group's name.
        alt: The figure in words, for those who cannot see it.
        draw: Draws it. Many are drawn in processes of their own, so this is a `functools.partial`
            of a function at the top of a module.
        numbers: The data behind it, for CSV; None where they lie in a file of their own, such as a
            kernel.
    """

    name: str
    alt: str
    draw: Callable[[], Figure]
    numbers: pd.DataFrame | None = None


@dataclass(frozen=True)
class Sheet:
    """A table of the report.

    Attributes:
        name: Of its files, before the group's name.
        table: To be read: in the page, as Markdown and as LaTeX.
        numbers: The same with all digits, for CSV.
    """

    name: str
    table: Table
    numbers: pd.DataFrame


@dataclass(frozen=True)
class Block:
    """Tables, and the figures that belong to them.

    Attributes:
        sheets: Tables.
        pictures: Figures.
        title: What sets it apart from the other blocks of its part; empty where it is the only one.
    """

    sheets: Sequence[Sheet] = ()
    pictures: Sequence[Picture] = ()
    title: str = ""


@dataclass(frozen=True)
class Content:
    """What a part shows.

    Attributes:
        lead: A paragraph, or nothing.
        blocks: Tables and figures, in their order.
        missing: What is not there though the part is; empty if everything is.
        command: What makes it.
        explorer: Whether the interactive heat maps stand here.
    """

    lead: str = ""
    blocks: Sequence[Block] = ()
    missing: str = ""
    command: str = ""
    explorer: bool = False

    @property
    def pictures(self) -> list[Picture]:
        """The figures of all blocks."""
        return [picture for block in self.blocks for picture in block.pictures]


@dataclass(frozen=True)
class Part:
    """A part of each chapter of the report.

    Attributes:
        name: Its anchor, before the group's name.
        title: The heading.
        missing: The rows that it needs and that are not there, as a sentence; empty if it can be
            made.
        command: The command line that makes these rows.
        make: Its content, where nothing is missing.
    """

    name: str
    title: str
    missing: Callable[[Material], str]
    command: Callable[[Group], str]
    make: Callable[[Material], Content]


def results_missing(material: Material) -> str:
    """What most parts need: a network with a result."""
    return "" if len(material.group.ok) else "There is no network with a result."


def grid_command(group: Group) -> str:
    """The command that makes the networks of the thesis's heat maps."""
    return group.command(GRID)
