"""Protects that a row says what the library says, column by column."""

import sys
import time
from importlib import metadata

import numpy as np
import pytest
import torch

from ntk_sweep import (
    Network,
    conjugate_kernel,
    empirical_ntk,
    limit_kernels,
    limit_spectrum,
    ntk_spectrum,
)
from ntk_sweep.data.dataset import Dataset
from ntk_sweep.limit.kernel import limit_kernel_spectrum, limit_ntk
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.settings.point import BY_PRODUCTS, NUMERICS_VERSION, Point
from ntk_sweep.settings.schema import DTYPES, SpectrumConfig
from ntk_sweep.settings.tasks import TASKS, resolve
from ntk_sweep.spectrum.methods import CERTIFIED, EXTREME, METHODS, flint_fault
from ntk_sweep.store.columns import schema
from ntk_sweep.tasks.allowance import Allowance
from ntk_sweep.tasks.common_columns import provenance
from ntk_sweep.tasks.rows import compute_row, compute_rows
from tests.helpers.points import changed

GENERATOR = np.random.default_rng(3)
DATASET = Dataset(
    "npz", GENERATOR.random((6, 4)), np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.0]), (3, 7), "fingerprint"
)
POINT = Point(
    SpectrumConfig(save_kernel=True),
    Architecture("relu", 9, 3, "thesis"),
    5,
    "float64",
    "fingerprint",
)


def network_of(point):
    dtype = getattr(torch, point.dtype)
    network = Network.initialise(
        4,
        point.architecture.width,
        point.architecture.depth,
        point.architecture.activation,
        point.architecture.parametrisation,
        point.seed,
        dtype=dtype,
        weight_std=point.architecture.weight_std,
        bias_std=point.architecture.bias_std,
    )
    return network, torch.from_numpy(DATASET.x).to(dtype)


CHOICES = [
    (act, parametrisation, (2, 4)[(a + p + d) % 2], dtype)
    for a, act in enumerate(ACTIVATIONS)
    for p, parametrisation in enumerate(PARAMETRISATIONS)
    for d, dtype in enumerate(DTYPES)
]
"""Half of the combinations with two depths: every three choices still meet."""


@pytest.mark.parametrize(("act", "parametrisation", "depth", "dtype"), CHOICES)
def test_a_row_is_what_the_library_computes(act, parametrisation, depth, dtype):
    assert_as_computed(act, parametrisation, depth, dtype)


@pytest.mark.parametrize("act", ["relu", "elu", "sigmoid"])
@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
@pytest.mark.parametrize("scales", [(1.5, 0.3), (2**0.5, 0.0), (0.7, None)], ids=str)
def test_a_row_at_other_scales_is_what_the_library_computes(act, parametrisation, scales):
    row = assert_as_computed(act, parametrisation, 4, "float64", *scales)
    assert (row["weight_std"], row["bias_std"]) == scales


