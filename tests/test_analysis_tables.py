"""Groups, statistics over seeds and Table 1, on frames small enough to reckon by hand."""

from __future__ import annotations

import math
import shutil
import subprocess
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from analysis.cells import cells, seeds_text
from analysis.formats import Number, Table, csv, html, latex, markdown, number, signed, without_gaps
from analysis.frame import AnalysisError, groups
from analysis.networks import comparison_table
from analysis.symbols import NO_BREAK, html_text, latex_text
from analysis.table1 import beside_thesis, best_cells, table1
from tests.helpers.analysis_rows import failed, frame, grid, group, row


def test_a_cell_is_averaged_over_its_seeds():
    cell = cells(
        frame([row(seed=0, lambda_min=1.0), row(seed=1, lambda_min=4.0, error_bound=3e-9)])
    ).iloc[0]
    assert (cell["seeds"], cell["unresolved"], cell["failed"], cell["resolved"]) == (2, 0, 0, True)
    assert cell["mean"] == 2.5
    assert cell["sd"] == pytest.approx(math.sqrt(4.5))
    assert cell["geometric_mean"] == pytest.approx(2.0)
    assert cell["error"] == pytest.approx(2e-9)
    assert (cell["least"], cell["greatest"]) == (1.0, 4.0)


def test_one_unresolved_seed_leaves_a_cell_without_numbers():
    cell = cells(frame([row(seed=0, lambda_min=1.0), row(seed=1, lambda_min=1e-10)])).iloc[0]
    assert (cell["seeds"], cell["unresolved"], cell["resolved"]) == (2, 1, False)
    assert cell[["mean", "sd", "geometric_mean", "error", "least", "greatest"]].isna().all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, -1.0])
def test_what_has_no_logarithm_is_unresolved_whatever_its_row_says(value):
    cell = cells(frame([row(lambda_min=value, lambda_min_resolved=True)])).iloc[0]
    assert (cell["unresolved"], cell["resolved"]) == (1, False)


def test_failed_and_diverged_rows_are_counted_and_nothing_else():
    table = cells(
        frame(
            [
                row(seed=0, lambda_min=2.0),
                failed(seed=1),
                row(seed=2, lambda_min=900.0, status="diverged"),
                failed(width=7),
            ]
        )
    )
    first, second = table.to_dict("records")
    assert (second["seeds"], second["failed"], second["mean"]) == (1, 2, 2.0)
    assert (first["width"], first["seeds"], first["failed"], first["resolved"]) == (7, 0, 1, False)


def test_a_network_computed_twice_counts_once_and_the_latest_good_row_wins():
    old = row(lambda_min=1.0, key="a")
    new = row(lambda_min=3.0, key="b", finished_at=datetime(2025, 1, 1, tzinfo=UTC))
    broken = failed(key="c", finished_at=datetime(2026, 1, 1, tzinfo=UTC))
    rows = group([new, broken, old]).rows
    assert rows["lambda_min"].tolist() == [3.0]


def test_data_sets_parametrisations_and_dtypes_are_kept_apart():
    rows = [
        row(),
        row(parametrisation="ntk"),
        row(dtype="float32"),
        row(data="digits", data_fingerprint="a" * 64),
        row(data="digits", data_fingerprint="b" * 64, data_classes=[1, 2]),
        row(data="npz", data_fingerprint="c" * 64, data_classes=None),
    ]
    found = groups(frame(rows), "results")
    assert [one.slug for one in found] == [
        "digits-aaaaaaaaaaaa-thesis",
        "digits-bbbbbbbbbbbb-thesis",
        "fashion_mnist-ntk",
        "fashion_mnist-thesis-float32",
        "fashion_mnist-thesis",
        "npz-thesis",
    ]
    assert all(len(one.rows) == 1 for one in found)
    assert found[1].classes == (1, 2)
    assert found[-1].classes is None
    assert [one.slug for one in groups(frame(rows), "results", data="bbbb")] == [
        "digits-bbbbbbbbbbbb-thesis"
    ]
    assert len(groups(frame(rows), "results", data="fashion_mnist", parametrisation="thesis")) == 2
    with pytest.raises(
        AnalysisError,
        match=r"no rows for --data mnist; there are rows for\n  --data digits \(fingerprint aaaaaaaaaaaa\)",
    ):
        groups(frame(rows), "results", data="mnist")


def test_commands_name_the_group_they_belong_to():
    assert (
        group([row()]).command("+experiment=thesis_kernels")
        == "python launch.py +experiment=thesis_kernels"
    )
    other = row(
        data="digits", data_classes=[1, 2], n_samples=80, parametrisation="ntk", dtype="float32"
    )
    assert group([other], "a b").command("act=elu") == (
        "python launch.py act=elu data=digits 'data.classes=[1,2]' data.n_per_class=40 "
        "parametrisation=ntk dtype=float32 'results=a b'"
    )


