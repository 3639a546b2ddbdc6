"""A table as Markdown, LaTeX and HTML.

As CSV go the frames of numbers themselves, with all their digits.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from textwrap import wrap

import pandas as pd
from markupsafe import Markup

from ntk_sweep.analysis.writing.entries import Entry, Number, rendered, text_of
from ntk_sweep.analysis.writing.mathematics import MINUS, html_text, latex_text

SHORTEST_LINE = 8
"""Letters of a line of a heading in LaTeX; shorter ones would make it a column of words."""


@dataclass(frozen=True)
class Table:
    """A table to be read.

    Attributes:
        caption: What it shows.
        columns: The headings.
        rows: An entry a column.
        notes: Sentences that belong below it.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Entry]]
    notes: Sequence[str] = ()


def csv(frame: pd.DataFrame) -> str:
    """A frame of numbers as CSV, each with the digits that give the same float64 back."""
    buffer = io.StringIO()
    frame.to_csv(buffer, index=False, lineterminator="\n")
    return buffer.getvalue()


def markdown(table: Table) -> str:
    """The table in Markdown, aligned so that it reads well as plain text too."""
    lines = [[*table.columns], *([text_of(entry) for entry in row] for row in table.rows)]
    escaped = [[text.replace("|", "\\|").replace("\n", " ") for text in line] for line in lines]
    widths = [
        max(3, *(len(line[column]) for line in escaped)) for column in range(len(table.columns))
    ]
    right = _right(table)

    def padded(line: Sequence[str]) -> str:
        return (
            "| "
            + " | ".join(
                t.rjust(w) if r else t.ljust(w) for t, w, r in zip(line, widths, right, strict=True)
            )
            + " |"
        )

    rule = (
        "| "
        + " | ".join(
            "-" * (w - 1) + (":" if r else "-") for w, r in zip(widths, right, strict=True)
        )
        + " |"
    )
    body = "\n".join([padded(escaped[0]), rule, *map(padded, escaped[1:])])
    return "\n\n".join([table.caption, body, *table.notes]) + "\n"


def without_gaps(table: Table, kept: int) -> Table:
    """The table without columns of nothing but dashes, of those behind the first `kept`."""
    shown = [
        place
        for place in range(len(table.columns))
        if place < kept or not table.rows or any(row[place] != "—" for row in table.rows)
    ]
    rows = [[row[place] for place in shown] for row in table.rows]
    return replace(table, columns=[table.columns[place] for place in shown], rows=rows)


def latex(table: Table) -> str:
    """The table as a LaTeX `table` environment, with a comment that names the packages it needs."""
    alignment = "".join("r" if right else "l" for right in _right(table))
    tabular = [
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        " & ".join(_latex_headings(table)) + r" \\",
        r"\midrule",
        *(" & ".join(_latex_entry(entry) for entry in row) + r" \\" for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    # No wider than the line, and never enlarged.
    fitted = [
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        *tabular[:-1],
        tabular[-1] + "}",
    ]
    # LaTeX numbers its tables itself.
    caption = table.caption.removeprefix("Table 1. ")
    notes = [
        r"\par\medskip",
        r"\begin{minipage}{\linewidth}\footnotesize",
        *map(latex_text, table.notes),
        r"\end{minipage}",
    ]
    lines = [
        r"% \usepackage{booktabs,graphicx}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_text(caption)}}}",
        *fitted,
        *(notes if table.notes else []),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def html(table: Table, label: str = "") -> Markup:
    """The table in HTML, everything in it escaped.

    Args:
        table: The table.
        label: Of its region, which no other on a page may share; the caption unless given.
    """
    right = [Markup(' class="number"') if r else Markup("") for r in _right(table)]
    head = Markup("").join(
        Markup("<th scope='col'{}>{}</th>").format(r, html_text(c))
        for r, c in zip(right, table.columns, strict=True)
    )
    body = Markup("").join(
        Markup("<tr>{}</tr>\n").format(
            Markup("").join(
                Markup("<td{}>{}</td>").format(r, _html_entry(e))
                for r, e in zip(right, row, strict=True)
            )
        )
        for row in table.rows
    )
    notes = Markup("").join(
        Markup('<p class="note">{}</p>\n').format(html_text(note)) for note in table.notes
    )
    # The caption stands outside of the table, which scrolls sideways on a narrow screen, with the
    # keys too.
    return Markup(
        '<p class="caption">{}</p>\n'
        '<div class="wide" tabindex="0" role="region" aria-label="{}">'
        "<table>\n<thead><tr>{}</tr></thead>\n"
        "<tbody>\n{}</tbody>\n</table></div>\n{}"
    ).format(html_text(table.caption), label or table.caption, head, body, notes)


def _right(table: Table) -> list[bool]:
    """Columns of numbers are flush right, also where a dash or a word stands for one of them."""
    return [
        any(not isinstance(row[column], str) for row in table.rows)
        for column in range(len(table.columns))
    ]


def _html_entry(entry: Entry) -> Markup:
    if not isinstance(entry, Number):
        return html_text(str(entry))
    # Digits, signs and our own markup only: nothing of a row's text comes through here.
    return Markup(
        rendered(entry, " ± ", lambda exponent: f" × 10<sup>{exponent}</sup>").replace("-", MINUS)
    )


def _latex_headings(table: Table) -> list[str]:
    """Headings in lines about as long as the entries below: long ones would make a table wide."""
    shown = []
    for place, (heading, right) in enumerate(zip(table.columns, _right(table), strict=True)):
        longest = max((len(text_of(row[place])) for row in table.rows), default=0)
        words = max(longest, SHORTEST_LINE, *map(len, heading.split()), 1)
        lines = wrap(heading, words, break_on_hyphens=False) or [""]
        text = r" \\ ".join(map(latex_text, lines))
        side = "r" if right else "l"
        shown.append(rf"\shortstack[{side}]{{{text}}}" if len(lines) > 1 else text)
    return shown


def _latex_entry(entry: Entry) -> str:
    if isinstance(entry, Number):
        return "$" + rendered(entry, r" \pm ", lambda exponent: rf" \times 10^{{{exponent}}}") + "$"
    return latex_text(str(entry))
