"""Protects normalised inputs: their definition, the same bits in any order, and what is refused."""

import re

import numpy as np
import pytest

from ntk_sweep.data.dataset import find_again, load_dataset
from ntk_sweep.data.normalisation import NORMALISATIONS, STANDARDISED, UNIT_SPHERE, Normalisation
from ntk_sweep.errors import DataError

X = np.random.default_rng(0).random((30, 7)) * np.logspace(-3, 3, 30)[:, None]


def normalised(kind, x):
    return Normalisation.of(kind, x)(x)


def test_each_kind_is_its_definition():
    np.testing.assert_array_equal(normalised("none", X), X)
    norms = np.linalg.norm(X, axis=1, keepdims=True)
    np.testing.assert_allclose(normalised(UNIT_SPHERE, X), X / norms, rtol=1e-15)
    expected = (X - X.mean()) / X.std()
    np.testing.assert_allclose(normalised(STANDARDISED, X), expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("kind", NORMALISATIONS)
def test_no_bit_depends_on_the_order_of_additions(kind):
    rows, columns = np.random.default_rng(1).permutation(30), np.arange(7)[::-1]
    turned = normalised(kind, np.asfortranarray(X[rows][:, columns]))
    np.testing.assert_array_equal(turned, normalised(kind, X)[rows][:, columns])


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e305])
def test_squares_neither_overflow_nor_underflow_on_the_sphere(scale):
    found = normalised(UNIT_SPHERE, X[-3:] / X.max() * scale)
    np.testing.assert_allclose(found, normalised(UNIT_SPHERE, X[-3:]), rtol=1e-14)


def test_what_cannot_be_normalised_is_refused():
    x = X.copy()
    x[4] = 0
    with pytest.raises(DataError, match=r"unit_sphere divides .* input 4 of those taken is zero"):
        normalised(UNIT_SPHERE, x)
    with pytest.raises(DataError, match="standard deviation of the inputs, which is 0"):
        normalised(STANDARDISED, np.full((3, 2), 0.5))


@pytest.mark.parametrize("kind", NORMALISATIONS)
def test_test_inputs_are_prepared_as_those_trained_on(kind):
    plain = load_dataset("digits", [0, 9], 20, n_test_per_class=10)
    data = load_dataset("digits", [0, 9], 20, n_test_per_class=10, normalise=kind)
    prepare = Normalisation.of(kind, plain.x)
    np.testing.assert_array_equal(data.x, prepare(plain.x))
    np.testing.assert_array_equal(data.test.x, prepare(plain.test.x))
    assert data.normalise == kind
    found = find_again("digits", data.fingerprint, [0, 9], 40, normalise=kind)
    assert found.fingerprint == data.fingerprint
    if kind != "none":
        assert set(data.fingerprints).isdisjoint(plain.fingerprints)
        with pytest.raises(DataError, match=re.escape("has the fingerprint")):
            find_again("digits", data.fingerprint, [0, 9], 40)
