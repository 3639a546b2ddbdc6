"""A study as the page shows it: its answer, its chapters and the files beside them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from ntk_sweep.analysis.chapters.chapter import Chapter
from ntk_sweep.analysis.chapters.summary import CHAPTER as SUMMARY
from ntk_sweep.analysis.chapters.summary import summarise
from ntk_sweep.analysis.page.answer import answer, progress
from ntk_sweep.analysis.page.document import Contents
from ntk_sweep.analysis.page.drift import drifts
from ntk_sweep.analysis.page.explorer import explorer
from ntk_sweep.analysis.page.model import (
    HALF_WIDTH,
    Link,
    PageChapter,
    PageFigure,
    PageGroup,
    PageSection,
    PageTable,
)
from ntk_sweep.analysis.page.row_table import row_table
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.quantities import QUANTITIES
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content
from ntk_sweep.analysis.writing.files import OutputFolder, file_stem
from ntk_sweep.analysis.writing.publishing import WrittenFigure, WrittenSection, WrittenTable
from ntk_sweep.analysis.writing.tables import Table, csv, html
from ntk_sweep.store.columns import CELL

INTERACTIVE = ("drift-epochs-", "drift-eigenvalues-")
"""Begin the names of figures that the page also draws itself, beside those of the maps."""

Part = tuple[Chapter, Group, Content, list[WrittenSection]]
"""A chapter, the rows it shows, what it shows of them, and the files of that."""


def drawn_by_page(
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


def page_group(
    study: Study,
    parts: Sequence[Part],
    interactive: dict[str, Any],
    held: Contents,
    output: OutputFolder,
) -> PageGroup:
    """What the page shows of a study; `interactive` is what `drawn_by_page` returns."""
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