def test_table_1_takes_the_greatest_mean_of_the_resolved_cells():
    rows = [
        row(width=50, seed=0, lambda_min=5.0),
        row(width=50, seed=1, lambda_min=1.0),
        row(width=60, seed=0, lambda_min=4.0),
    ]
    rows += [
        row(width=60, seed=1, lambda_min=3.0),
        row(width=70, lambda_min=9.0),
        row(width=70, seed=1, lambda_min=0.0),
        failed("elu"),
    ]
    rows += [row("sigmoid", lambda_min=0.0)]
    best = best_cells(cells(frame(rows)))
    assert best["act"].tolist() == ["relu", "elu", "sigmoid"]
    relu, elu, sigmoid = best.to_dict("records")
    assert (relu["lambda_min"], relu["width"], relu["depth"], relu["seeds"]) == (3.5, 60, 3, 2)
    assert relu["sd"] == pytest.approx(math.sqrt(0.5))
    assert (relu["cells"], relu["unresolved_cells"], relu["failed_points"]) == (3, 1, 0)
    assert pd.isna(elu["lambda_min"])
    assert (elu["cells"], elu["failed_points"]) == (0, 1)
    assert pd.isna(sigmoid["lambda_min"])
    assert (sigmoid["cells"], sigmoid["unresolved_cells"]) == (1, 1)


def test_table_1_compares_arithmetic_means():
    rows = [row(width=50, seed=seed, lambda_min=value) for seed, value in enumerate((1.0, 9.0))]
    rows += [row(width=60, seed=seed, lambda_min=4.0) for seed in (0, 1)]
    best = best_cells(cells(frame(rows))).iloc[0]
    assert (best["lambda_min"], best["width"]) == (5.0, 50)  # the geometric means are 3 and 4


def test_the_thesis_stands_only_beside_its_own_setting():
    rows = [row("relu"), row("elu"), row("lrelu"), row("sigmoid")]
    own, digits, small = (
        group(rows),
        group([{**r, "data": "digits"} for r in rows]),
        group([{**r, "n_samples": 20} for r in rows]),
    )
    known = beside_thesis(best_cells(cells(own.rows)), own)
    assert known["thesis_depth"].tolist() == ["3 or 4", "2", "3 or 4", "2"]
    assert known["thesis_lambda_min"].iloc[0] == 5.490
    assert known["thesis_lambda_min"].iloc[1:].isna().all()
    for other in (digits, small, group([{**r, "parametrisation": "ntk"} for r in rows])):
        assert beside_thesis(best_cells(cells(other.rows)), other)["thesis_lambda_min"].isna().all()
        assert "thesis: λ_min" not in table1(other, cells(other.rows)).columns


def test_table_1_says_what_one_seed_means_and_what_was_left_out():
    one = group([row(), row(width=50), row(width=60, lambda_min=0.0), failed(width=70)])
    text = markdown(table1(one, cells(one.rows)))
    assert "the greatest of up to 3 draws is mostly luck" in text
    assert "1 of 3 cells are unresolved" in text
    assert "1 point failed or diverged and is left out" in text
    assert "±" not in text
    several = group(grid())
    text = markdown(table1(several, cells(several.rows)))
    assert "133.3 ± 94.3" not in text
    assert "300.0 ± 141.4" in text  # width 400, depth 2, of the values 200 and 400
    assert "cells hold 1 to 2 seeds" in text
    assert "mostly luck" not in text


def test_the_networks_of_the_figures_stand_beside_the_thesis():
    one = group(
        [
            row("relu", 800, 3, 0, 3.0),
            row("relu", 800, 3, 1, 4.0),
            row("sigmoid", 300, 8, 0, 1e-10),
            row("elu"),
        ]
    )
    text = markdown(comparison_table(one, cells(one.rows)))
    assert "3.500 ± 0.707" in text
    assert "3.664" in text
    assert "3.935e-10 or 3.262e-10" in text
    assert "unresolved" in text
    assert "ELU" not in text