def assert_as_computed(act, parametrisation, depth, dtype, weight_std=1.0, bias_std=1.0):
    scales = weight_std, bias_std
    point = changed(POINT, act=act, parametrisation=parametrisation, depth=depth, dtype=dtype)
    point = changed(point, weight_std=weight_std, bias_std=bias_std)
    result = compute_row(point, DATASET, "cpu", "commit")
    row = result.row
    assert row["status"] == "ok", row.get("error")
    network, x = network_of(point)
    spectrum = ntk_spectrum(network, x)
    np.testing.assert_array_equal(row["eigenvalues"], spectrum.eigenvalues)
    np.testing.assert_array_equal(row["eigenvalue_errors"], spectrum.errors)
    assert (row["lambda_min"], row["lambda_max"]) == (
        spectrum.eigenvalues[0],
        spectrum.eigenvalues[-1],
    )
    assert (row["lambda_min_error"], row["lambda_max_error"]) == (
        spectrum.errors[0],
        spectrum.errors[-1],
    )
    assert row["lambda_min_resolved"] == bool(spectrum.eigenvalues[0] > spectrum.errors[0])
    if row["lambda_min_resolved"]:
        assert row["condition_number"] == pytest.approx(
            row["lambda_max"] / row["lambda_min"], rel=1e-15
        )
    assert (row["method"], row["meets_target"], row["target"]) == (
        spectrum.method,
        spectrum.meets_target,
        1e-9,
    )
    theta = empirical_ntk(network, x).double().numpy()
    tolerance = 100 * torch.finfo(x.dtype).eps
    np.testing.assert_allclose(
        result.arrays["kernel_file"], theta, rtol=tolerance, atol=tolerance * np.abs(theta).max()
    )
    assert row["trace"] == pytest.approx(np.trace(theta), rel=tolerance)
    limit = limit_spectrum(torch.from_numpy(DATASET.x), act, 9, depth, parametrisation, *scales)
    value, error = float(limit.eigenvalues[0]), float(limit.errors[0])
    if error <= 1e-6 * value:
        assert (row["limit_lambda_min"], row["limit_lambda_min_error"]) == (value, error)
    else:  # beyond float64 it may be known better
        assert row["limit_lambda_min_error"] <= error
        assert abs(row["limit_lambda_min"] - value) <= error + row["limit_lambda_min_error"]
    prediction = limit_ntk(
        torch.from_numpy(DATASET.x), act, 9, depth, parametrisation, *scales
    ).numpy()
    assert row["limit_distance"] == pytest.approx(
        np.linalg.norm(theta - prediction) / np.linalg.norm(prediction), rel=10 * tolerance
    )
    kernels = limit_kernels(torch.from_numpy(DATASET.x), act, 9, depth, parametrisation, *scales)
    nngp = limit_kernel_spectrum(kernels.nngp)
    conjugate = torch.linalg.eigvalsh(conjugate_kernel(network, x).double())
    for index, end in ((0, "lambda_min"), (-1, "lambda_max")):
        # of a recursion beyond float64 where Θ̄ needs one
        own, error = row[f"nngp_{end}_error"], float(nngp.errors[index])
        assert own <= 1.01 * error
        assert abs(row[f"nngp_{end}"] - float(nngp.eigenvalues[index])) <= own + error
        error = row[f"conjugate_{end}_error"] + tolerance * float(conjugate[-1])
        assert row[f"conjugate_{end}"] == pytest.approx(float(conjugate[index]), abs=error)
    assert len(row["layer_trace_shares"]) == depth
    assert sum(row["layer_trace_shares"]) == pytest.approx(1)
    return row


