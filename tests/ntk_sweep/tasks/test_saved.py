"""Protects what is stored beside a row: kernels of layers by autograd, eigenvectors by Θ."""

import numpy as np
import pytest
import torch

from ntk_sweep import Network
from ntk_sweep.data.dataset import Dataset
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import SpectrumConfig
from ntk_sweep.tasks.rows import compute_row, stacked_rows
from tests.helpers import oracles
from tests.helpers.points import changed

X = np.random.default_rng(3).random((7, 4))
DATASET = Dataset("npz", X, np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0]), (3, 7), "saved")
FILES = ("kernel_file", "layer_kernels_file", "eigenvectors_file")


def point_of(act, parametrisation, bias_std=1.0, method="auto"):
    settings = SpectrumConfig(
        method=method,
        save_kernel=True,
        save_layer_kernels=True,
        save_eigenvectors=method != "extreme",
    )
    network = Architecture(act, 9, 4, parametrisation, 1.3, bias_std)
    return Point(settings, network, 5, "float64", "saved")


def check(point, result):
    assert result.row["status"] == "ok", result.row.get("error")
    theta, layers = result.arrays["kernel_file"], result.arrays["layer_kernels_file"]
    network = point.architecture
    drawn = Network.initialise(
        4,
        9,
        4,
        network.activation,
        network.parametrisation,
        5,
        weight_std=1.3,
        bias_std=network.bias_std,
    )
    expected = oracles.layer_kernels(drawn, torch.from_numpy(X))
    size = np.abs(theta).max()
    assert layers.shape == (4, 7, 7) and (layers == layers.transpose(0, 2, 1)).all()
    np.testing.assert_allclose(layers, expected, rtol=1e-11, atol=1e-13 * size)
    np.testing.assert_allclose(layers.sum(axis=0), theta, rtol=0, atol=1e-15 * size)
    shares = np.trace(layers, axis1=1, axis2=2) / np.trace(theta)
    np.testing.assert_allclose(result.row["layer_trace_shares"], shares, rtol=1e-12)
    if point.settings.save_eigenvectors:
        vectors = result.arrays["eigenvectors_file"]
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(7), atol=1e-13)
        again = (vectors * result.row["eigenvalues"]) @ vectors.T
        np.testing.assert_allclose(again, theta, rtol=0, atol=1e-13 * size)


@pytest.mark.parametrize(
    ("act", "parametrisation", "bias_std", "method"),
    [
        ("relu", "thesis", 1.0, "auto"),
        ("sigmoid", "ntk", 0.3, "double-double"),
        ("gelu", "standard", None, "eigh"),
        ("tanh", "thesis", 0.0, "jacobian"),
        ("elu", "ntk", 1.0, "extreme"),
    ],
)
def test_layers_and_eigenvectors(act, parametrisation, bias_std, method):
    point = point_of(act, parametrisation, bias_std, method)
    check(point, compute_row(point, DATASET, "cpu", None))


def test_layers_and_eigenvectors_of_networks_side_by_side():
    points = [point_of(act, "ntk") for act in ("relu", "sigmoid")]
    results = list(stacked_rows(points, DATASET, "cpu", None))
    for point in points:
        (result,) = (result for result in results if result.row["key"] == point.key)
        assert set(result.arrays) == {*FILES}
        check(point, result)


def test_only_what_is_asked_for_is_kept():
    for name, column in zip(
        ("save_kernel", "save_layer_kernels", "save_eigenvectors"), FILES, strict=True
    ):
        point = changed(point_of("relu", "thesis"), settings=SpectrumConfig(**{name: True}))
        assert set(compute_row(point, DATASET, "cpu", None).arrays) == {column}
