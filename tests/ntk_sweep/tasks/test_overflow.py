"""Protects rows of inputs that are far too large: a failed row says where it overflows and what to
do, and no row that is good holds a number that is not finite."""

import re

import numpy as np
import pytest

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import SpectrumConfig, TrainingConfig
from ntk_sweep.spectrum.methods import EXTREME, METHODS
from ntk_sweep.tasks import spectrum as spectrum_task
from ntk_sweep.tasks.computation import Caches
from ntk_sweep.tasks.rows import compute_row

X, Y = np.random.default_rng(0).random((6, 5)), np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])

TASKS = [
    *(SpectrumConfig(method=method) for method in (*METHODS, EXTREME)),
    TrainingConfig(epochs=2, batch_size=2, record_kernel_every=1),
    TrainingConfig(epochs=2, learning_rate=0.1, learning_rate_unit="inverse_lambda_max"),
]

REASON = re.compile(
    r"ValueError: the [\w' ]+ is not finite: it overflows float(32|64) in the [\w', ]+; scale the "
    r"inputs( or weight_std)? down(, or use float64)?\n$"
)

KERNEL = [
    "eigenvalues",
    "eigenvalue_errors",
    "lambda_min",
    "lambda_min_error",
    "lambda_max",
    "lambda_max_error",
    "trace",
    "layer_trace_shares",
]

SIZES = (1e18, 1e37, 1e50, 1e60, 1e77, 1e100, 1e153, 1e160, 1e250, 1e300)


def rows(size, activation, parametrisations, depths):
    data = Dataset("npz", X * size, Y, None, "large")
    for parametrisation in parametrisations:
        for depth in depths:
            for dtype in ("float64", "float32"):
                architecture, caches = Architecture(activation, 8, depth, parametrisation), Caches()
                for settings in TASKS:
                    point = Point(settings, architecture, 0, dtype, "large")
                    yield compute_row(point, data, "cpu", None, caches).row


def check(row):
    if row["status"] == "failed":
        assert REASON.search(row["error"]), row["error"]
        return
    for name in KERNEL:
        assert np.isfinite(row.get(name, 0.0)).all(), name
    if row["status"] == "ok" and row["task"] == "training":
        assert np.isfinite(row["losses"]).all()


@pytest.fixture(autouse=True)
def without_limits(monkeypatch):
    """They take seconds for such inputs, and have tests of their own."""
    monkeypatch.setattr(spectrum_task, "LIMIT_SAMPLES", 0)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("size", [1e77])
def test_large_inputs_fail_with_a_reason_or_yield_numbers(size, activation):
    for row in rows(size, activation, ["thesis"], [3]):
        check(row)


@pytest.mark.long
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("size", SIZES)
def test_large_inputs_of_any_size_and_network(size, activation):
    for row in rows(size, activation, PARAMETRISATIONS, [2, 3, 10]):
        check(row)


@pytest.mark.parametrize(
    ("size", "dtype", "reason"),
    [
        (
            1e39,
            "float32",
            "float32 in the inputs of layer 1; scale the inputs or weight_std down, or use float64",
        ),
        (
            3e38,
            "float32",
            "float32 in the outputs of layer 1; scale the inputs or weight_std down, or use",
        ),
        (1e77, "float64", "float64 in the squares of its entries, greatest in layer 3; scale the"),
        (1e100, "float64", "float64 in the squares of its entries, greatest in layer 3; scale the"),
        (
            1e160,
            "float64",
            "float64 in the squares of the inputs of layer 1; scale the inputs or weight_std down",
        ),
    ],
)
def test_the_reason_names_the_layer_and_the_way_out(size, dtype, reason):
    data = Dataset("npz", X * size, Y, None, "large")
    point = Point(SpectrumConfig(), Architecture("relu", 8, 3, "standard"), 0, dtype, "large")
    assert reason in compute_row(point, data, "cpu", None).row["error"]
