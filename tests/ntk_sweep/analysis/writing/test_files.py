"""Protects the folder of an output: no name leaves it, and different names make different files."""

from __future__ import annotations

import pytest

from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.writing.files import LONGEST_STEM, OutputFolder, file_stem

NASTY = (
    "../escaped",
    "x/../../../escaped",
    "/tmp/escaped",
    "..",
    ".",
    ".hidden",
    "",
    "a\\b",
    "a\0b",
    "a\nb",
    "λ" * 300,
    "x" * 1000,
    "\ud800",
    "a b",
    "a_b",
    "A|b",
)


@pytest.mark.parametrize("name", NASTY)
def test_no_name_leaves_the_folder(name, tmp_path):
    folder = tmp_path / "deep" / "folder"
    path = OutputFolder(folder, "figures").write(name, ".csv", "text", "figures")
    assert path.parent == folder / "figures"
    assert path.read_text() == "text"
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]
    assert not path.name.startswith(".")


def test_different_names_make_different_files():
    stems = [file_stem(name) for name in NASTY]
    assert len(set(stems)) == len(NASTY)
    assert all(0 < len(stem) <= LONGEST_STEM for stem in stems)


@pytest.mark.parametrize("name", ["relu", "training-best-lr0.001-b1", "lr1e+06", "a_b-c.d"])
def test_a_plain_name_stays(name):
    assert file_stem(name) == name


def test_a_file_appears_whole_and_nothing_is_left_beside_it(tmp_path):
    output = OutputFolder(tmp_path)
    output.require_writable()
    output.write("a", ".txt", "one")
    output.write("a", ".txt", b"two")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "two")]


def test_a_folder_that_takes_no_files_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AnalysisError, match=r"cannot be written .*--output"):
        OutputFolder(tmp_path / "file").require_writable()
