"""The report: one self-contained page, and beside it every figure and table as files."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from analysis.cells import CELL, cells
from analysis.explorer import colour_maps, explorer
from analysis.figures import FORMATS, render_many
from analysis.formats import csv, html, html_text
from analysis.frame import Group
from analysis.material import Material
from analysis.outputs import write, write_table
from analysis.packing import Packer, compressed
from analysis.parts import PARTS
from analysis.quantities import QUANTITIES
from analysis.sections import Content, Part, Picture
from analysis.summary import Summary, summarise
from analysis.thesis import CITATION

FIGURES, TABLES = "figures", "tables"
"""Folders beside the page."""

SCRIPTS = ("data.js", "theme.js", "maps.js", "detail.js", "explorer.js")
"""In the order in which they need one another."""


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
        html: The table; empty for a figure.
        alt: The figure in words.
        source: The figure as a data URI.
        links: Its files.
    """

    title: str
    links: Sequence[Link]
    html: Markup | None = None
    alt: str = ""
    source: str = ""


@dataclass(frozen=True)
class Section:
    """A part as it stands on the page."""

    anchor: str
    title: str
    lead: str
    tables: Sequence[Shown]
    figures: Sequence[Shown]
    missing: str
    command: str
    explorer: bool


@dataclass(frozen=True)
class Chapter:
    """All that the page says of one group; `data` is what its interactive part is made of."""

    group: Group
    summary: Summary
    sections: Sequence[Section]
    data: dict[str, Any] | None
    cells: Link | None


def report(chosen: Sequence[Material], output: Path, date: str = "") -> Path:
    """Writes the page, `index.html`, and the files beside it; returns the page's path.

    Args:
        chosen: A chapter each.
        output: The folder.
        date: Printed at the head of the page; nothing is without it, so that the same rows give the same bytes.

    Raises:
        AnalysisError: The folder cannot be written.
    """
    packer = Packer()
    contents = [[(part, _content(part, material)) for part in PARTS] for material in chosen]
    pictures = [picture for parts in contents for _, content in parts for picture in content.pictures]
    rendered = iter(render_many([picture.draw for picture in pictures]))
    chapters = []
    for material, parts in zip(chosen, contents, strict=True):
        sections = [_section(part, content, material.group, rendered, output) for part, content in parts]
        data = explorer(material, packer, 1 / len(chosen))
        table = _cells_file(material, output) if data else None
        chapters.append(Chapter(material.group, summarise(material.group, material.training), sections, data, table))
    return write(output / "index.html", page(chapters, packer, date))


def page(chapters: Sequence[Chapter], packer: Packer, date: str = "") -> str:
    """The page as HTML; everything that is printed is escaped."""
    templates = files("analysis").joinpath("templates")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["symbols"] = html_text
    data = {"colours": colour_maps(), "groups": [chapter.data for chapter in chapters]}
    library, library_name = _library()
    return (
        environment.from_string(templates.joinpath("report.html").read_text(encoding="utf-8")).render(
            chapters=chapters,
            citation=CITATION,
            date=date,
            style=Markup(templates.joinpath("report.css").read_text(encoding="utf-8")),
            script=Markup("\n".join(templates.joinpath(name).read_text(encoding="utf-8") for name in SCRIPTS)),
            # A name in a row may hold "</script>".
            header=Markup(json.dumps(data, ensure_ascii=True, sort_keys=True).replace("<", "\\u003c")),
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
    return Content(missing=missing, command=part.command(material.group)) if missing else part.make(material)


def _section(part: Part, content: Content, group: Group, rendered: Iterator[dict[str, bytes]], output: Path) -> Section:
    """Writes the files of a part, and gives what the page shows of it."""
    tables, figures = [], []
    for sheet in content.sheets:
        written = write_table(output / TABLES / _stem(sheet.name, group), sheet.numbers, sheet.table)
        tables.append(Shown(sheet.name, _links(written, output), html(sheet.table)))
    for picture in content.pictures:
        drawn = next(rendered)
        source = "data:image/svg+xml;base64," + base64.b64encode(drawn["svg"]).decode()
        written = _figure_files(picture, drawn, output / FIGURES / _stem(picture.name, group))
        figures.append(Shown(picture.name, _links(written, output), alt=picture.alt, source=source))
    return Section(
        f"{part.name}-{group.slug}",
        part.title,
        content.lead,
        tables,
        figures,
        content.missing,
        content.command,
        content.explorer,
    )


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
    rows = material.group.rows
    table = pd.concat([cells(rows, quantity).assign(quantity=quantity.name) for quantity in QUANTITIES.values()])
    table = table[["quantity", *(name for name in table.columns if name != "quantity")]].sort_values(
        "quantity", kind="stable", key=lambda names: names.map(list(QUANTITIES).index)
    )
    written = write(output / TABLES / f"cells-{material.group.slug}.csv", csv(table[["quantity", *CELL, *table.columns[4:]]]))
    return _links([written], output)[0]


def _links(paths: Sequence[Path], output: Path) -> list[Link]:
    return [
        Link(path.suffix[1:].upper().replace("TEX", "LaTeX").replace("MD", "Markdown"), path.relative_to(output).as_posix())
        for path in paths
    ]
