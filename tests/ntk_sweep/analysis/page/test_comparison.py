"""Protects the comparison of two stores: what is equal, within bounds, and what is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ntk_sweep.analysis.cli import main
from ntk_sweep.analysis.page import comparison
from ntk_sweep.analysis.rows.study import studies
from tests.helpers import analysis_training_rows as training_rows
from tests.helpers.analysis_rows import failed, row, store


def shifted(one: dict, by: float) -> dict:
    """The same network with every eigenvalue moved."""
    return one | {
        "eigenvalues": [value + by for value in one["eigenvalues"]],
        "lambda_min": one["lambda_min"] + by,
    }


def test_rows_are_judged_by_their_bits_and_their_bounds(tmp_path, undrawn):
    rows = [row(width=width) for width in (10, 20, 30, 40, 50, 60)]
    last = rows[3]["eigenvalues"]
    others = [
        rows[0],
        shifted(rows[1], 1.9e-9),  # each bound is 1e-9
        shifted(rows[2], 2.1e-9),
        rows[3] | {"eigenvalues": [*last[:-1], last[-1] * 1.001]},  # λ_min is equal, λ_max is not
        failed(width=50),
        row(width=70),
    ]
    runs = [training_rows.run(width=10), training_rows.run(width=20)]
    a, b = (str(tmp_path / name) for name in "ab")
    for folder, spectra, trained in (
        (a, rows, runs),
        (b, others, [runs[0], runs[1] | {"losses": [1.0, 0.5, 0.2500001]}]),
    ):
        store(tmp_path / folder, spectra)
        training_rows.store(tmp_path / folder, trained)
    (found,) = comparison.compare(studies(a), studies(b))
    judged = found.rows.set_index(["task", "width"])["verdict"].to_dict()
    assert judged == {
        ("spectrum", 10): comparison.EQUAL,
        ("spectrum", 20): comparison.WITHIN,
        ("spectrum", 30): comparison.APART,
        ("spectrum", 40): comparison.APART,
        ("spectrum", 50): comparison.NO_RESULT,
        ("spectrum", 60): comparison.ONLY_A,
        ("spectrum", 70): comparison.ONLY_B,
        ("training", 10): comparison.EQUAL,
        ("training", 20): comparison.UNBOUNDED,
    }
    assert main(["report", a, b, "-o", str(tmp_path / "page")]) == 0
    assert found.sentence in (tmp_path / "page/index.html").read_text()
    written = pd.read_csv(tmp_path / "page/tables/comparison.csv")
    assert np.allclose(written["difference"].dropna().iloc[:3], [0, -1.9e-9, -2.1e-9], atol=1e-12)
    cells = pd.read_csv(tmp_path / "page/tables/comparison-cells.csv").set_index("width")
    assert cells.loc[10, comparison.EQUAL] == 2 and cells.loc[20, comparison.WITHIN] == 1


def test_other_data_are_compared_where_there_is_no_choice(tmp_path, capsys, undrawn):
    a = store(tmp_path / "a", [row()])
    b = store(tmp_path / "b", [row(data="digits", data_fingerprint="d" * 64, lambda_min=2.0)])
    (found,) = comparison.compare(studies(a), studies(b))
    assert found.rows["verdict"].tolist() == [comparison.APART]
    assert found.rows["ratio"].tolist() == pytest.approx([0.5])
    many = store(tmp_path / "c", [row(parametrisation=name) for name in ("ntk", "standard")])
    assert main(["report", a, many, "-o", str(tmp_path / "page")]) == 2
    assert "have no group in common" in capsys.readouterr().err
