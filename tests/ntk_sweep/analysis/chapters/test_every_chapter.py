"""Protects what all chapters share: their declaration, names of files, and one way to compose."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections import defaultdict
from functools import partial

import numpy as np
import pyarrow as pa
import pytest

from ntk_sweep.analysis.chapters import order
from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.needs import a_result
from ntk_sweep.analysis.cli import main
from ntk_sweep.analysis.rows.quantities import QUANTITIES, _floats
from ntk_sweep.analysis.rows.study import studies
from ntk_sweep.analysis.writing import publishing
from ntk_sweep.analysis.writing.content import Content, NamedTable, Section
from ntk_sweep.analysis.writing.mathematics import latex_text
from ntk_sweep.analysis.writing.tables import Table
from ntk_sweep.store import columns
from ntk_sweep.store.store import Store
from tests.helpers import analysis_training_rows as training_rows
from tests.helpers.analysis_rows import failed, grid, row, store
from tests.helpers.latex import compile_tables, needs_latex
from tests.helpers.places import ROOT

COMMANDS = [chapter.command.name for chapter in order.CHAPTERS if chapter.command]

NASTY = "x/../../../escaped"

SET_OTHERWISE = ("drawing", "page", "writing")
"""Folders whose words are in no table."""


@pytest.mark.parametrize(
    "rows",
    [[failed()], [row(lambda_min=0.0)], [row()], grid(1)],
    ids=["failed", "unresolved", "one", "grid"],
)
def test_every_chapter_can_be_made_of_whatever_there_is(rows, tmp_path):
    (study,) = studies(store(tmp_path, rows))
    for chapter in order.CHAPTERS:
        content = chapter.content(study)
        assert content.tables or content.figures or content.lead or content.missing
        if content.missing and chapter.name != "inputs":
            assert content.missing.command.startswith("ntk-sweep run ")


def test_names_are_given_once():
    names = [chapter.name for chapter in order.CHAPTERS]
    assert len(set(names)) == len(names) and len(set(COMMANDS)) == len(COMMANDS)
    assert {chapter.section for chapter in order.CHAPTERS} - {""} <= set(names)


@pytest.fixture(scope="module")
def nasty(tmp_path_factory) -> str:
    """A store whose every text would lead out of the output folder."""
    folder = tmp_path_factory.mktemp("nasty") / "a" / "b" / "results"
    names = {"parametrisation": NASTY, "dtype": NASTY, "data": NASTY}
    rows = [
        row(act, width, 2, seed, 1.0 + seed, **names)
        for act in (NASTY, "..", "/escaped", "relu")
        for width in (30, 60)
        for seed in (0, 1)
    ]
    rows.append(row("relu", 800, 3, 0, 9.0, **names))  # the best, of which there is a run
    for scales in ((1.0, 0.0), (2.0, 0.0), (2.0, 1.0)):  # with the others a plane
        scaled = dict(zip(("weight_std", "bias_std"), scales, strict=True))
        rows.append(row(NASTY, 30, 2, **names, **scaled))
    for one in rows[:2]:
        one["kernel_file"] = Store(str(folder), "spectrum").save_kernel(one["key"], np.eye(4))
    store(folder, [*rows, failed(NASTY, 90, **names)])
    runs = [
        training_rows.recorded(act, width, 2, seed, **names)
        for act in (NASTY, "..")
        for width in (30, 60, 90, 120, 150, 180)
        for seed in (0, 1)
    ]
    runs.append(training_rows.run(width=800, losses=[1.0, 0.3, 0.2], **names))
    runs.append(training_rows.flow([0, 1, 2, 3], [1.0, 0.1, 0.01, 0.001], NASTY, **names))
    runs.append(training_rows.probed(act=NASTY, width=800, test_fingerprint=NASTY, **names))
    return training_rows.store(folder, runs)


OPTIONS = {
    "training": ("--best",),
    "kernel": ("--act", NASTY),
    "spectrum": ("--act", NASTY),
}


@pytest.mark.parametrize("command", [*COMMANDS, "report"])
def test_no_text_of_a_row_leads_out_of_the_output_folder(nasty, command, tmp_path, undrawn):
    output = tmp_path / "a" / "b" / "c" / "d"
    assert main([command, nasty, "-o", str(output), *OPTIONS.get(command, ())]) == 0
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    below = output.glob("*/*.*") if command == "report" else output.iterdir()
    assert {*written} == {*(path for path in below if path.is_file()), *output.glob("index.html")}


@pytest.fixture(scope="module")
def latex_tables(nasty, tmp_path_factory) -> dict[str, str]:
    """Every table of a report in LaTeX, by the name of its file."""
    folder = tmp_path_factory.mktemp("latex")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publishing, "render_many", lambda draws: [defaultdict(bytes) for _ in draws])
        assert main(["report", nasty, "-o", str(folder)]) == 0
    found = {path.name: path.read_text() for path in sorted(folder.glob("tables/*.tex"))}
    assert len(found) > 12
    return found


def test_every_table_in_latex_has_its_columns_and_nothing_but_ascii(latex_tables):
    for name, text in latex_tables.items():
        assert text.isascii(), name
        columns = re.search(r"\\begin{tabular}{([lr]+)}", text)[1]
        body = re.search(r"\\toprule\n(.*)\\bottomrule", text, re.DOTALL)[1]
        rows = [line for line in body.splitlines() if line != r"\midrule"]
        assert all(line.endswith(r" \\") for line in rows), name
        cells = {len(re.split(r"(?<!\\)&", line)) for line in rows}
        assert cells == {len(columns)}, name


@needs_latex
def test_every_table_in_latex_compiles(latex_tables, tmp_path):
    compile_tables(latex_tables.values(), tmp_path)


def test_every_symbol_in_the_words_of_chapters_is_known_in_latex():
    for path in (ROOT / "ntk_sweep/analysis").rglob("*.py"):
        tree = ast.parse(path.read_text())
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                known = id(node) in docstrings or latex_text(node.value).isascii()
                assert known or path.parent.name in SET_OTHERWISE, f"{path.name}: {node.value}"


def test_a_new_column_on_the_page_is_a_line_of_its_group_and_a_quantity(
    tmp_path, monkeypatch, undrawn
):
    """Its values reach the heat map, the CSV files and the page."""
    spectrum = [*columns._RESULTS["spectrum"], ("novelty", pa.float64(), True)]
    monkeypatch.setitem(columns._RESULTS, "spectrum", spectrum)
    novelty = dataclasses.replace(
        QUANTITIES["effective_rank"],
        name="novelty",
        title="novelty",
        definition="what is new",
        value=partial(_floats, "novelty"),
    )
    monkeypatch.setitem(QUANTITIES, "novelty", novelty)
    results = store(tmp_path / "r", [row(novelty=0.123456)])
    assert main(["heatmaps", results, "--quantity", "novelty", "-o", str(tmp_path / "files")]) == 0
    numbers = (tmp_path / "files/heatmap-novelty-relu-fashion_mnist-thesis.csv").read_text()
    assert "0.123456" in numbers
    assert main(["report", results, "-o", str(tmp_path / "page")]) == 0
    assert "what is new" in (tmp_path / "page/index.html").read_text()
    cells = (tmp_path / "page/tables/cells-fashion_mnist-thesis.csv").read_text()
    assert any(line.startswith("novelty") and "0.123456" in line for line in cells.splitlines())


def test_a_new_chapter_is_its_declaration_and_a_line(tmp_path, monkeypatch, capsys, undrawn):
    def compose(study, factor=1.0):
        numbers = study.cells()[["act", "mean"]].assign(mean=lambda rows: factor * rows["mean"])
        table = Table("What is new", ["act", "mean"], numbers.to_numpy().tolist())
        return Content("A new lead.", [Section([NamedTable("novelty", table, numbers)])])

    new = Chapter(
        name="novelty",
        title="A new chapter",
        compose=compose,
        command=Command(
            "novelty",
            "what is new",
            "Prints what is new.",
            ("novelty results",),
            lambda parser: parser.add_argument("--factor", type=float, default=1.0),
            lambda arguments: {"factor": arguments.factor},
        ),
        need=a_result,
    )
    monkeypatch.setattr(order, "CHAPTERS", (*order.CHAPTERS, new))
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "what is new" in capsys.readouterr().out
    results = store(tmp_path / "r", [row(lambda_min=3.0)])
    assert main(["novelty", results, "--factor", "2", "-o", str(tmp_path / "files")]) == 0
    assert "What is new" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "files").iterdir()} == {
        f"novelty-fashion_mnist-thesis.{kind}" for kind in ("csv", "md", "tex")
    }
    assert "relu,6.0" in (tmp_path / "files/novelty-fashion_mnist-thesis.csv").read_text()
    assert main(["report", results, "-o", str(tmp_path / "page")]) == 0
    text = (tmp_path / "page/index.html").read_text()
    assert '<section id="novelty-fashion_mnist-thesis">\n<h3>A new chapter</h3>' in text
    assert "A new lead." in text and "What is new" in text
    assert "relu,3.0" in (tmp_path / "page/tables/novelty-fashion_mnist-thesis.csv").read_text()


def test_a_command_and_the_page_write_the_same_files(tmp_path, undrawn):
    runs = training_rows.sweep(
        widths=(50, 100, 300), depths=(2, 3), seeds=1, acts=("relu", "elu"), epochs=6, record=True
    )
    runs.append(training_rows.run(width=800, losses=[1.0, 0.3, 0.2]))
    runs.append(training_rows.flow([0, 1, 2, 3], [1.0, 0.1, 0.01, 0.001]))
    store(tmp_path / "r", [*grid(seeds=3), row("relu", 800, 3, 0, 1e9)])
    results = training_rows.store(tmp_path / "r", runs)
    assert main(["report", results, "-o", str(tmp_path / "page")]) == 0
    for command in COMMANDS:
        if command != "training":  # whose command draws the networks that are chosen
            assert main([command, results, "-o", str(tmp_path / "files")]) in (0, 2)
    page = {path.name: path.read_bytes() for path in (tmp_path / "page").glob("*/*")}
    for path in (tmp_path / "files").iterdir():
        if not path.name.startswith("bounds-"):
            assert page[path.name] == path.read_bytes(), path.name
    curves = next((tmp_path / "files").glob("bounds-curves-*.csv"))
    assert (tmp_path / "page/figures" / curves.name.replace("-curves", "")).read_bytes() == (
        curves.read_bytes()
    )


def test_the_bootstrap_of_a_report_runs_once(tmp_path, monkeypatch, undrawn):
    counted = []
    from ntk_sweep.analysis.rows import best_cells

    draw = best_cells.probability_greatest
    monkeypatch.setattr(
        best_cells, "probability_greatest", lambda values: counted.append(1) or draw(values)
    )
    results = store(tmp_path / "r", grid(seeds=3))
    assert main(["report", results, "-o", str(tmp_path)]) == 0
    # of two activations, by the arithmetic mean of Table 1 and by the geometric one of the maps
    assert len(counted) == 4
