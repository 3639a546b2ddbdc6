"""Protects studies: spectra and training runs of a store side by side, each statistic once."""

from __future__ import annotations

from ntk_sweep.analysis.rows.study import studies
from tests.helpers import analysis_training_rows as training_rows
from tests.helpers.analysis_rows import row, store


def test_groups_of_both_tasks_are_told_apart(tmp_path):
    results = store(tmp_path / "r", [row(), row(data_fingerprint="a" * 64, lambda_min=2.0)])
    training_rows.store(
        tmp_path / "r", [training_rows.run(), training_rows.run(parametrisation="ntk")]
    )
    found = {
        one.group.label: (len(one.group.rows), one.training is not None) for one in studies(results)
    }
    assert found == {
        "fashion_mnist-aaaaaaaaaaaa-thesis": (1, False),
        "fashion_mnist-ffffffffffff-thesis": (1, True),
        "fashion_mnist-ffffffffffff-ntk": (0, True),
    }


def test_each_statistic_is_computed_once(tmp_path, monkeypatch):
    (study,) = studies(store(tmp_path / "r", [row(seed=0), row(seed=1), row("elu", seed=0)]))
    assert study.cells() is study.cells()
    assert study.probabilities is study.probabilities
    assert study.best_cells is study.best_cells


def test_a_group_has_one_name_whatever_is_read_of_it(tmp_path):
    results = store(tmp_path / "r", [row()])
    training_rows.store(tmp_path / "r", [training_rows.run(data_fingerprint="d" * 64)])
    names = [
        {one.group.label for one in studies(results, tasks=tasks)}
        for tasks in (("spectrum", "training"), ("spectrum",), ("training",))
    ]
    assert len(names[0]) == 2
    assert names[1:] == [names[0], names[0]]
