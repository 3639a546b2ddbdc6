"""Protects which inputs a data set holds, in which order, and the fingerprint that keys hash."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ntk_sweep.data.dataset import find_again, load_dataset
from ntk_sweep.errors import DataError

X, Y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 2, 0])


def test_digits_are_the_first_images_of_both_classes_in_order():
    data, source = (
        load_dataset("digits", [0, 9], 100),
        load_digits(),
    )
    rows = np.concatenate([np.flatnonzero(source.target == label)[:100] for label in (0, 9)])
    assert data.x.dtype == data.y.dtype == np.float64
    assert (data.x == source.data[rows] / 16).all()
    assert (data.y == np.repeat([0.0, 1.0], 100)).all()
    assert (data.name, data.classes) == ("digits", (0, 9))
    assert data.x.min() == 0
    assert data.x.max() == 1


def test_order_of_the_classes_is_kept():
    data, other = (load_dataset("digits", c, 3) for c in ([0, 9], [9, 0]))
    assert (data.x == np.roll(other.x, 3, axis=0)).all()
    assert (data.y == other.y).all()
    assert data.fingerprint != other.fingerprint
    assert other.classes == (9, 0)


def test_without_a_number_all_images_of_a_class_are_taken():
    counts = np.bincount(load_digits().target)
    data = load_dataset("digits", [3, 4])
    assert (data.y == np.repeat([0.0, 1.0], counts[[3, 4]])).all()


def test_too_few_images_says_how_many_there_are():
    with pytest.raises(
        DataError,
        match=r"data=digits has 178 inputs of class 0, but data.n_per_class asks for 179: lower it",
    ):
        load_dataset("digits", [0, 9], 179)
    assert len(load_dataset("digits", [0, 9], 178).x) == 356


def test_a_class_that_does_not_exist_names_those_that_do():
    with pytest.raises(
        DataError, match=r"has 0 inputs of class 10, .*there are: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    ):
        load_dataset("digits", [0, 10])


# Fingerprints


def fingerprint(npz, x, y, **kwargs):
    return load_dataset("npz", place=npz(x=x, y=y), **kwargs).fingerprint


def test_fingerprint_is_of_the_values_alone(npz):
    truth = fingerprint(npz, X, Y)
    assert len(truth) == 64
    assert fingerprint(npz, np.asfortranarray(X), Y.astype(np.uint8)) == truth
    assert fingerprint(npz, X.reshape(6, 2, 1), Y) == truth
    assert fingerprint(lambda **arrays: npz("elsewhere.npz", **arrays, z=X), X, Y) == truth


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (X[::-1], Y[::-1]),
        (X[::-1], Y),
        (X, Y[::-1]),
        (np.nextafter(X, 100), Y),
        (X, Y + 1),
        (X[:5], Y[:5]),
        (X[:, ::-1], Y),
        (X.reshape(2, 6), Y[:2]),
    ],
)
def test_fingerprint_changes_with_values_and_order(npz, x, y):
    assert fingerprint(npz, x, y) != fingerprint(lambda **arrays: npz("other.npz", **arrays), X, Y)


def test_fingerprint_is_that_of_the_selected_inputs(npz):
    assert fingerprint(npz, X, Y, classes=[0, 1], n_per_class=2) == fingerprint(
        npz, X[[0, 2, 1, 3]], [0, 0, 1, 1]
    )


def test_fingerprint_is_pinned(npz):
    """It is part of every key."""
    assert (
        fingerprint(npz, X, Y) == "a8971832a73dae7ee46b27b71fc025724a9584c70016f66a9663297d5e0821b3"
    )


# Found again, for a report


def again(data, **changes):
    """The data set that rows on `data` tell of."""
    told = {"name": data.name, "fingerprint": data.fingerprint, "classes": data.classes}
    return find_again(**{**told, "n_samples": len(data.x)} | changes)


@pytest.mark.parametrize("n_per_class", [100, 178, None])
def test_digits_are_found_again_whether_a_number_was_asked_for_or_all(n_per_class):
    data = load_dataset("digits", [0, 9], n_per_class)
    found = again(data)
    assert found.fingerprint == data.fingerprint
    np.testing.assert_array_equal(found.x, data.x)
    assert again(data, classes=[0, 9]).classes == (0, 9)


def test_inputs_of_an_npz_file_are_found_again_where_they_are_said_to_lie(npz):
    path = npz(x=X, y=Y)
    for data in (load_dataset("npz", place=path), load_dataset("npz", [1, 0], 2, path)):
        assert again(data, place=path).fingerprint == data.fingerprint
        with pytest.raises(DataError, match="where the npz file lies is not in the rows"):
            again(data)


def test_other_inputs_are_not_taken_for_those_of_the_rows():
    data = load_dataset("digits", [0, 9], 100)
    message = "the digits found here has the fingerprint [0-9a-f]{12}…, the rows have f{12}…"
    with pytest.raises(DataError, match=message):
        again(data, fingerprint="f" * 64)
    with pytest.raises(DataError, match="the digits found here has the fingerprint"):
        again(data, classes=(9, 0))


def test_a_name_of_another_version_is_not_read_as_one_of_ours():
    data = load_dataset("digits", [0, 9], 100)
    with pytest.raises(DataError, match=r"data=mnist is no source .* fashion_mnist, digits, npz"):
        again(data, name="mnist")


def test_too_few_inputs_of_a_class_say_so_where_there_are_none_at_all():
    data = load_dataset("digits", [0, 9], 100)
    with pytest.raises(DataError, match="digits has 0 inputs of class 11"):
        again(data, classes=(0, 11))
