"""Protects labels that are true, random or partly wrong, and the fingerprints that follow."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntk_sweep.analysis.rows.grouping import groups, load
from ntk_sweep.data.dataset import find_again, load_dataset
from ntk_sweep.data.labelling import COLUMNS, USUAL, Labelling
from ntk_sweep.errors import ConfigError, DataError
from ntk_sweep.settings.schema import DataConfig
from ntk_sweep.settings.validation import from_dict, validate
from tests.helpers.analysis_rows import row, store
from tests.helpers.settings import settings

classes = st.lists(st.integers(0, 1), min_size=1, max_size=40).map(np.array)
seeds = st.integers(0, 2**53)
number = st.floats(-1e6, 1e6)


def digits(labelling=USUAL, n_per_class=10):
    return load_dataset("digits", [0, 9], n_per_class, None, labelling)


@given(classes, seeds)
def test_random_labels_keep_the_sizes_of_the_classes(labels, seed):
    y = Labelling("random", seed=seed).targets_of(labels)
    assert sorted(y) == sorted(labels)
    assert (y == Labelling("random", seed=seed).targets_of(labels)).all()


@given(classes, seeds, st.floats(0, 1), st.floats(0, 1))
def test_noise_flips_its_share_and_a_greater_share_the_same_and_more(labels, seed, one, other):
    few, many = (
        Labelling(noise=share, seed=seed).targets_of(labels) != labels
        for share in sorted((one, other))
    )
    assert few.sum() == round(min(one, other) * len(labels))
    assert many.sum() == round(max(one, other) * len(labels))
    assert not (few & ~many).any()


@given(st.tuples(number, number).filter(lambda pair: pair[0] != pair[1]), classes)
def test_targets_are_the_values_of_the_classes(targets, labels):
    y = Labelling(targets=targets).targets_of(labels)
    assert (y == np.array(targets)[labels]).all()
    assert not np.signbit(y[y == 0]).any(), "-0.0 would be other data than 0.0"


def test_draws_are_pinned():
    labels = np.repeat([0, 1], 4)
    drawn = Labelling("random", seed=3).targets_of(labels)
    stream = np.random.SeedSequence(3, spawn_key=(1,))
    order = np.random.Generator(np.random.SFC64(stream)).permutation(8)
    assert (drawn == labels[order]).all()
    assert drawn.tolist() == [1, 0, 0, 1, 1, 0, 0, 1]
    wrong = Labelling(noise=0.25, seed=3).targets_of(labels) != labels
    assert np.flatnonzero(wrong).tolist() == [0, 3]


def test_usual_labels_keep_their_fingerprint_and_others_have_their_own():
    truth = load_dataset("digits", [0, 9], 10)
    assert digits().fingerprint == truth.fingerprint
    others = [
        Labelling("random"),
        Labelling("random", seed=1),
        Labelling(noise=0.2),
        Labelling(targets=(-1, 1)),
    ]
    assert len({truth.fingerprint, *(digits(one).fingerprint for one in others)}) == 5
    for one in others:
        assert (digits(one).x == truth.x).all()


def test_without_classes_random_labels_permute_y_and_nothing_else_can_be_asked_for(npz):
    path = npz(x=np.eye(6), y=np.arange(6.0))
    y = load_dataset("npz", None, None, path, Labelling("random")).y
    assert sorted(y) == list(range(6))
    assert (y != np.arange(6)).any()
    for one in (Labelling(noise=0.1), Labelling(targets=(-1, 1))):
        with pytest.raises(DataError, match=r"data.classes=\[a,b\]; without classes"):
            load_dataset("npz", None, None, path, one)


@pytest.mark.parametrize(
    "labelling",
    [
        USUAL,
        Labelling("random", seed=2**53),
        Labelling(noise=1 / 3, seed=4),
        Labelling(targets=(-1.0, 0.1 + 0.2)),
    ],
)
def test_rows_tell_the_labelling_and_the_data_are_found_again(labelling):
    data = digits(labelling)
    frame = pd.DataFrame([labelling.columns(True), dict.fromkeys(COLUMNS)])
    read = [Labelling.of_row(one) for one in frame.to_dict("records")]
    assert read == [labelling, USUAL], "null stands for the defaults"
    again = find_again("digits", data.fingerprint, [0, 9], 20, None, read[0])
    assert (again.y == data.y).all()
    asked = dict(item.split("=") for item in labelling.overrides)
    changes = {
        name.removeprefix("data."): value if name == "data.labels" else eval(value)
        for name, value in asked.items()
    }
    assert DataConfig("digits", classes=[0, 9], **changes).labelling == labelling


# Settings


@pytest.mark.parametrize("typed", [True, "true", "True"])
def test_the_word_true_may_arrive_as_a_truth_value(typed):
    values = dataclasses.asdict(settings())
    values["data"]["labels"] = typed
    assert from_dict(values).data.labels == "true"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": "false"}, "data.labels=false is unknown: choose one of true, random"),
        ({"labels": "random", "label_noise": 0.1}, "data.labels=random leaves none true"),
        ({"label_noise": 1.5}, "data.label_noise=1.5 must be a share from 0 to 1"),
        ({"label_noise": float("nan")}, "must be a share from 0 to 1"),
        ({"label_seed": -1}, "data.label_seed=-1"),
        ({"label_seed": 2**53 + 1}, "integer of at most 9007199254740992"),
        ({"targets": [1, 1]}, "must be two different finite numbers"),
        ({"targets": [0, float("inf")]}, "must be two different finite numbers"),
        ({"targets": [0, 1, 2]}, "must be two different finite numbers"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        validate(settings(data=DataConfig("digits", classes=[0, 9], **changes)))


# Groups


def test_groups_of_other_labels_are_told_apart(tmp_path):
    labellings = [USUAL, Labelling("random"), Labelling("random", seed=1), Labelling(noise=0.2)]
    rows = [
        row(data_fingerprint=str(place) * 64, key=str(place), **one.columns(True))
        for place, one in enumerate(labellings)
    ]
    folder = store(tmp_path, rows)
    found = {one.label: one for one in groups(load(folder), folder)}
    assert set(found) == {
        "fashion_mnist-thesis",
        "fashion_mnist-random_labels-thesis",
        "fashion_mnist-random_labels-1-thesis",
        "fashion_mnist-noise_0.2-thesis",
    }
    assert "classes 0 and 9, random labels, N" in found["fashion_mnist-random_labels-thesis"].title
    assert "data.label_noise=0.2" in found["fashion_mnist-noise_0.2-thesis"].command()
    assert "data.label" not in found["fashion_mnist-thesis"].command()


def test_random_labels_that_equal_the_true_ones_are_one_group_of_true_labels(tmp_path):
    rows = [
        row(seed=place, key=str(place), **one.columns(True))
        for place, one in enumerate([Labelling("random"), USUAL])
    ]
    folder = store(tmp_path, rows)
    (one,) = groups(load(folder), folder)
    assert one.labelling == USUAL
    assert len(one.rows) == 2