def test_seeds_in_words():
    assert seeds_text(cells(frame([failed()]))) == "no seeds"
    assert seeds_text(cells(frame([row()]))) == "1 seed"
    assert seeds_text(cells(frame([row(seed=s) for s in range(3)]))) == "3 seeds"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.664, "3.664"),
        (3.935e-10, "3.935e-10"),
        (12345.6, "12346"),
        (1e9, "1.000e+09"),
        (0.0, "0"),
        (0.0123456, "0.01235"),
        (9.99996, "10.00"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text


def test_tables_in_three_languages():
    table = Table(
        "λ_min_x & <b>",
        ["a|b", "λ_min"],
        [["x_1 <i>", Number(3.93e-10, 0.7e-10, 3)], ["50 %", Number(2.0, math.nan)]],
        ["5 < 6"],
    )
    assert markdown(table).splitlines()[2:] == [
        "| a\\|b    |             λ_min |",
        "| ------- | ----------------: |",
        "| x_1 <i> | (3.93 ± 0.70)e-10 |",
        "| 50 %    |             2.000 |",
        "",
        "5 < 6",
    ]
    text = latex(table)
    assert r"x\_1 $<$i$>$ & $(3.93 \pm 0.70) \times 10^{-10}$ \\" in text
    assert r"50 \% & $2.000$ \\" in text
    assert r"\caption{$\lambda_{\min}$\_x \& $<$b$>$}" in text
    page = html(table)
    assert "(3.93 ± 0.70) × 10<sup>−10</sup>" in page
    assert "<td>x_1 &lt;i&gt;</td>" in page
    assert "<b>" not in page


WRITTEN = {
    "λ_max and Θ_ij, Θ̄, Θ_0": (
        "λ<sub>max</sub> and Θ<sub>ij</sub>, Θ̄, Θ<sub>0</sub>",
        r"$\lambda_{\max}$ and $\Theta_{ij}$, $\bar{\Theta}$, $\Theta_{0}$",
    ),
    "3.9e-10 or 1e+20": (
        "3.9 × 10<sup>−10</sup> or 10<sup>20</sup>",
        r"$3.9 \times 10^{-10}$ or $10^{20}$",
    ),
    "-0.5 [-0.7, +0.1], y - x": ("−0.5 [−0.7, +0.1], y − x", "$-$0.5 [$-$0.7, +0.1], y $-$ x"),
    "(1 - η)^k": ("(1 − η)<sup>k</sup>", r"(1 $-$ $\eta$)$^{k}$"),
    "relu-800x3, 2024-07-01, 9fe12, abc1e-dirty, --act": (
        "relu-800x3, 2024-07-01, 9fe12, abc1e-dirty, --act",
    )
    * 2,
    "50 % of _a_ & {b}": ("50 % of _a_ &amp; {b}", r"50 \% of \_a\_ \& \{b\}"),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_mathematics_in_plain_text(text):
    assert (html_text(text).replace(NO_BREAK, " "), latex_text(text)) == WRITTEN[text]


def test_lines_end_outside_of_products_and_intervals():
    shown = html_text("ReLU 800 × 3, seed 0: 0.2 [0.1, 3e-5]")
    assert shown.replace(NO_BREAK, "~") == "ReLU 800~×~3, seed 0: 0.2 [0.1,~3~×~10<sup>−5</sup>]"


def test_latex_is_ascii_and_leaves_the_numbering_to_latex():
    text = latex(
        Table(
            "Table 1. Greatest λ_min – “so” …",
            ["½ η ρ τ", "√ ‖ ² ᵀ ȳ Σ σ"],
            [["≤ 1 ≥ ± |x|", "—"]],
            ["A {note}."],
        )
    )
    assert text.isascii()
    assert r"\caption{Greatest $\lambda_{\min}$" in text
    assert text.splitlines()[0] == r"% \usepackage{booktabs,graphicx}"
    assert text.count(r"\resizebox{") == 1 and r"\end{tabular}}" in text
    unescaped = text.replace(r"\{", "").replace(r"\}", "")
    assert unescaped.count("{") == unescaped.count("}")
    assert text.count("$") % 2 == 0


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="there is no pdflatex")
def test_latex_compiles(tmp_path):
    tables = [
        Table(text, ["a", text], [["x", text], ["y", Number(-3e-10, 1e-10)]], [text])
        for text in WRITTEN
    ]
    tables.append(Table("wide", ["column"] * 20, [["entry"] * 20]))
    body = "\n".join(map(latex, tables))
    text = rf"\documentclass{{article}}\usepackage{{booktabs,graphicx}}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "all.tex").write_text(text)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


def test_columns_of_nothing_but_dashes_go_behind_those_that_always_stay():
    table = Table("c", ["a", "b", "c", "d"], [["—", "x", "—", 1], ["—", "y", "—", "—"]])
    left = without_gaps(table, 1)
    assert (left.columns, left.rows) == (["a", "b", "d"], [["—", "x", 1], ["—", "y", "—"]])
    assert without_gaps(Table("c", ["a", "b"], []), 1).columns == ["a", "b"]


def test_what_rounds_to_zero_has_no_sign():
    assert [signed(value) for value in (-0.001, 0.0, -0.006, 1.0)] == [
        "0.00",
        "0.00",
        "-0.01",
        "1.00",
    ]
    assert [signed(value, 1, "+") for value in (-0.04, 0.06)] == ["+0.0", "+0.1"]


def test_csv_gives_the_same_numbers_back():
    values = np.random.default_rng(0).standard_normal(50) * 1e-9
    lines = csv(pd.DataFrame({"value": values})).splitlines()
    assert lines[0] == "value"
    assert [float(line) for line in lines[1:]] == values.tolist()
