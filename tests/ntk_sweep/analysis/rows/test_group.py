"""Protects groups: what is never mixed, one row a network, and the command of a group."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows import thesis
from ntk_sweep.analysis.rows.grouping import groups
from tests.helpers.analysis_rows import failed, frame, group, row


def test_a_network_computed_twice_counts_once_and_the_latest_good_row_wins():
    old = row(lambda_min=1.0, key="a")
    new = row(lambda_min=3.0, key="b", finished_at=datetime(2025, 1, 1, tzinfo=UTC))
    broken = failed(key="c", finished_at=datetime(2026, 1, 1, tzinfo=UTC))
    rows = group([new, broken, old]).rows
    assert rows["lambda_min"].tolist() == [3.0]


def test_a_good_row_goes_before_a_failed_one_that_knows_test_inputs():
    good = row(lambda_min=3.0, key="a", n_test_samples=None)
    tested = failed(key="b", n_test_samples=40, finished_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert group([good, tested]).rows["lambda_min"].tolist() == [3.0]


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
    assert [one.label for one in found] == [
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
    assert [one.label for one in groups(frame(rows), "results", data="bbbb")] == [
        "digits-bbbbbbbbbbbb-thesis"
    ]
    assert len(groups(frame(rows), "results", data="fashion_mnist", parametrisation="thesis")) == 2
    with pytest.raises(
        AnalysisError,
        match=r"no rows for --data mnist; there are rows for\n"
        r"  --data digits \(fingerprint aaaaaaaaaaaa\)",
    ):
        groups(frame(rows), "results", data="mnist")


def test_scales_are_kept_apart_and_named_where_they_are_not_1():
    scales = [(1.0, 1.0), (1.5, 1.0), (1.5, 0.0), (1.5, None), (1.0, None)]
    rows = [
        row(weight_std=weight_std, bias_std=bias_std, lambda_min=1.0 + place, seed=seed)
        for place, (weight_std, bias_std) in enumerate(scales)
        for seed in range(2)
    ]
    found = {one.label: one for one in groups(frame(rows), "results")}
    assert list(found) == [
        "fashion_mnist-thesis",
        "fashion_mnist-thesis-bias_stdnull",
        "fashion_mnist-thesis-weight_std1.5-bias_std0",
        "fashion_mnist-thesis-weight_std1.5",
        "fashion_mnist-thesis-weight_std1.5-bias_stdnull",
    ]
    for place, (weight_std, bias_std) in enumerate(scales):
        (own,) = groups(
            frame(rows),
            "results",
            weight_std=str(weight_std),
            bias_std="null" if bias_std is None else str(bias_std),
        )
        assert own.rows["lambda_min"].tolist() == [1.0 + place] * 2
    none = found["fashion_mnist-thesis-weight_std1.5-bias_stdnull"]
    assert "parametrisation thesis, weight_std=1.5, bias_std=null, float64" in none.title
    assert none.command("act=elu") == "ntk-sweep run act=elu weight_std=1.5 bias_std=null"
    assert not thesis.applies(none) and thesis.applies(found["fashion_mnist-thesis"])
    with pytest.raises(
        AnalysisError,
        match=r"(?s)no rows for --bias-std 7; .*--weight-std 1.5 --bias-std null --dtype",
    ):
        groups(frame(rows), "results", bias_std="7")


def test_commands_name_the_group_they_belong_to():
    assert (
        group([row()]).command("+experiment=thesis_kernels")
        == "ntk-sweep run +experiment=thesis_kernels"
    )
    other = row(
        data="digits", data_classes=[1, 2], n_samples=80, parametrisation="ntk", dtype="float32"
    )
    assert group([other], "a b").command("act=elu") == (
        "ntk-sweep run act=elu data=digits 'data.classes=[1,2]' data.n_per_class=40 "
        "parametrisation=ntk dtype=float32 'results=a b'"
    )
