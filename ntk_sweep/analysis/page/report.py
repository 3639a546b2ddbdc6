"""The report: one self-contained page, and beside it every figure and table as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ntk_sweep.analysis.chapters import order
from ntk_sweep.analysis.chapters.chapter import Chapter
from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.page.comparison import compare
from ntk_sweep.analysis.page.document import Contents, page
from ntk_sweep.analysis.page.model import Link, PageComparison
from ntk_sweep.analysis.page.row_table import packed_rows
from ntk_sweep.analysis.page.sections import drawn_by_page, page_group
from ntk_sweep.analysis.rows.study import Study, families, joined
from ntk_sweep.analysis.writing.content import Content
from ntk_sweep.analysis.writing.files import OutputFolder
from ntk_sweep.analysis.writing.publishing import publish
from ntk_sweep.analysis.writing.tables import csv

FIGURES, TABLES = "figures", "tables"
"""Folders beside the page."""


def report(
    studies: Sequence[Study],
    folder: Path,
    date: str = "",
    others: Sequence[Study] = (),
    drawn: bool = True,
    tell: Callable[[str], None] = lambda text: None,
) -> Path:
    """Writes the page, `index.html`, and the files beside it; returns the page's path.

    Args:
        studies: A part of the page each.
        folder: Where.
        date: Printed at the head of the page; nothing is without it, so that the same rows give the
            same bytes.
        others: Those of another store, to be compared with.
        drawn: Whether figures are drawn.
        tell: Takes what there is to draw, which takes longest.

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
        figures = sum(len(part[-1].figures) for part in composed)
        if figures:
            tell(f"rows read; drawing {figures} figure{'s' if figures > 1 else ''}")
        # Other processes draw meanwhile.
        interactive.extend(drawn_by_page(one, held, output, 1 / len(studies)) for one in studies)
        held.prepare()

    written = publish(contents(), output)
    parts = [(*part, sections) for part, sections in zip(composed, written, strict=True)]
    groups = [
        page_group(study, [part[1:] for part in parts if part[0] == place], own, held, output)
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
