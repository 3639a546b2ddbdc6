"""Protects test inputs: which they are, their labels, and what is refused."""

import numpy as np
import pytest

from ntk_sweep.data.dataset import load_dataset
from ntk_sweep.data.labelling import Labelling
from ntk_sweep.errors import ConfigError, DataError
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import DataConfig, TrainingConfig
from ntk_sweep.settings.validation import validate, validate_data_files
from tests.helpers.settings import settings


def test_they_are_those_that_follow_in_the_file():
    every = load_dataset("digits", [0, 9], 30)
    data = load_dataset("digits", [0, 9], 20, n_test_per_class=10)
    zeros, nines = every.x[:30], every.x[30:]
    np.testing.assert_array_equal(data.x, np.concatenate([zeros[:20], nines[:20]]))
    np.testing.assert_array_equal(data.test.x, np.concatenate([zeros[20:], nines[20:]]))
    np.testing.assert_array_equal(data.test.y, [0.0] * 10 + [1.0] * 10)
    assert data.fingerprint == load_dataset("digits", [0, 9], 20).fingerprint
    fewer = load_dataset("digits", [0, 9], 20, n_test_per_class=9)
    assert len({data.fingerprint, data.test.fingerprint, fewer.test.fingerprint}) == 3


def test_they_have_their_true_labels_and_the_targets_of_the_classes():
    for labelling in (Labelling("random", targets=(-1, 2)), Labelling(noise=0.5, targets=(-1, 2))):
        data = load_dataset("digits", [0, 9], 20, None, labelling, n_test_per_class=10)
        np.testing.assert_array_equal(data.test.y, [-1.0] * 10 + [2.0] * 10)
        assert not np.array_equal(data.y, np.repeat([-1.0, 2.0], 20))


def test_a_file_of_their_own(npz):
    x, y = np.arange(24.0).reshape(8, 3), np.array([0, 1, 2, 0, 1, 2, 0, 1])
    place, other = npz("train.npz", x=x, y=y), npz("test.npz", x=x + 100, y=y)
    whole = load_dataset("npz", place=place, test_place=other)
    np.testing.assert_array_equal(whole.test.x, x + 100)
    np.testing.assert_array_equal(whole.test.y, y)
    taken = load_dataset("npz", [2, 0], 1, place, test_place=other)
    np.testing.assert_array_equal(taken.test.x, x[[2, 5, 0, 3, 6]] + 100)
    np.testing.assert_array_equal(taken.test.y, [0, 0, 1, 1, 1])
    first = load_dataset("npz", [2, 0], 1, place, test_place=other, n_test_per_class=1)
    np.testing.assert_array_equal(first.test.x, x[[2, 0]] + 100)
    with pytest.raises(DataError, match=r"test inputs .* have 2 features, .* have 3"):
        load_dataset("npz", place=place, test_place=npz("narrow.npz", x=x[:, :2], y=y))
    with pytest.raises(DataError, match="missing"):
        load_dataset("npz", place=place, test_place="missing.npz")


def test_too_few_are_left():
    with pytest.raises(
        DataError, match=r"178 inputs of class 0, but 170 are trained on and .* asks for 9 more"
    ):
        load_dataset("digits", [0, 9], 170, n_test_per_class=9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data__n_test_per_class": -1}, "n_test_per_class=-1"),
        ({"data__n_test_per_class": 5, "data__n_per_class": None}, "null takes all"),
        (
            {"data": DataConfig("npz", path="x.npz", n_test_per_class=5)},
            "n_test_per_class needs data.classes",
        ),
        ({"data__normalise": "sphere"}, "unit_sphere"),
    ],
)
def test_settings_that_do_not_go_together(changes, message):
    with pytest.raises(ConfigError, match=message):
        validate(settings(task=TrainingConfig(), **changes))


def test_settings_that_nothing_reads():
    trained = settings(task=TrainingConfig(), data__n_test_per_class=5)
    spectrum = settings(data__n_test_per_class=5)
    validate_data_files([trained, spectrum])
    with pytest.raises(ConfigError, match="read by task=training only, but task is spectrum"):
        validate_data_files([spectrum])
    file = settings(task=TrainingConfig(), data__test_path="x.npz")
    with pytest.raises(ConfigError, match=r"data\.test_path=x\.npz belongs to data=npz"):
        validate_data_files([file])


def test_points_differ_by_the_test_inputs_that_their_task_reads():
    data = load_dataset("digits", [0, 9], 20, n_test_per_class=10)
    for config, reads in ((settings(), False), (settings(task=TrainingConfig()), True)):
        plain, held = Point.of(config, data.fingerprint), Point.of(config, *data.fingerprints)
        assert (plain.key != held.key) == reads
