"""The report: one self-contained page, and beside it every figure and table as files."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from analysis.chapters.chapter import Content, Part, Picture
from analysis.chapters.outputs import require_writable, summary_files, write, write_table
from analysis.chapters.parts import PARTS
from analysis.chapters.summary import Summary, summarise
from analysis.drawing.rendering import FORMATS, render_many
from analysis.page.explorer import colour_maps, explorer
from analysis.page.packing import Packer, compressed
from analysis.rows.cells import CELL
from analysis.rows.group import Group
from analysis.rows.quantities import QUANTITIES
from analysis.rows.study import Material
from analysis.rows.thesis import CITATION
from analysis.writing.mathematics import html_text
from analysis.writing.tables import Table, csv, html

FIGURES, TABLES = "figures", "tables"
"""Folders beside the page."""

SCRIPTS = ("data.js", "theme.js", "maps.js", "detail.js", "explorer.js")
"""In the order in which they need one another."""


HALF_WIDTH, FULL_WIDTH = 560, 700
"""Figures up to the one are readable at half a printed page's width; those beyond the other need
all of the screen's."""


@dataclass(frozen=True)
class Link:
    """A file beside the page: what it is called, and where it lies."""

    text: str
    target: str


@dataclass(frozen=True)
class Shown:
    """A figure or a table on the page, with the links to its files.

    Attributes:
        title: The stem of its files.
        links: Its files.
        html: The table; empty for a figure.
        alt: The figure in words.
        source: The figure as a data URI.
        width: Of the figure on paper, in CSS pixels of 1/96 inch.
        height: Likewise.
    """

    title: str
    links: Sequence[Link]
    html: Markup | None = None
    alt: str = ""
    source: str = ""
    width: int = 0
    height: int = 0

    @property
    def size(self) -> str:
        """How much of the page's width the figure needs to be read."""
        return (
            "wide-figure"
            if self.width > FULL_WIDTH
            else "narrow"
            if self.width <= HALF_WIDTH
            else "middle"
        )


@dataclass(frozen=True)
class Placed:
    """A block as it stands on the page: tables, then the figures that belong to them."""

    title: str
    tables: Sequence[Shown]
    figures: Sequence[Shown]


@dataclass(frozen=True)
class Section:
    """A part as it stands on the page."""

    anchor: str
    title: str
    lead: str
    blocks: Sequence[Placed]
    missing: str
    command: str
    explorer: bool

    @property
    def absent(self) -> bool:
        """Whether there is nothing to show."""
        return bool(self.missing) and not any(
            block.figures or block.tables for block in self.blocks
        )


@dataclass(frozen=True)
class Chapter:
    """All that the page says of one group.

    Attributes:
        group: The rows.
        summary: What was run.
        files: The summary as files.
        failures: The file that lists every point without a result, if there is one.
        sections: In the order of the page.
        data: What the interactive part is made of.
        cells: The file with the numbers of every cell.
    """

    group: Group
    summary: Summary
    files: Sequence[Link]
    failures: Sequence[Link]
    sections: Sequence[Section]
    data: dict[str, Any] | None
    cells: Link | None


def report(chosen: Sequence[Material], output: Path, date: str = "") -> Path:
    """Writes the page, `index.html`, and the files beside it; returns the page's path.

    Args:
        chosen: A chapter each.
        output: The folder.
        date: Printed at the head of the page; nothing is without it, so that the same rows give the
            same bytes.

    Raises:
        AnalysisError: The folder cannot be written.
    """
    require_writable(output)
    packer = Packer()
    contents = [[(part, _content(part, material)) for part in PARTS] for material in chosen]
    pictures = [
        picture for parts in contents for _, content in parts for picture in content.pictures
    ]
    rendered = iter(render_many([picture.draw for picture in pictures]))
    chapters = []
    for material, parts in zip(chosen, contents, strict=True):
        sections = [
            _section(part, content, material.group, rendered, output) for part, content in parts
        ]
        data = explorer(material, packer, 1 / len(chosen))
        table = _cells_file(material, output) if data else None
        summary = summarise(material.group, material.training)
        written = _links(
            summary_files(material.group, output / TABLES, material.training)[1], output
        )
        chapters.append(
            Chapter(material.group, summary, written[:3], written[3:], sections, data, table)
        )
    return write(output / "index.html", page(chapters, packer, date))


