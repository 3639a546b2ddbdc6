"""Protects the best networks of a sweep: those of Table 1, of comparable rows only."""

import numpy as np
import pytest

from ntk_sweep.analysis.rows.best_cells import best_cells
from ntk_sweep.analysis.rows.cells import cells
from ntk_sweep.analysis.rows.grouping import groups, load
from ntk_sweep.commands.best_networks import best_networks
from ntk_sweep.data.dataset import load_dataset
from ntk_sweep.errors import ConfigError
from ntk_sweep.settings.schema import DataConfig, SweepConfig
from tests.helpers.analysis_rows import row, store

DIGITS = DataConfig("digits", classes=[0, 9], n_per_class=10)
FINGERPRINT = load_dataset("digits", [0, 9], 10).fingerprint


def spectrum(act, width, depth, seed, lambda_min, **changes):
    return row(
        act,
        width,
        depth,
        seed,
        lambda_min,
        **({"data_fingerprint": FINGERPRINT, "data": "digits"} | changes),
    )


def config(folder, **changes):
    return SweepConfig(data=DIGITS, results=str(folder), **changes)


def test_a_network_computed_in_two_ways_counts_once(tmp_path):
    """Seed 0 at width 30 twice: its mean is 4, and would be 5."""
    rows = [
        spectrum("relu", 30, 2, 0, 7.0, key="a", method="eigh"),
        spectrum("relu", 30, 2, 0, 6.0, key="b", method="double-double"),
        spectrum("relu", 30, 2, 1, 2.0),
        *(spectrum("relu", 60, 2, seed, 4.5) for seed in range(2)),
    ]
    (point,) = best_networks(config(store(tmp_path, rows)), ["relu"])
    assert point["width"] == 60


def test_best_networks_are_those_of_table_1(tmp_path):
    generator = np.random.default_rng(0)
    rows = [
        spectrum(
            act,
            width,
            depth,
            seed,
            float(generator.lognormal()) * (1e-12 if generator.random() < 0.1 else 1),
        )
        for act in ("relu", "sigmoid", "tanh")
        for width in (30, 60, 90)
        for depth in (2, 3, 4)
        for seed in range(3)
    ]
    folder = store(tmp_path, rows)
    (group,) = groups(load(folder), folder)
    best = best_cells(cells(group.rows)).set_index("act")
    found = best_networks(config(folder), ["sigmoid", "relu"])
    assert [point["act"] for point in found] == ["sigmoid", "relu"]
    for point in found:
        assert (point["width"], point["depth"]) == (
            best.loc[point["act"], "width"],
            best.loc[point["act"], "depth"],
        )
    assert (~best_cells_resolved(rows)).any(), (
        "a cell must have been left out for the comparison to say something"
    )


def best_cells_resolved(rows):
    return np.array([row["lambda_min_resolved"] for row in rows])


def test_the_mean_over_seeds_counts_and_not_the_greatest_draw(tmp_path):
    rows = [spectrum("relu", 50, 2, seed, value) for seed, value in enumerate((9.0, 1.0, 1.0))]
    rows += [spectrum("relu", 70, 3, seed, 5.0) for seed in range(3)]
    assert best_networks(config(store(tmp_path, rows)), ["relu"]) == [
        {"act": "relu", "width": 70, "depth": 3}
    ]


def test_an_unresolved_seed_disqualifies(tmp_path):
    rows = [
        spectrum("relu", 50, 2, 0, 9.0),
        spectrum("relu", 50, 2, 1, 1e-12),
        spectrum("relu", 70, 3, 0, 1.0),
    ]
    assert best_networks(config(store(tmp_path, rows)), ["relu"]) == [
        {"act": "relu", "width": 70, "depth": 3}
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"data_fingerprint": "0" * 64},
        {"parametrisation": "ntk"},
        {"weight_std": 1.5},
        {"bias_std": None},
        {"dtype": "float32"},
        {"numerics_version": 1},
        {"lambda_min": 1e-12},
    ],
)
def test_rows_of_another_kind_do_not_count(tmp_path, changes):
    folder = store(tmp_path, [spectrum("relu", 50, 2, 0, **({"lambda_min": 1.0} | changes))])
    with pytest.raises(
        ConfigError,
        match="holds no spectra of relu for data=digits parametrisation=thesis dtype=float64",
    ):
        best_networks(config(folder), ["relu"])


def test_without_rows_the_message_says_what_to_run(tmp_path):
    folder = store(tmp_path, [spectrum("relu", 50, 2, 0, 1.0)])
    with pytest.raises(ConfigError) as caught:
        best_networks(config(folder), ["relu", "elu"])
    assert "no spectra of elu for" in str(caught.value)
    assert "ntk-sweep run +experiment=thesis_grid 'seed=range(0,5)' data=digits" in str(
        caught.value
    )
    assert str(tmp_path) in str(caught.value)
    with pytest.raises(ConfigError, match="no spectra of relu"):
        best_networks(config(tmp_path / "nothing"), ["relu"])


def test_the_command_that_makes_missing_spectra_asks_for_the_same_labels(tmp_path):
    data = DataConfig("digits", classes=[0, 9], n_per_class=10, labels="random", label_seed=2)
    asked = SweepConfig(data=data, results=str(store(tmp_path, [spectrum("relu", 50, 2, 0, 1.0)])))
    with pytest.raises(ConfigError, match=r"data\.labels=random data\.label_seed=2"):
        best_networks(asked, ["relu"])
