"""Protects how a setting of training is named: in words, in file names, on the command line."""

import dataclasses

import pytest

from ntk_sweep.analysis.rows.runs import runs
from ntk_sweep.analysis.rows.setting import Setting
from ntk_sweep.settings.schema import TrainingConfig
from ntk_sweep.store.columns import TRAINING_SETTING
from tests.helpers.analysis_training_rows import group, run

SGD = Setting(0.001, "absolute", 1, 100, True)
FLOW = Setting(None, None, None, None, None, "flow", flow_tolerance=1e-6)

CASES = [
    (SGD, "learning rate 0.001, batch size 1, 100 epochs", "lr0.001-b1-e100", []),
    (
        dataclasses.replace(SGD, shuffle=False, learning_rate_unit="inverse_max_diagonal"),
        "learning rate 0.001/max Θ_ii, batch size 1, 100 epochs, order of samples kept",
        "lr0.001_over_max_diagonal-b1-e100-fixed",
        ["task.learning_rate_unit=inverse_max_diagonal", "task.shuffle=false"],
    ),
    (
        dataclasses.replace(SGD, centre_outputs=True, stop_at_loss=0.001, epochs=50),
        "learning rate 0.001, batch size 1, 50 epochs, initial function removed, until a loss of "
        "0.001",
        "lr0.001-b1-e50-centred-to0.001",
        ["task.epochs=50", "task.centre_outputs=true", "task.stop_at_loss=0.001"],
    ),
    (FLOW, "gradient flow, tolerance 1e-06", "flow-tol1e-06", ["task.optimiser=flow"]),
    (
        dataclasses.replace(
            FLOW, centre_outputs=True, stop_at_loss=1e-4, flow_time=25.0, flow_tolerance=1e-4
        ),
        "gradient flow to time 25, tolerance 0.0001, initial function removed, until a loss of "
        "0.0001",
        "flow-t25-tol0.0001-centred-to0.0001",
        [
            *("task.optimiser=flow", "task.centre_outputs=true", "task.stop_at_loss=0.0001"),
            *("task.flow_time=25.0", "task.flow_tolerance=0.0001"),
        ],
    ),
]


@pytest.mark.parametrize(("setting", "title", "slug", "words"), CASES)
def test_a_setting_is_named(setting, title, slug, words):
    always = [] if setting.is_flow else ["task.learning_rate=0.001", "task.batch_size=1"]
    assert setting.title == title
    assert setting.slug == slug
    assert setting.words[0] == "task=training"
    assert sorted(setting.words[1:]) == sorted([*always, *words])


@pytest.mark.parametrize("setting", [case[0] for case in CASES])
def test_the_words_make_the_same_setting(setting):
    """Values as the command line gives them, and none that the optimiser would refuse."""
    kinds = {"true": True, "false": False}
    given = dict(word.removeprefix("task.").split("=") for word in setting.words[1:])
    names = ("optimiser", "learning_rate_unit")
    values = {
        name: value if name in names else kinds.get(value, None if value == "null" else value)
        for name, value in given.items()
    }
    values = {
        name: float(value) if isinstance(value, str) and name not in names else value
        for name, value in values.items()
    }
    config = TrainingConfig(**values)
    assert config.fault is None
    assert Setting.of(config.columns(200)) == setting


def test_settings_of_both_optimisers_are_told_apart_in_one_table():
    """pandas makes a float of an integer, and of a truth value an object, beside a null."""
    flow = dict.fromkeys(("learning_rate", "learning_rate_unit", "batch_size", "epochs", "shuffle"))
    rows = [
        run(seed=0),
        run(seed=1),
        run(seed=0, optimiser="flow", flow_tolerance=1e-6) | flow,
        run(seed=0, optimiser="flow", flow_tolerance=1e-6, flow_time=2.0) | flow,
        run(seed=0, centre_outputs=True),
    ]
    for place, row in enumerate(rows):
        row["key"] = str(place)
    found = runs(group(rows))
    settings = [one.setting for one in found]
    expected = dataclasses.replace(SGD, epochs=2)
    assert len(settings) == 4
    assert set(settings) == {
        expected,
        dataclasses.replace(expected, centre_outputs=True),
        FLOW,
        dataclasses.replace(FLOW, flow_time=2.0),
    }
    (plain,) = [one for one in found if one.setting == expected]
    assert len(plain.rows) == 2
    assert isinstance(plain.setting.batch_size, int) and plain.setting.shuffle is True


def test_a_setting_holds_the_columns_by_which_runs_are_parted():
    assert {item.name for item in dataclasses.fields(Setting)} == set(TRAINING_SETTING)
