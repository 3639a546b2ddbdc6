"""Protects training runs: which may be averaged, how they are named and chosen."""

from __future__ import annotations

import math

import pytest

from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows.runs import (
    choose,
    network_name,
    network_title,
    parse_network,
    runs,
)
from ntk_sweep.analysis.rows.setting import Setting
from tests.helpers.analysis_training_rows import failed_run, group, only_runs, run


@pytest.mark.parametrize(
    "other",
    [
        {"learning_rate": 0.1},
        {"learning_rate_unit": "inverse_lambda_max"},
        {"batch_size": 200},
        {"losses": [1.0, 0.5]},
        {"shuffle": False},
    ],
)
def test_runs_with_different_settings_are_never_mixed(other):
    found = runs(group([run(), run(seed=1), run(**other)]))
    assert sorted(len(one.rows) for one in found) == [1, 2]
    assert len({one.setting.title for one in found}) == len({one.slug for one in found}) == 2


def test_a_setting_in_words_and_on_a_command_line():
    thesis = Setting(1e-3, "absolute", 1, 100, True)
    assert thesis.title == "learning rate 0.001, batch size 1, 100 epochs"
    assert thesis.slug == "lr0.001-b1-e100"
    scaled = Setting(0.5, "inverse_lambda_max", 200, 10, False)
    assert (
        scaled.title == "learning rate 0.5/λ_max, batch size 200, 10 epochs, order of samples kept"
    )
    assert scaled.slug == "lr0.5_over_lambda_max-b200-e10-fixed"


def test_a_run_with_a_recorded_kernel_and_one_without_count_once():
    found = only_runs([run(record_kernel_every=2), run(), run(record_kernel_every=1), run(seed=1)])
    assert found.rows["record_kernel_every"].fillna(0).tolist() == [1, 0]


def test_failed_runs_are_no_runs_and_diverged_ones_are():
    found = only_runs([run(), failed_run(seed=1), run(seed=2, losses=[1.0, math.inf], epochs=2)])
    assert found.rows["seed"].tolist() == [0, 2]
    with pytest.raises(
        AnalysisError,
        match=r"none of the 1 runs of .* has a result(.|\n)*\+experiment=thesis_training",
    ):
        runs(group([failed_run()]))


def test_networks_have_names():
    assert parse_network("relu-800x3") == ("relu", 800, 3)
    assert network_name(("relu", 800, 3)) == "relu-800x3"
    assert network_title(("lrelu", 50, 2)) == "LeakyReLU 50 × 2"
    with pytest.raises(
        AnalysisError, match=r"--network relu800 does not name a network: .* for example relu-800x3"
    ):
        parse_network("relu800")


def test_a_choice_of_networks():
    every = runs(group([run(width=width) for width in range(1, 10)]))
    with pytest.raises(
        AnalysisError,
        match=r"9 networks were trained, and a figure shows at most 8: choose some with "
        r"--network relu-1x3",
    ):
        choose(every, [])
    assert choose(every, ["relu-5x3", "relu-77x3"]) == [("relu", 5, 3)]
    with pytest.raises(
        AnalysisError,
        match=r"none of those asked for was trained \(elu-5x3\)(.|\n)*"
        r"ntk-sweep run -m task=training .* act=elu width=5 depth=3",
    ):
        choose(every, ["elu-5x3"])
    with pytest.raises(
        AnalysisError, match=r"a figure shows at most 8 networks, and --network names 9"
    ):
        choose(every, [f"relu-{width}x3" for width in range(1, 10)])
    few = runs(group([run(width=width) for width in range(1, 9)]))
    assert len(choose(few, [])) == 8
