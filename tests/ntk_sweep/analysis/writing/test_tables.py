"""Protects tables in Markdown, LaTeX, HTML and CSV, and the numbers in them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from ntk_sweep.analysis.writing.entries import Number, number, signed
from ntk_sweep.analysis.writing.tables import Table, csv, html, latex, markdown, without_gaps
from tests.helpers.latex import compile_tables, needs_latex
from tests.helpers.written_mathematics import WRITTEN


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


@needs_latex
def test_latex_compiles(tmp_path):
    tables = [
        Table(text, ["a", text], [["x", text], ["y", Number(-3e-10, 1e-10)]], [text])
        for text in WRITTEN
    ]
    tables.append(Table("wide", ["column"] * 20, [["entry"] * 20]))
    assert "Overfull" not in compile_tables(map(latex, tables), tmp_path)


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
