"""Compiles tables in LaTeX."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

needs_latex = pytest.mark.skipif(
    not shutil.which("pdflatex"),
    reason="there is no pdflatex (Debian's texlive-latex-recommended has it)",
)


def compile_tables(tables: Iterable[str], folder: Path) -> str:
    """Sets the tables in one document, each on a page; what TeX says of it.

    Loaded are the packages alone that every table names in its first line.
    """
    tables = list(tables)
    (packages,) = {table.partition("\n")[0].removeprefix("% ") for table in tables}
    body = "\n\\clearpage\n".join(tables)
    text = rf"\documentclass{{article}}{packages}\begin{{document}}{body}\end{{document}}"
    (folder / "all.tex").write_text(text)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "all.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout
