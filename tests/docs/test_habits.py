"""Protects the habits that contributors rely on: citation, licence, `make help`, commit hooks."""

from __future__ import annotations

import re
import subprocess
import tomllib

import yaml

from ntk_sweep._version import __version__
from tests.helpers.places import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()


def test_the_citation_is_that_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys(), "the format asks for these"
    assert citation["version"] == __version__
    assert citation["license"] == "MIT"
    (thesis,) = citation["references"]
    assert (thesis["type"], thesis["authors"][0]["family-names"]) == ("thesis", "Berg")


def test_the_licence_is_shipped():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "MIT"
    assert [(ROOT / name).read_text()[:11] for name in project["license-files"]] == ["MIT License"]
    for recipe in ("docker/Dockerfile", ".dockerignore"):
        assert "LICENSE" in (ROOT / recipe).read_text(), "the package is not built without it"


def test_make_help_names_every_target_and_variable():
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    targets = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE).group(1).split()
    assert set(re.findall(r"^make ([\w-]+) ", shown.stdout, re.MULTILINE)) == set(targets)
    variables = set(re.findall(r"^(\w+) \?=", MAKEFILE, re.MULTILINE))
    variables |= {"BASE_IMAGE", "BEFORE", "SOAK_SECONDS"}  # the programs read these
    assert set(re.findall(r"^(\w+)=", shown.stdout, re.MULTILINE)) == variables


def test_the_hooks_run_what_make_lint_runs():
    (source,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = {" ".join(hook["entry"].split()[:2]) for hook in source["hooks"]}
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE).group(1)
    for line in recipe.splitlines():
        words = line.strip().replace("$(BIN)", ".venv/bin").split()
        assert " ".join(words[:2]) in hooks, line