def test_diagnostics_by_their_definitions():
    row = compute_row(POINT, DATASET, "cpu", None).row
    network, x = network_of(POINT)
    theta, y = empirical_ntk(network, x).numpy(), DATASET.y
    shares = row["eigenvalues"] / row["eigenvalues"].sum()
    assert row["effective_rank"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    assert row["alignment"] == pytest.approx(y @ theta @ y / np.linalg.norm(theta) / (y @ y))
    centring = np.eye(6) - 1 / 6
    centred = centring @ theta @ centring
    deviation = y - y.mean()
    assert row["centred_alignment"] == pytest.approx(
        y @ centred @ y / np.linalg.norm(centred) / (deviation @ deviation)
    )
    cosines = theta / np.sqrt(np.outer(theta.diagonal(), theta.diagonal()))
    same = y[:, None] == y[None, :]
    within = cosines[same & ~np.eye(6, dtype=bool)].mean()
    assert row["class_contrast"] == pytest.approx(within - cosines[~same].mean())
    vectors = np.linalg.eigh(theta)[1][:, ::-1]
    weights = (vectors.T @ deviation) ** 2 / (deviation @ deviation)
    for count in (1, 2, 5, 10):
        assert row[f"target_share_{count}"] == pytest.approx(weights[:count].sum())


def test_coordinates_and_provenance():
    """A column says what the setting of its name was."""
    row = compute_row(POINT, DATASET, "cpu", "commit").row
    expected = {
        **{"act": "relu", "width": 9, "depth": 3, "parametrisation": "thesis", "seed": 5},
        **{"dtype": "float64", "task": "spectrum", "key": POINT.key},
        **{"data": "npz", "data_classes": (3, 7), "data_fingerprint": "fingerprint"},
        **{"n_samples": 6, "n_inputs": 4, "numerics_version": NUMERICS_VERSION},
        **{"git_commit": "commit", "device": "cpu"},
    }
    assert {name: row[name] for name in expected} == expected
    assert set(schema("spectrum").names) - set(row) == {"error", *BY_PRODUCTS.values()}
    assert set(row) <= set(schema("spectrum").names)


ALL_METHODS = [
    *METHODS,
    EXTREME,
    pytest.param(CERTIFIED, marks=pytest.mark.skipif(bool(flint_fault()), reason="no flint")),
]


@pytest.mark.parametrize("method", ALL_METHODS)
def test_the_method_asked_for_is_the_one_used(method):
    row = compute_row(
        changed(POINT, settings=SpectrumConfig(method=method)), DATASET, "cpu", None
    ).row
    assert method in ("auto", row["method"])
    exact = compute_row(POINT, DATASET, "cpu", None).row
    assert (
        abs(row["lambda_min"] - exact["lambda_min"])
        <= row["lambda_min_error"] + exact["lambda_min_error"]
    )


@pytest.mark.parametrize("method", ALL_METHODS)
def test_target_complexity(method):
    """By every method that knows all eigenvalues; a row without it is whole otherwise."""
    point = changed(POINT, settings=SpectrumConfig(method=method))
    row = compute_row(point, DATASET, "cpu", None).row
    network, x = network_of(POINT)
    expected = DATASET.y @ np.linalg.solve(empirical_ntk(network, x).numpy(), DATASET.y) / 6
    value, error = row["target_complexity"], row["target_complexity_error"]
    if method == EXTREME:
        assert row["status"] == "ok" and np.isnan(value) and np.isnan(error)
    else:
        assert value == pytest.approx(expected, rel=1e-10) and 0 < error < 1e-9 * value


def test_a_singular_kernel_leaves_the_complexity_open():
    dataset = Dataset("npz", np.ones((6, 4)), DATASET.y, (3, 7), "fingerprint")
    row = compute_row(POINT, dataset, "cpu", None).row
    assert row["status"] == "ok" and not row["lambda_min_resolved"]
    assert np.isnan([row["target_complexity"], row["target_complexity_error"]]).all()


def test_limits_are_the_same_in_whatever_order_they_are_asked_for():
    rows = {}
    for depths in ((2, 3, 4), (4, 3, 2)):
        for depth in depths:
            point = changed(POINT, act="elu", width=31 + depths[0], depth=depth)
            row = compute_row(point, DATASET, "cpu", None).row
            again = limit_spectrum(
                torch.from_numpy(DATASET.x), "elu", point.architecture.width, depth, "thesis"
            )
            assert row["limit_lambda_min"] == again.eigenvalues[0]
            rows[depths, depth] = row
    assert len(rows) == 6


def test_a_point_that_takes_too_long_is_a_failed_row_and_the_next_is_computed(monkeypatch):
    plain = resolve(TASKS["spectrum"].compute)

    def compute(work):
        if work.point.architecture.depth == 7:
            time.sleep(60)
        return plain(work)

    monkeypatch.setattr("ntk_sweep.tasks.spectrum.compute_spectrum", compute)
    late = changed(POINT, depth=7)
    rows = [
        result.row
        for result in compute_rows([late, POINT], DATASET, "cpu", None, Allowance(seconds=1.0))
    ]
    assert [(row["key"], row["status"]) for row in rows] == [
        (late.key, "failed"),
        (POINT.key, "ok"),
    ]
    last = rows[0]["error"].splitlines()[-1]
    assert last.endswith("the point took longer than compute.time_limit=1 s")
    assert "Traceback" in rows[0]["error"]
    assert rows[0]["seconds"] >= 1.0
    assert set(rows[0]) <= set(schema("spectrum").names)
    assert rows[1]["lambda_min"] == compute_row(POINT, DATASET, "cpu", None).row["lambda_min"]


def test_the_row_of_a_lost_point_needs_no_torch_and_no_record_of_its_installation(monkeypatch):
    installed = provenance(None)["torch_version"]
    assert installed == str(torch.__version__)
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "torch")
        assert provenance(None)["torch_version"] == installed

        def unknown(name):
            raise metadata.PackageNotFoundError(name)

        patch.setattr(metadata, "version", unknown)
        assert provenance(None)["torch_version"] is None
