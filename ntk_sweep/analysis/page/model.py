"""What stands on the page, as the template reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ntk_sweep.analysis.chapters.summary import Summary
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.writing.content import Content

HALF_WIDTH, FULL_WIDTH = 560, 700
"""Figures up to the one are readable at half a printed page's width; those beyond the other need
all of the screen's."""


@dataclass(frozen=True)
class Link:
    """A file beside the page: what it is called, and where it lies."""

    text: str
    target: str


@dataclass(frozen=True)
class PageTable:
    """A table on the page, with the links to its files."""

    html: Markup
    links: Sequence[Link]


@dataclass(frozen=True)
class PageFigure:
    """A figure on the page, with the links to its files.

    Attributes:
        title: What its files are called after.
        links: Its files.
        alt: The figure in words.
        place: Of its SVG among those of the page: first byte and length.
        width: Of the figure on paper, in CSS pixels of 1/96 inch.
        height: Likewise.
    """

    title: str
    links: Sequence[Link]
    alt: str
    place: tuple[int, int]
    width: int
    height: int

    @property
    def size(self) -> str:
        """How much of the page's width the figure needs to be read."""
        if self.width > FULL_WIDTH:
            return "wide-figure"
        return "narrow" if self.width <= HALF_WIDTH else "middle"


@dataclass(frozen=True)
class PageSection:
    """Tables, then the figures that belong to them.

    Attributes:
        title: What sets it apart from other sections; empty where it is the only one.
        tables: The tables.
        figures: Those that are seen at once.
        twice: Those whose numbers the page draws interactively, too.
    """

    title: str
    tables: Sequence[PageTable]
    figures: Sequence[PageFigure]
    twice: Sequence[PageFigure] = ()


@dataclass(frozen=True)
class PageChapter:
    """A chapter as it stands on the page.

    Attributes:
        name: Of the chapter.
        anchor: Where links lead.
        title: Its heading.
        content: What it says beside tables and figures.
        sections: Its tables and figures.
    """

    name: str
    anchor: str
    title: str
    content: Content
    sections: Sequence[PageSection]

    @property
    def absent(self) -> bool:
        """Whether there is nothing to show but the command that makes it."""
        shown = any(one.figures or one.twice or one.tables for one in self.sections)
        return self.content.missing is not None and not shown


@dataclass(frozen=True)
class PageGroup:
    """All that the page says of one group.

    Attributes:
        group: The rows.
        anchor: Where links lead.
        answer: What the rows say, a sentence each.
        progress: How much is computed.
        summary: What was run.
        files: The summary as files.
        failures: The file that lists every point without a result, if there is one.
        chapters: In the order of the page.
        data: What the interactive part is made of.
        drifts: The change of kernels over epochs, by the way of training.
        rows: The rows that the table shows.
        cells: The file with the numbers of every cell.
    """

    group: Group
    anchor: str
    answer: Sequence[str]
    progress: str
    summary: Summary
    files: Sequence[Link]
    failures: Sequence[Link]
    chapters: Sequence[PageChapter]
    data: dict[str, Any] | None
    drifts: list[dict[str, Any]]
    rows: dict[str, Any] | None
    cells: Link | None

    @property
    def present(self) -> Sequence[PageChapter]:
        """Chapters with something to show, the map first."""
        return sorted(
            (one for one in self.chapters if not one.absent),
            key=lambda one: not one.content.explorer,
        )

    @property
    def absent(self) -> Sequence[PageChapter]:
        """Chapters without rows."""
        return [one for one in self.chapters if one.absent]

    @property
    def line(self) -> str:
        """What was run, in a line."""
        shown = ("Activations", "Widths", "Depths", "Seeds", "Computed")
        return "; ".join(f"{name}: {value}" for name, value in self.summary.facts if name in shown)


@dataclass(frozen=True)
class PageComparison:
    """What the page says of two groups of two stores.

    Attributes:
        anchor: Where links lead.
        title: Which groups.
        sentence: How many rows are equal.
        rows: Those that the table shows.
        files: The rows, and the cells, as CSV.
    """

    anchor: str
    title: str
    sentence: str
    rows: dict[str, Any]
    files: Sequence[Link]
