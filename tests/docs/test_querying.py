"""The snippets of docs/guide/rows.md run, on rows with failures and points computed twice, and give
what the rows say."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import numpy as np
import pytest

from ntk_sweep.store.store import Store
from tests.helpers.analysis_rows import failed, row, store
from tests.helpers.places import ROOT

PAGE = (ROOT / "docs" / "guide" / "rows.md").read_text()


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """The names that the snippets leave behind, run in their order on hand-made rows."""
    for reader in ("duckdb", "polars"):
        pytest.importorskip(reader, reason="it is a development dependency")
    rows = [
        row(act, width, depth, seed, scale * width / depth * (1 + seed))
        for act, scale in (("relu", 1.0), ("elu", 0.5))
        for width in (20, 40)
        for depth in (2, 3)
        for seed in (0, 1)
    ]
    rows.append(failed("elu", 80, 2, 0, error="Traceback\nRuntimeError: no memory"))
    rows.append(row("elu", 80, 3, 0, 1e-12))
    rows.append(row("relu", 20, 2, 0, 1e6, data="digits", data_fingerprint="d" * 64))
    old = {**rows[0], "finished_at": datetime(2020, 1, 1, tzinfo=UTC), "lambda_min": 1e6}
    results = store(tmp_path_factory.mktemp("results"), [old])
    eigenvalues, vectors = np.asarray(rows[0]["eigenvalues"]), np.eye(len(rows[0]["eigenvalues"]))
    files = {
        "layer_kernels_file": np.stack([0.25 * np.diag(eigenvalues), 0.75 * np.diag(eigenvalues)]),
        "eigenvectors_file": vectors,
    }
    for column, array in files.items():
        name = Store(str(results), "spectrum").save_kernel(rows[0]["key"], array, column)
        rows[0][column] = name
    store(results, rows)
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block.replace('results = "results"', f'results = "{results}"'), names)
    return names


def test_saved_matrices(answers):
    assert np.array_equal(answers["layers"].sum(axis=0), answers["rebuilt"])
    assert answers["point"].act == "relu"


def test_there_are_ten_questions_and_two_for_sql():
    assert re.findall(r"^### (\d+)\.", PAGE, re.MULTILINE) == [
        str(number) for number in range(1, 11)
    ]
    assert PAGE.count("duckdb.sql(") >= 2


def test_counts_and_reasons(answers):
    assert answers["counts"].to_dict() == {
        ("digits", "thesis", "ok"): 1,
        ("fashion_mnist", "thesis", "failed"): 1,
        ("fashion_mnist", "thesis", "ok"): 17,
    }
    assert answers["reasons"].to_dict() == {"RuntimeError: no memory": 1}


def test_the_best_networks(answers):
    assert answers["best"][["width", "depth", "mean", "count"]].to_dict("index") == {
        "relu": {"width": 40, "depth": 2, "mean": 30.0, "count": 2},
        "elu": {"width": 40, "depth": 2, "mean": 15.0, "count": 2},
    }


def test_sql_and_pandas_agree(answers):
    by_sql = answers["table1"].set_index("act")
    assert by_sql["lambda_min"].to_dict() == answers["best"]["mean"].to_dict()
    assert by_sql[["width", "depth"]].to_dict() == answers["best"][["width", "depth"]].to_dict()
    every = np.concatenate(answers["ok"].loc[answers["ok"].act == "elu", "eigenvalues"].to_list())
    line = answers["below"].set_index("act").loc["elu"]
    assert line["below"] == (every < 1).sum() > 0
    assert line["mean"] == pytest.approx(every.mean())


def test_every_reader_sees_all_rows_by_the_name_of_the_folder(answers):
    lengths = {reader: len(rows) for reader, rows in answers["frames"].items()}
    assert lengths == dict.fromkeys(["pandas", "PyArrow", "Polars", "DuckDB"], 20)


def test_errors_growth_and_ratio(answers):
    assert answers["unresolved"].to_dict() == {"elu": pytest.approx(1 / 9), "relu": 0.0}
    assert answers["relative"]["elu"] == pytest.approx(1000.0)
    assert answers["growth"]["relu"].to_list() == pytest.approx([2.0, 2.0])
    assert set(answers["ratio"]) == {0.5}


def test_spectra(answers):
    # Eigenvalues are λ_min times 1, 10, … 1e5; width 40, depth 2, mean over seeds 30.
    assert answers["quantiles"][[0, -1]].tolist() == pytest.approx([30.0, 30e5])
    # 1e5 of 111111 is 90 %, 1.1e5 is 99.0001 %.
    assert answers["held"].loc["relu"].to_list() == [2, 2, 2]


def test_spread_and_pairs(answers):
    # Seeds stand as 1 to 2: sd / mean is √½ / 1.5.
    assert answers["spread"].to_list() == pytest.approx([np.sqrt(0.5) / 1.5] * 8)
    assert len(answers["pairs"]) == 8
    assert answers["log_ratio"].to_list() == pytest.approx([np.log(2)] * 8)


def test_cost(answers):
    # A failed point costs time too.
    assert answers["cost"]["count"].sum() == 19
    assert answers["cost"]["sum"].sum() == pytest.approx(19 * 0.5)
    assert len(answers["slowest"]) == 3
