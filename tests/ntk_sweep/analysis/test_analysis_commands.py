"""Protects ``ntk-sweep``: its files, and what it says when something is missing."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ntk_sweep.analysis.cli import main
from ntk_sweep.store.store import Store
from tests.helpers.analysis_rows import row, store
from tests.helpers.report_pages import Page

EACH = (
    "table1",
    "contenders",
    "heatmaps",
    "spread",
    "prediction",
    "convergence",
    "scaling",
    "diagnostics",
    "kernel",
    "spectrum",
    "summary",
)


def test_every_command_writes_what_it_prints(results, tmp_path, capsys):
    for command in EACH:
        assert main([command, results, "-o", str(tmp_path)]) == 0
    printed = [
        Path(line)
        for line in capsys.readouterr().out.splitlines()
        if line.startswith(str(tmp_path))
    ]
    assert sorted(printed) == sorted(tmp_path.iterdir())
    names = {path.name for path in printed}
    assert {
        "table1-fashion_mnist-thesis.csv",
        "table1-fashion_mnist-thesis.md",
        "table1-fashion_mnist-thesis.tex",
        "failures-fashion_mnist-thesis.csv",
    } <= names
    assert {
        f"heatmap-{act}-fashion_mnist-thesis.{kind}"
        for act in ("relu", "sigmoid")
        for kind in ("png", "svg", "pdf", "csv")
    } <= names
    assert {
        f"spectrum-sigmoid-300x8-seed0-fashion_mnist-thesis.{kind}"
        for kind in ("png", "svg", "pdf", "csv")
    } <= names
    assert {
        f"{name}-{act}-fashion_mnist-thesis.{kind}"
        for name in ("prediction", "convergence", "scaling", "spread")
        for act in ("relu", "sigmoid")
        for kind in ("png", "svg", "pdf", "csv")
    } <= names
    assert {
        f"{name}-fashion_mnist-thesis.{kind}"
        for name in ("prediction", "convergence", "diagnostics", "contenders", "summary")
        for kind in ("csv", "md", "tex")
    } <= names
    assert {
        "kernel-relu-800x3-seed0-fashion_mnist-thesis.png",
        "networks-fashion_mnist-thesis.md",
    } <= names
    for path in printed:
        if path.suffix == ".png":
            assert np.asarray(Image.open(path).convert("L")).std() > 10


def test_table_1_is_printed(results, tmp_path, capsys):
    main(["table1", results, "-o", str(tmp_path)])
    assert re.search(r"\| ReLU +\| +300\.0 ± 141\.4 \|.*\| +400 \| +2 \|", capsys.readouterr().out)


def test_groups_get_files_and_chapters_of_their_own(tmp_path, capsys, undrawn):
    rows = [
        row(lambda_min=1.0),
        row(lambda_min=9.0, data="digits", data_fingerprint="d" * 64),
        row(lambda_min=5.0, parametrisation="ntk"),
    ]
    results = store(tmp_path / "r", rows)
    assert main(["table1", results, "-o", str(tmp_path)]) == 0
    for slug, value in (
        ("fashion_mnist-thesis", "1.0"),
        ("digits-thesis", "9.0"),
        ("fashion_mnist-ntk", "5.0"),
    ):
        assert f"relu,{value}," in (tmp_path / f"table1-{slug}.csv").read_text()
    assert main(["report", results, "-o", str(tmp_path)]) == 0
    page = Page((tmp_path / "index.html").read_text())
    assert {"fashion_mnist-thesis", "digits-thesis", "fashion_mnist-ntk"} <= set(page.ids)
    # Heat map, prediction and spectrum; of one seed and one width there is no spread and no
    # convergence.
    assert len(page.alts) == 3 * 3
    slugs = ("fashion_mnist-thesis", "digits-thesis", "fashion_mnist-ntk")
    assert {path.name for path in tmp_path.glob("figures/heatmap*.csv")} == {
        f"heatmap-relu-{slug}.csv" for slug in slugs
    }
    assert main(["report", results, "-o", str(tmp_path), "--data", "digits"]) == 0
    assert "fashion_mnist" not in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["table1", "{tmp}/none"],
            r"there are no rows in .*none/spectrum: make some first.*\n"
            r"  ntk-sweep run \+experiment=thesis_grid",
        ),
        (["table1", "{results}/spectrum"], r"give the results folder itself"),
        (
            ["report", "{results}", "--data", "mnist"],
            r"no rows for --data mnist; there are rows for\n  --data fashion_mnist",
        ),
        (
            ["kernel", "{results}", "--act", "elu"],
            r"no saved kernel for --act elu .*\n  ntk-sweep run act=elu task.save_kernel=true",
        ),
        (
            ["spectrum", "{results}", "--act", "rleu"],
            r"no spectrum for --act rleu .*: the activations are relu, elu, .*silu\n$",
        ),
        (
            ["spectrum", "{results}", "--width", "5"],
            r"no spectrum for --width 5 .*\n  ntk-sweep run width=5 results=",
        ),
        (
            ["table1", "{results}", "-o", "/dev/null/x"],
            r"/dev/null/x/.* cannot be written .*--output",
        ),
    ],
)
def test_mistakes_are_told_in_one_message(results, tmp_path, capsys, arguments, message):
    assert main([argument.format(tmp=tmp_path, results=results) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert "Traceback" not in error


def test_wrong_words_lead_to_a_help_page(capsys):
    assert main([]) == 2
    assert "table1" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["heatmaps", "results", "--dta", "digits"])
    assert "--dta digits; `ntk-sweep heatmaps --help` lists" in capsys.readouterr().err


def test_of_many_groups_an_error_shows_three(tmp_path, capsys):
    results = store(tmp_path / "r", [row(weight_std=float(std)) for std in range(1, 6)])
    assert main(["spectrum", results, "--width", "5", "-o", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("make it with") == 3
    assert "… and the same of 2 other groups: choose with --data" in error


def test_without_the_thesis_networks_the_command_that_makes_them_is_named(tmp_path, capsys):
    results = store(tmp_path / "r", [row(width=w) for w in range(1, 20)])
    for command in ("kernel", "spectrum"):
        assert main([command, results, "-o", str(tmp_path)]) == 2
        assert "ntk-sweep run +experiment=thesis_kernels" in capsys.readouterr().err


def test_a_heat_map_of_another_quantity_is_named_after_it(results, tmp_path, capsys):
    assert main(["heatmaps", results, "-o", str(tmp_path), "--quantity", "ratio"]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert "heatmap-ratio-relu-fashion_mnist-thesis.csv" in names
    assert "heatmap-relu-fashion_mnist-thesis.csv" not in names
    with pytest.raises(SystemExit):
        main(["heatmaps", results, "-o", str(tmp_path), "--quantity", "beauty"])
    assert "invalid choice: 'beauty'" in capsys.readouterr().err


def test_convergence_needs_two_widths(tmp_path, capsys, undrawn):
    results = store(
        tmp_path / "r", [row(width=500, depth=d, seed=s) for d in (2, 3) for s in (0, 1)]
    )
    assert main(["convergence", results, "-o", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "All rows have the same width (500), and convergence needs at least two." in error
    assert "ntk-sweep run +experiment=thesis_grid" in error
    assert main(["report", results, "-o", str(tmp_path)]) == 0
    assert "All rows have the same width (500)" in (tmp_path / "index.html").read_text()


def test_scaling_of_a_single_width_shows_the_depths_and_names_the_rest(tmp_path, capsys, undrawn):
    one = store(tmp_path / "a", [row(width=500, depth=2)])
    assert main(["scaling", one, "-o", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "have the same width (500), and a slope needs at least two." in error
    assert "ntk-sweep run +experiment=thesis_grid" in error
    two = store(tmp_path / "b", [row(width=500, depth=depth) for depth in (2, 3)])
    assert main(["scaling", two, "-o", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "Factors of a layer" in printed
    assert "left out: All cells with a resolved λ_min have the same width (500)" in printed


def test_a_lost_kernel_is_named_and_the_page_made_without_it(tmp_path, capsys, undrawn):
    results = store(tmp_path / "r", [row("relu", 800, 3, kernel_file="_kernels/gone.npy")])
    assert main(["kernel", results, "-o", str(tmp_path)]) == 2
    assert "gone.npy cannot be read" in capsys.readouterr().err
    assert main(["report", results, "-o", str(tmp_path)]) == 0
    assert "gone.npy cannot be read" in (tmp_path / "index.html").read_text()


def test_a_store_that_a_sweep_has_only_opened(tmp_path, capsys):
    with Store(str(tmp_path), "spectrum").open_session():
        assert main(["report", str(tmp_path)]) == 2
    assert "holds no rows yet" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], *([name] for name in (*EACH, "report"))])
def test_help_gives_examples(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    assert end.value.code == 0
    assert f"ntk-sweep {' '.join(command)}" in capsys.readouterr().out.partition("examples:")[2]
