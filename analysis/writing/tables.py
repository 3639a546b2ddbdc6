"""A table as Markdown, LaTeX and HTML.

As CSV go the frames of numbers themselves, with all their digits.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pandas as pd
from markupsafe import Markup

from analysis.writing.mathematics import MINUS, html_text, latex_text


@dataclass(frozen=True)
class Number:
    """A number in a table, with or without a spread.

    Attributes:
        value: The number.
        spread: A standard deviation, shown behind ± with the same exponent; None or NaN for none.
        digits: Significant digits of the value.
    """

    value: float
    spread: float | None = None
    digits: int = 4


Entry = str | int | Number


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
    lines = [[*table.columns], *([_text(entry) for entry in row] for row in table.rows)]
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
    """The table without the columns that hold nothing but a dash, of those behind the first
    `kept`.
    """
    shown = [
        place
        for place in range(len(table.columns))
        if place < kept or not table.rows or any(row[place] != "—" for row in table.rows)
    ]
    rows = [[row[place] for place in shown] for row in table.rows]
    return replace(table, columns=[table.columns[place] for place in shown], rows=rows)


def signed(value: float, digits: int = 2, sign: str = "") -> str:
    """A number with fixed decimals, where what rounds to zero has no minus: 0.00 and not -0.00.

    Args:
        value: The number.
        digits: Decimals.
        sign: "+" writes it before positive numbers too.
    """
    return f"{value:{sign}z.{digits}f}"


def latex(table: Table) -> str:
    """The table as a LaTeX `table` environment, with a comment that names the packages it needs."""
    alignment = "".join("r" if right else "l" for right in _right(table))
    tabular = [
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        " & ".join(map(latex_text, table.columns)) + r" \\",
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


def html(table: Table) -> Markup:
    """The table in HTML, everything in it escaped."""
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
        '<p class="caption">{}</p>\n<div class="wide" tabindex="0" role="region" aria-label="{}"><table>\n<thead><tr>{}</tr></thead>\n'
        "<tbody>\n{}</tbody>\n</table></div>\n{}"
    ).format(html_text(table.caption), table.caption, head, body, notes)


def number(value: float, digits: int = 4) -> str:
    """A number in plain text: 3.664, 3.935e-10."""
    return _text(Number(value, digits=digits))


def _right(table: Table) -> list[bool]:
    """Columns of numbers are flush right, also where a dash or a word stands for one of them."""
    return [
        any(not isinstance(row[column], str) for row in table.rows)
        for column in range(len(table.columns))
    ]


def _parts(entry: Number) -> tuple[str, str | None, int | None]:
    """Mantissa, spread and exponent; one exponent for both, and none where fixed notation reads
    better.
    """
    if not math.isfinite(entry.value) or entry.value == 0:
        return f"{entry.value:g}", None, None
    exponent = int(f"{entry.value:.{entry.digits - 1}e}".partition("e")[2])
    fixed = -3 <= exponent < entry.digits + 2
    shift = 0 if fixed else exponent
    decimals = max(entry.digits - 1 - (exponent - shift), 0)
    spread = entry.spread if entry.spread is not None and math.isfinite(entry.spread) else None
    scale = 10.0**-shift
    return (
        f"{entry.value * scale:.{decimals}f}",
        None if spread is None else f"{spread * scale:.{decimals}f}",
        None if fixed else shift,
    )


def _render(entry: Entry, plus_minus: str, power: Callable[[int], str]) -> str:
    """A number in one notation: 4.12 ± 0.31, or (3.93 ± 0.70)e-10."""
    if not isinstance(entry, Number):
        return str(entry)
    mantissa, spread, exponent = _parts(entry)
    text = mantissa if spread is None else f"{mantissa}{plus_minus}{spread}"
    if exponent is not None:
        text = (f"({text})" if spread is not None else text) + power(exponent)
    return text


def _text(entry: Entry) -> str:
    return _render(entry, " ± ", lambda exponent: f"e{exponent:+03d}")


def _html_entry(entry: Entry) -> Markup:
    if not isinstance(entry, Number):
        return html_text(str(entry))
    # Digits, signs and our own markup only: nothing of a row's text comes through here.
    return Markup(
        _render(entry, " ± ", lambda exponent: f" × 10<sup>{exponent}</sup>").replace("-", MINUS)
    )


def _latex_entry(entry: Entry) -> str:
    if isinstance(entry, Number):
        return "$" + _render(entry, r" \pm ", lambda exponent: rf" \times 10^{{{exponent}}}") + "$"
    return latex_text(str(entry))
