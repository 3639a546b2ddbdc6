"""Protects the layers of the analysis: who may import whom, of itself and of the library."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "analysis"

BELOW = {
    "errors": set(),
    "statistics": set(),
    "rows": {"errors", "statistics"},
    "drawing": {"rows"},
    "writing": {"errors", "rows", "drawing"},
    "chapters": {"errors", "statistics", "rows", "drawing", "writing"},
    "page": {"rows", "drawing", "writing", "chapters"},
    "cli": {"errors", "rows", "writing", "chapters", "page"},
    "__main__": {"cli"},
    "__init__": set(),
}
"""What each part of the analysis may import of the others; downwards only."""


MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
}


def imported(path: Path) -> set[str]:
    """The modules of the analysis that a module names in an import."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("analysis.") for name in names if name.startswith("analysis.")}


def test_every_part_has_its_place():
    assert {name.split(".")[0] for name in MODULES} == set(BELOW)


@pytest.mark.parametrize("name", MODULES)
def test_modules_import_only_what_is_below_them(name):
    part = name.split(".")[0]
    roots = {other.split(".")[0] for other in imported(MODULES[name])}
    assert roots - {part} <= BELOW[part]


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("chapters.")])
def test_no_chapter_imports_the_order_or_another_chapter(name):
    folder = name.split(".")[1]
    shared = {"chapter", "needs", "selection", "run_choice"}
    others = {other.split(".")[1] for other in imported(MODULES[name]) if "chapters." in other}
    if name != "chapters.order":
        assert others <= shared | {folder}


def test_the_doors_are_empty():
    for name, path in MODULES.items():
        if name.endswith("__init__"):
            assert not imported(path)


def test_it_needs_neither_torch_nor_ray():
    names = [f"analysis.{name}" for name in MODULES if "__" not in name]
    code = f"import sys, {', '.join(names)}; print(sorted({{'torch', 'ray'}} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert run.stdout.strip() == "[]", run.stderr
