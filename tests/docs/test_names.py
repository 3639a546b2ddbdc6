"""Protects the names in the documentation: paths, modules, tests and headings exist."""

from __future__ import annotations

import importlib.util
import pkgutil
import re

import pytest

from ntk_sweep.settings.tasks import TASKS
from ntk_sweep.store.columns import schema
from tests.docs.test_docs import PAGES
from tests.helpers.places import ROOT

FOLDERS = "ntk_sweep|analysis|benchmarks|hydra_plugins|tests|conf|docs|docker"
SOURCES = [
    path
    for folder in FOLDERS.split("|")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".yaml", ".html", ".js"}
]
TESTS = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_exist(page):
    named = re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", page.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_import(page):
    text = page.read_text()
    missing = []
    for name in re.findall(r"`((?:ntk_sweep|analysis|docs|benchmarks)(?:\.\w+)+)`", text):
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError):
            missing.append(name)
    for name in re.findall(r"python -m ((?:analysis|docs|benchmarks|tests)[\w.]*)", text):
        if importlib.util.find_spec(name) is None:
            missing.append(name)
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_exist(page):
    columns = {name for task in TASKS for name in schema(task).names}
    named = set(re.findall(r"`(test_\w+)`", page.read_text())) - columns
    assert [name for name in named if f"def {name}(" not in TESTS] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_end_at_a_heading(page):
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]*)\)", page.read_text()):
        text = (page.parent / target if target else page).read_text()
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        assert anchor in map(anchor_of, headings), f"{target}#{anchor}"


def anchor_of(heading):
    """The anchor that a page gives a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_pages_that_the_code_names_exist():
    assert [
        (str(path.relative_to(ROOT)), page)
        for path in SOURCES
        for page in re.findall(r"\bdocs/[\w/-]+\.(?:md|csv)", path.read_text())
        if not (ROOT / page).exists()
    ] == []