def page(chapters: Sequence[Chapter], packer: Packer, date: str = "") -> str:
    """The page as HTML; everything that is printed is escaped."""
    templates = files("analysis.page").joinpath("templates")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["symbols"] = html_text
    data = {"colours": colour_maps(), "groups": [chapter.data for chapter in chapters]}
    library, library_name = _library()
    return (
        environment.from_string(
            templates.joinpath("report.html").read_text(encoding="utf-8")
        ).render(
            chapters=chapters,
            citation=CITATION,
            date=date,
            style=Markup(templates.joinpath("report.css").read_text(encoding="utf-8")),
            script=Markup(
                "\n".join(templates.joinpath(name).read_text(encoding="utf-8") for name in SCRIPTS)
            ),
            # A name in a row may hold "</script>".
            header=Markup(
                json.dumps(data, ensure_ascii=True, sort_keys=True).replace("<", "\\u003c")
            ),
            numbers=Markup(packer.text()),
            library=Markup(library),
            library_name=library_name,
        )
        + "\n"
    )


@cache
def _library() -> tuple[str, str]:
    """The plotting library, compressed, and its name and version as it calls itself."""
    from plotly.offline import get_plotlyjs  # takes a while, and only the page needs it

    text = get_plotlyjs()
    named = re.search(r"plotly\.js v[\d.]+", text[:300])
    return compressed(text.encode()), named[0] if named else "plotly.js"


def _content(part: Part, material: Material) -> Content:
    missing = part.missing(material)
    return (
        Content(missing=missing, command=part.command(material.group))
        if missing
        else part.make(material)
    )


def _section(
    part: Part, content: Content, group: Group, rendered: Iterator[dict[str, bytes]], output: Path
) -> Section:
    """Writes the files of a part, and gives what the page shows of it."""
    blocks = []
    for block in content.blocks:
        tables, figures = [], []
        for sheet in block.sheets:
            written = write_table(
                output / TABLES / _stem(sheet.name, group), sheet.numbers, sheet.table
            )
            tables.append(
                Shown(
                    sheet.name,
                    _links(written, output),
                    html(_within(sheet.table, group, block.title)),
                )
            )
        for picture in block.pictures:
            drawn = next(rendered)
            written = _figure_files(picture, drawn, output / FIGURES / _stem(picture.name, group))
            figures.append(_shown(picture, drawn["svg"], _links(written, output)))
        blocks.append(Placed(block.title, tables, figures))
    return Section(
        f"{part.name}-{group.slug}",
        part.title,
        content.lead,
        blocks,
        content.missing,
        content.command,
        content.explorer,
    )


def _within(table: Table, group: Group, block: str) -> Table:
    """A table as it stands in the chapter of its group, whose heading need not be said again."""
    caption = table.caption.replace(f" ({group.title})", "").replace(f"({group.title}; ", "(")
    setting = block.partition(":")[0]
    return replace(table, caption=caption.replace(f" ({setting})", "") if setting else caption)


def _shown(picture: Picture, svg: bytes, links: Sequence[Link]) -> Shown:
    source = "data:image/svg+xml;base64," + base64.b64encode(svg).decode()
    size = re.search(rb'<svg [^>]*?width="([\d.]+)pt" height="([\d.]+)pt"', svg[:2000])
    width, height = (
        (round(float(points) * 96 / 72) for points in size.groups())
        if size
        else (HALF_WIDTH, HALF_WIDTH)
    )
    return Shown(picture.name, links, alt=picture.alt, source=source, width=width, height=height)


def _stem(name: str, group: Group) -> str:
    """The name of a file; an activation's name, which a row may choose, makes no folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name) + f"-{group.slug}"


def _figure_files(picture: Picture, drawn: dict[str, bytes], stem: Path) -> list[Path]:
    written = [write(stem.with_name(f"{stem.name}.{kind}"), drawn[kind]) for kind in FORMATS]
    if picture.numbers is not None:
        written.append(write(stem.with_name(f"{stem.name}.csv"), csv(picture.numbers)))
    return written


def _cells_file(material: Material, output: Path) -> Link:
    """Every quantity of every cell, the numbers behind the interactive maps."""
    table = pd.concat(
        [
            material.cells(quantity).assign(quantity=quantity.name)
            for quantity in QUANTITIES.values()
        ]
    )
    table = table[
        ["quantity", *(name for name in table.columns if name != "quantity")]
    ].sort_values("quantity", kind="stable", key=lambda names: names.map(list(QUANTITIES).index))
    written = write(
        output / TABLES / f"cells-{material.group.slug}.csv",
        csv(table[["quantity", *CELL, *table.columns[4:]]]),
    )
    return _links([written], output)[0]


def _links(paths: Sequence[Path], output: Path) -> list[Link]:
    return [
        Link(
            path.suffix[1:].upper().replace("TEX", "LaTeX").replace("MD", "Markdown"),
            path.relative_to(output).as_posix(),
        )
        for path in paths
    ]
