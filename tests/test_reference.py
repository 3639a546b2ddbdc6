import json
import os
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import REPOSITORY

from ntk_sweep.config import DataConfig
from ntk_sweep.datasets import load_dataset
from ntk_sweep.network import Network
from ntk_sweep.spectrum import ntk_spectrum

FOLDER = Path(os.environ.get("NTK_SWEEP_SHARED") or REPOSITORY.parent / "shared")
NAMES = sorted(path.name for path in FOLDER.glob("reference/ref_*.json"))
SMOOTH = {"sigmoid"}


@pytest.fixture(scope="module")
def spectra(shared):
    return {}


def computed(shared, name, cache):
    """(Reference, spectrum), each computed once."""
    if name not in cache:
        reference = json.loads((shared / "reference" / name).read_text())
        data = DataConfig("fashion_mnist", root=str(shared / "data"), classes=[0, 9], n_per_class=reference["n_per_class"])
        x = torch.from_numpy(load_dataset(data).x)
        rng = np.random.default_rng(reference["seed"])
        sizes = [x.shape[1]] + [reference["width"]] * (reference["depth"] - 1) + [1]
        weights, biases = [], []
        for fan_in, fan_out in pairwise(sizes):
            weights.append(torch.from_numpy(rng.standard_normal((fan_out, fan_in))))
            biases.append(torch.from_numpy(rng.standard_normal(fan_out)))
        cache[name] = reference, ntk_spectrum(Network(weights, biases, reference["act"], "thesis"), x)
    return cache[name]


def test_reference_spectra_are_found(shared):
    assert len(NAMES) == 9
    assert {name.split("_")[1] for name in NAMES} == {"relu", "elu", "lrelu", "sigmoid"}


@pytest.mark.parametrize("name", NAMES)
def test_true_eigenvalues_lie_within_the_error_bounds(shared, name, spectra):
    reference, spectrum = computed(shared, name, spectra)
    truth = [Decimal(value) for value in reference["eigenvalues"]]
    assert len(truth) == 2 * reference["n_per_class"] == len(spectrum.eigenvalues)
    for value, bound, true in zip(spectrum.eigenvalues.tolist(), spectrum.errors.tolist(), truth, strict=True):
        assert abs(Decimal(value) - true) <= Decimal(bound)


@pytest.mark.parametrize("name", NAMES)
def test_resolved_eigenvalues_are_true_to_a_factor_of_two(shared, name, spectra):
    reference, spectrum = computed(shared, name, spectra)
    truth = np.array([float(value) for value in reference["eigenvalues"]])
    ratio = (spectrum.eigenvalues.numpy() / truth)[spectrum.resolved.numpy()]
    assert len(ratio) > 0
    assert (ratio < 2).all()
    assert (ratio > 0).all()


@pytest.mark.parametrize("name", [name for name in NAMES if name.split("_")[1] not in SMOOTH])
def test_spectra_of_piecewise_activations_are_true_to_many_digits(shared, name, spectra):
    """All eigenvalues are far above rounding there."""
    reference, spectrum = computed(shared, name, spectra)
    truth = np.array([float(value) for value in reference["eigenvalues"]])
    assert spectrum.resolved.all()
    np.testing.assert_allclose(spectrum.eigenvalues.numpy(), truth, rtol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_greatest_eigenvalue_is_true_to_fourteen_digits(shared, name, spectra):
    reference, spectrum = computed(shared, name, spectra)
    assert spectrum.eigenvalues[-1].item() == pytest.approx(float(reference["eigenvalues"][-1]), rel=1e-13)
