"""The report: one self-contained page, and beside it every figure and table as files."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ntk_sweep.analysis.chapters import order
from ntk_sweep.analysis.chapters.chapter import Chapter
from ntk_sweep.analysis.chapters.summary import CHAPTER as SUMMARY
from ntk_sweep.analysis.chapters.summary import summarise
from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.page.answer import answer, progress
from ntk_sweep.analysis.page.comparison import compare
from ntk_sweep.analysis.page.drift import drifts
from ntk_sweep.analysis.page.explorer import colour_maps, explorer
from ntk_sweep.analysis.page.model import (
    HALF_WIDTH,
    Link,
    PageChapter,
    PageComparison,
    PageFigure,
    PageGroup,
    PageSection,
    PageTable,
)
from ntk_sweep.analysis.page.packing import Packer, as_text, compressed
from ntk_sweep.analysis.page.pictures import slimmed
from ntk_sweep.analysis.page.row_table import packed_rows, row_table
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.quantities import QUANTITIES
from ntk_sweep.analysis.rows.study import Study, families, joined
from ntk_sweep.analysis.rows.thesis import CITATION
from ntk_sweep.analysis.writing.content import Content
from ntk_sweep.analysis.writing.files import OutputFolder, file_stem
from ntk_sweep.analysis.writing.mathematics import html_text
from ntk_sweep.analysis.writing.publishing import (
    WrittenFigure,
    WrittenSection,
    WrittenTable,
    publish,
)
from ntk_sweep.analysis.writing.tables import Table, csv, html
from ntk_sweep.store.columns import CELL

INTERACTIVE = ("drift-epochs-", "drift-eigenvalues-")
"""Begin the names of figures that the page also draws itself, beside those of the maps."""

FIGURES, TABLES = "figures", "tables"
"""Folders beside the page."""

SCRIPTS = ("data.js", "figures.js", "theme.js", "start.js")
"""What a page is opened with, in the order in which they need one another."""

HELD_SCRIPTS = (
    "state.js",
    "maps.js",
    "spectra.js",
    "kernels.js",
    "detail.js",
    "compared.js",
    "explorer.js",
    "drift.js",
    "rows.js",
    "table.js",
    "canvas.js",
    "scatter.js",
    "parallel.js",
    "workbench.js",
)
"""What it holds compressed, likewise."""


def report(
    studies: Sequence[Study],
    folder: Path,
    date: str = "",
    others: Sequence[Study] = (),
    drawn: bool = True,
) -> Path:
    """Writes the page, `index.html`, and the files beside it; returns the page's path.

    Args:
        studies: A part of the page each.
        folder: Where.
        date: Printed at the head of the page; nothing is without it, so that the same rows give the
            same bytes.
        others: Those of another store, to be compared with.
        drawn: Whether figures are drawn.

    Raises:
        AnalysisError: Two stores have no group in common, or the folder cannot be written.
    """
    output = OutputFolder(folder, FIGURES, TABLES)
    output.require_writable()
    held = Contents()
    comparisons = _comparisons(studies, others, held, output) if others else []
    composed = []
    interactive: list[dict[str, Any]] = []

    def contents() -> Iterator[tuple[str, Content]]:
        for place, chapter, one in shown(studies):
            content = chapter.content(one) if drawn else _undrawn(chapter.content(one))
            composed.append((place, chapter, one.group, content))
            yield one.group.label, content
        # Other processes draw meanwhile.
        interactive.extend(_interactive(one, held, output, 1 / len(studies)) for one in studies)

    written = publish(contents(), output)
    parts = [(*part, sections) for part, sections in zip(composed, written, strict=True)]
    groups = [
        _page_group(study, [part[1:] for part in parts if part[0] == place], own, held, output)
        for place, (study, own) in enumerate(zip(studies, interactive, strict=True))
    ]
    return output.write("index", ".html", page(groups, held, date, comparisons))


def shown(studies: Sequence[Study]) -> Iterator[tuple[int, Chapter, Study]]:
    """What every chapter shows, and of which study it stands in the part.

    Studies that a chapter shows as one stand in the part of the first; where it has nothing to show
    of them, the page leaves it out: most sweeps do not ask for it.
    """
    for place, study in enumerate(studies):
        for chapter in order.CHAPTERS:
            across = chapter.across()
            if not across:
                yield place, chapter, study
                continue
            family = next(kin for kin in families(studies, across) if study in kin)
            if family[0] is study:
                one = joined(family, across)
                if chapter.need(one, chapter.makes) is None:
                    yield place, chapter, one


def _undrawn(content: Content) -> Content:
    return replace(content, sections=[replace(one, figures=()) for one in content.sections])


def _comparisons(
    studies: Sequence[Study], others: Sequence[Study], held: Contents, output: OutputFolder
) -> list[PageComparison]:
    """Pairs of groups of two stores, and their files.

    Raises:
        AnalysisError: There is no pair.
    """
    found = compare(studies, others)
    if not found:
        ours, theirs = ("; ".join(one.group.title for one in own) for own in (studies, others))
        raise AnalysisError(
            "the two stores have no group in common, and more than one each: choose one with "
            f"--data, --parametrisation, …; the first holds {ours}; the second {theirs}"
        )
    pages = []
    for number, one in enumerate(found):
        name = f"comparison-{number + 1}" if len(found) > 1 else "comparison"
        frames = {name: one.rows, f"{name}-cells": one.cells}
        paths = [output.write(key, ".csv", csv(own), output.tables) for key, own in frames.items()]
        rows = packed_rows(one.rows, list(one.rows), held.numbers)
        links = [Link(path.name, path.relative_to(output.path).as_posix()) for path in paths]
        pages.append(PageComparison(name, one.title, one.sentence, rows, links))
    return pages


def page(
    groups: Sequence[PageGroup],
    held: Contents,
    date: str = "",
    comparisons: Sequence[PageComparison] = (),
) -> str:
    """The page as HTML; everything that is printed is escaped."""

    def read(name: str) -> str:
        return _templates().joinpath(name).read_text(encoding="utf-8")

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["symbols"] = html_text
    data = {
        "colours": colour_maps(),
        "groups": [group.data for group in groups],
        "drifts": [group.drifts for group in groups],
        "rows": [group.rows for group in groups],
        "compared": [one.rows for one in comparisons],
    }
    # A name in a row may hold "</script>".
    header = json.dumps(data, ensure_ascii=True, sort_keys=True).replace("<", "\\u003c")
    library, library_name = _library()
    text = environment.from_string(read("report.html")).render(
        groups=groups,
        comparisons=comparisons,
        citation=CITATION,
        date=date,
        style=Markup(read("report.css")),
        opening=Markup("\n".join(map(read, SCRIPTS))),
        script=Markup(compressed("\n".join(['"use strict";', *map(read, HELD_SCRIPTS)]).encode())),
        header=Markup(header),
        numbers=Markup(held.numbers.text()),
        figures=Markup(compressed(b"".join(held.figures))),
        library=Markup(library),
        library_name=library_name,
    )
    return text + "\n"


@cache
def _library() -> tuple[str, str]:
    """The plotting library, compressed, and its name and version as it calls itself."""
    raw = _templates().joinpath("plotly-cartesian.min.js.gz").read_bytes()
    named = re.search(rb"plotly\.js [^\n]*v([\d.]+)", gzip.decompress(raw)[:300])
    return as_text(raw), f"plotly.js {named[1].decode()}" if named else "plotly.js"


def _templates() -> Traversable:
    """The folder of what the page is made of."""
    return files("ntk_sweep.analysis.page").joinpath("templates")


@dataclass
class Contents:
    """What the sections of a page put into its blocks: numbers, and figures."""

    numbers: Packer = field(default_factory=Packer)
    figures: list[bytes] = field(default_factory=list)

    def draw(self, svg: bytes) -> tuple[int, int]:
        """Adds a figure, and returns its first byte and its length."""
        figure = slimmed(svg)
        self.figures.append(figure)
        return sum(map(len, self.figures[:-1])), len(figure)


Part = tuple[Chapter, Group, Content, list[WrittenSection]]
"""A chapter, the rows it shows, what it shows of them, and the files of that."""


def _interactive(
    study: Study, held: Contents, output: OutputFolder, share: float
) -> dict[str, Any]:
    """What the page draws itself of a study, and says of it; `share` is its part of the page."""
    data = explorer(study, held.numbers, share)
    return {
        "answer": answer(study),
        "progress": progress(study),
        "summary": summarise(study.group, study.training),
        "data": data,
        "drifts": drifts(study, held.numbers, share),
        "rows": row_table(study, held.numbers, share),
        "cells": _cells_file(study, output) if data else None,
    }


def _page_group(
    study: Study,
    parts: Sequence[Part],
    interactive: dict[str, Any],
    held: Contents,
    output: OutputFolder,
) -> PageGroup:
    """What the page shows of a study."""
    group = study.group
    chapters, facts, failures = [], [], []
    for chapter, rows, content, sections in parts:
        if chapter is SUMMARY:
            table, *failed = sections[0].tables
            facts = _links(table.paths, output)
            failures = [link for one in failed for link in _links(one.paths, output)]
        elif not chapter.section:
            inside = [part for part in parts if part[0].section == chapter.name]
            every = [*sections, *(one for part in inside for one in part[3])]
            chapters.append(_page_chapter(chapter, content, every, rows, held, output))
    return PageGroup(
        group=group,
        anchor=file_stem(group.label),
        files=facts,
        failures=failures,
        chapters=chapters,
        **interactive,
    )


def _page_chapter(
    chapter: Chapter,
    content: Content,
    sections: Sequence[WrittenSection],
    group: Group,
    held: Contents,
    output: OutputFolder,
) -> PageChapter:
    shown = [_page_section(one, content, group, held, output) for one in sections]
    anchor = file_stem(f"{chapter.name}-{group.label}")
    return PageChapter(chapter.name, anchor, chapter.title, content, shown)


def _page_section(
    one: WrittenSection, content: Content, group: Group, held: Contents, output: OutputFolder
) -> PageSection:
    tables = [_page_table(table, one.title, group, output) for table in one.tables]
    seen: list[PageFigure] = []
    twice: list[PageFigure] = []
    for figure in one.figures:
        interactive = content.explorer or figure.figure.name.startswith(INTERACTIVE)
        (twice if interactive else seen).append(_page_figure(figure, held, output))
    return PageSection(one.title, tables, seen, twice)


def _page_table(one: WrittenTable, section: str, group: Group, output: OutputFolder) -> PageTable:
    """Where there are only numbers, the links alone."""
    table = one.table.table
    if table is None:
        return PageTable(Markup(""), _links(one.paths, output))
    label = table.caption if section in table.caption else f"{table.caption}; {section}"
    return PageTable(html(_within(table, group, section), label), _links(one.paths, output))


def _within(table: Table, group: Group, section: str) -> Table:
    """A table as it stands below the headings of its group and section."""
    caption = table.caption.replace(f" ({group.title})", "").replace(f"({group.title}; ", "(")
    setting = section.partition(":")[0]
    return replace(table, caption=caption.replace(f" ({setting})", "") if setting else caption)


def _page_figure(one: WrittenFigure, held: Contents, output: OutputFolder) -> PageFigure:
    size = re.search(rb'<svg [^>]*?width="([\d.]+)pt" height="([\d.]+)pt"', one.svg[:2000])
    width, height = (
        (round(float(points) * 96 / 72) for points in size.groups())
        if size
        else (HALF_WIDTH, HALF_WIDTH)
    )
    figure, links = one.figure, _links(one.paths, output)
    return PageFigure(figure.name, links, figure.alt, held.draw(one.svg), width, height)


def _cells_file(study: Study, output: OutputFolder) -> Link:
    """Every quantity of every cell, the numbers behind the interactive maps."""
    tables = [
        study.cells(quantity).assign(quantity=quantity.name) for quantity in QUANTITIES.values()
    ]
    table = pd.concat(tables)
    others = [name for name in table.columns if name not in ("quantity", *CELL)]
    table = table[["quantity", *CELL, *others]]
    written = output.write(f"cells-{study.group.label}", ".csv", csv(table), output.tables)
    return _links([written], output)[0]


def _links(paths: Sequence[Path], output: OutputFolder) -> list[Link]:
    kinds = {"tex": "LaTeX", "md": "Markdown"}
    return [
        Link(
            kinds.get(path.suffix[1:], path.suffix[1:].upper()),
            path.relative_to(output.path).as_posix(),
        )
        for path in paths
    ]
