"""Places in a page that programs fill, and tables that are too long for one."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path


def fill(page: Path, name: str, content: str) -> None:
    """Puts `content` between the comments ``<!-- name -->`` and ``<!-- end -->`` of a page."""
    text = page.read_text()
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{page} has no place for {name}: <!-- {name} --> … <!-- end -->")
    page.write_text(pattern.sub(lambda match: f"{match[1]}{content.strip()}\n{match[2]}", text))


def fill_filed(page: Path, name: str, caption: str, lines: Sequence[str]) -> None:
    """Moves the lines of a table into a CSV file; fills the place of a page with its link."""
    target = page.parent / "tables" / f"{name}.csv"
    write_csv(target, lines)
    fill(page, name, f"[{caption}](tables/{target.name})")


def write_csv(target: Path, lines: Sequence[str]) -> None:
    """Writes the lines of a Markdown table as CSV."""
    head, _, *rows = lines
    target.parent.mkdir(exist_ok=True)
    with target.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(map(_values, (head, *rows)))


def _values(line: str) -> list[str]:
    """What stands in a line of a Markdown table."""
    parts = re.split(r"(?<!\\)\|", line.strip())[1:-1]
    return [part.replace("\\|", "|").strip() for part in parts]
