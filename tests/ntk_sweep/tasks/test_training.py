"""Protects that a row of the task `training` says what the library says."""

import dataclasses

import numpy as np
import pytest
import scipy.linalg
import torch

from ntk_sweep import Network, empirical_ntk
from ntk_sweep.data.dataset import Dataset
from ntk_sweep.data.labelling import Labelling
from ntk_sweep.dynamics.predictions import (
    gradient_descent_losses,
    gradient_flow_losses,
    linearised_sgd_losses,
)
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import SpectrumConfig, TrainingConfig
from ntk_sweep.store.columns import schema
from ntk_sweep.store.reading import finished
from ntk_sweep.tasks import spectrum as spectrum_task
from ntk_sweep.tasks import training as training_task
from ntk_sweep.tasks.rows import compute_row
from ntk_sweep.training.gradient_descent import GradientDescent
from ntk_sweep.training.gradient_flow import follow
from ntk_sweep.training.sgd import sample_orders, train
from tests.helpers.points import changed

GENERATOR = np.random.default_rng(3)
DATASET = Dataset(
    "npz",
    GENERATOR.random((9, 4)),
    np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0]),
    (3, 7),
    "fingerprint",
)
SETTINGS = TrainingConfig(learning_rate=0.02, epochs=6)
POINT = Point(SETTINGS, Architecture("elu", 30, 3, "ntk"), 5, "float64", "fingerprint")


def point(**changes):
    return changed(POINT, settings=dataclasses.replace(SETTINGS, **changes))


def row_of(point):
    result = compute_row(point, DATASET, "cpu", "commit")
    assert not result.arrays
    assert set(result.row) <= set(schema("training").names)
    return result.row


def network_of(point):
    network = Network.initialise(
        4,
        point.architecture.width,
        point.architecture.depth,
        point.architecture.activation,
        point.architecture.parametrisation,
        point.seed,
    )
    return network, torch.from_numpy(DATASET.x), torch.from_numpy(DATASET.y)


@pytest.mark.parametrize(
    ("batch_size", "used", "steps"), [(1, 1, 54), (4, 4, 18), (None, 9, 6), (100, 9, 6)]
)
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_row_is_what_the_library_computes(batch_size, used, steps, shuffle):
    wanted = point(batch_size=batch_size, shuffle=shuffle)
    row = row_of(wanted)
    assert row["status"] == "ok", row.get("error")
    network, x, y = network_of(wanted)
    orders = list(sample_orders(9, 6, seed=5, shuffle=shuffle))
    run = train(GradientDescent(network, x, y, 0.02, used), orders)
    for column in ("losses", "running_losses", "accuracies", "initial_outputs", "outputs"):
        np.testing.assert_array_equal(row[column], getattr(run, column), err_msg=column)
    assert (row["steps"], row["steps_per_epoch"], row["batch_size"], row["shuffle"]) == (
        steps,
        steps // 6,
        used,
        shuffle,
    )
    assert (row["initial_loss"], row["final_loss"], row["final_accuracy"]) == (
        run.losses[0],
        run.losses[-1],
        run.accuracies[-1],
    )
    assert (row["step_size"], row["learning_rate"], row["learning_rate_unit"], row["epochs"]) == (
        0.02,
        0.02,
        "absolute",
        6,
    )
    assert 0 < row["training_seconds"] < row["seconds"]
    theta = empirical_ntk(network, x).numpy()
    values, vectors = np.linalg.eigh(theta)
    residual = run.initial_outputs - DATASET.y
    taken = steps // 6 * np.arange(7)
    flow = gradient_flow_losses(values, vectors, residual, 0.02 * taken)
    np.testing.assert_allclose(row["flow_losses"], flow, rtol=1e-9)
    np.testing.assert_allclose(
        row["descent_losses"],
        gradient_descent_losses(values, vectors, residual, 0.02, taken),
        rtol=1e-9,
    )
    np.testing.assert_allclose(
        row["linearised_losses"],
        linearised_sgd_losses(theta, residual, orders, 0.02, used),
        rtol=1e-9,
    )


def linearised(network, x):
    """The Jacobian of the outputs with respect to all parameters by autograd, (N, parameters)."""
    parameters = [*network.weights, *network.biases]
    count = len(network.weights)

    def outputs(*values):
        return Network(values[:count], values[count:], network.activation, network.parametrisation)(
            x
        )

    blocks = torch.autograd.functional.jacobian(outputs, tuple(parameters))
    return torch.cat([block.flatten(1) for block in blocks], 1).numpy()


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
@pytest.mark.parametrize("batch_size", [1, 4, None])
def test_predictions_are_those_of_the_network_linearised_by_autograd(batch_size, parametrisation):
    """No formula of the library: parameters of f_0 + J θ moved step by step, and the matrix
    exponential."""
    settings = point(batch_size=batch_size, epochs=4, learning_rate=0.003)
    wanted = changed(settings, parametrisation=parametrisation, width=12)
    row = row_of(wanted)
    network, x, y = network_of(wanted)
    jacobian, first, y = linearised(network, x), network(x).numpy(), y.numpy()
    size = batch_size or 9
    theta, sgd = np.zeros(jacobian.shape[1]), [np.mean((first - y) ** 2)]
    for order in sample_orders(9, 4, seed=5):
        for start in range(0, 9, size):
            batch = order[start : start + size]
            residual = first[batch] + jacobian[batch] @ theta - y[batch]
            theta -= 0.003 * 2 / len(batch) * residual @ jacobian[batch]
        sgd.append(np.mean((first + jacobian @ theta - y) ** 2))
    np.testing.assert_allclose(row["linearised_losses"], sgd, rtol=1e-9)
    kernel, steps_per_epoch = jacobian @ jacobian.T, -(-9 // size)
    for epoch in range(5):
        steps = epoch * steps_per_epoch
        flow = scipy.linalg.expm(-2 / 9 * kernel * 0.003 * steps) @ (first - y)
        assert row["flow_losses"][epoch] == pytest.approx(np.mean(flow**2), rel=1e-9)
        descent = np.linalg.matrix_power(np.eye(9) - 2 * 0.003 / 9 * kernel, steps) @ (first - y)
        assert row["descent_losses"][epoch] == pytest.approx(np.mean(descent**2), rel=1e-9)
    assert row["lambda_max"] == pytest.approx(np.linalg.eigvalsh(kernel)[-1], rel=1e-12)
    assert sgd[-1] < 0.9 * sgd[0]


def test_a_row_holds_the_spectrum_that_the_other_task_computes():
    spectrum = compute_row(changed(POINT, settings=SpectrumConfig()), DATASET, "cpu", None).row
    row = row_of(POINT)
    compared = set(schema("spectrum").names) - {
        "key",
        "task",
        "seconds",
        "finished_at",
        "git_commit",
    }
    for column in compared & set(spectrum):
        np.testing.assert_array_equal(row[column], spectrum[column], err_msg=column)


def test_complexities_are_those_of_the_targets_and_of_the_initial_residual():
    row = row_of(POINT)
    network, x, *_ = network_of(POINT)
    theta = empirical_ntk(network, x).numpy()
    residual = row["initial_outputs"] - DATASET.y
    for name, v in (("target", DATASET.y), ("residual", residual)):
        expected = v @ np.linalg.solve(theta, v) / len(v)
        assert row[f"{name}_complexity"] == pytest.approx(expected, rel=1e-9)
        assert 0 < row[f"{name}_complexity_error"] <= 1e-9 * expected


def test_learning_rate_in_units_of_the_inverse_of_lambda_max():
    row = row_of(point(learning_rate=0.5, learning_rate_unit="inverse_lambda_max"))
    assert row["step_size"] == 0.5 / row["lambda_max"]
    assert (row["learning_rate"], row["learning_rate_unit"]) == (0.5, "inverse_lambda_max")
    same = row_of(point(learning_rate=row["step_size"]))
    np.testing.assert_array_equal(row["losses"], same["losses"])


def flow_point(**changes):
    settings = {"optimiser": "flow", "stop_at_loss": 1e-2} | changes
    return changed(POINT, settings=TrainingConfig(**settings), act="tanh")


@pytest.mark.parametrize("centred", [False, True])
def test_a_row_of_a_flow_is_what_the_library_computes(centred):
    wanted = flow_point(flow_time=20.0, flow_tolerance=1e-5, centre_outputs=centred)
    row = row_of(wanted)
    assert row["status"] == "ok", row.get("error")
    network, x, y = network_of(wanted)
    run = follow(network, x, y, 1e-5, 20.0, 1e-2, centred)
    lists = ("times", "losses", "local_rates", "kernel_drifts", "accuracies", "outputs")
    for column in (*lists, "initial_outputs"):
        np.testing.assert_array_equal(row[column], getattr(run, column), err_msg=column)
    assert (row["steps"], row["flow_steps_missed"]) == (run.steps, run.missed)
    assert (row["initial_loss"], row["final_loss"], row["final_accuracy"]) == (
        run.losses[0],
        run.losses[-1],
        run.accuracies[-1],
    )
    theta = empirical_ntk(network, x).numpy()
    residual = run.initial_outputs - DATASET.y
    flow = gradient_flow_losses(*np.linalg.eigh(theta), residual, run.times)
    np.testing.assert_allclose(row["flow_losses"], flow, rtol=1e-8)
    rate = residual @ theta @ residual / (residual @ residual)
    assert row["residual_rate"] == pytest.approx(rate, rel=1e-10)
    assert row["local_rates"][0] == pytest.approx(4 / 9 * row["residual_rate"], rel=1e-10)
    settings = ("optimiser", "flow_time", "flow_tolerance", "stop_at_loss", "centre_outputs")
    assert [row[name] for name in settings] == ["flow", 20.0, 1e-5, 1e-2, centred]
    for name in ("learning_rate", "learning_rate_unit", "batch_size", "epochs", "shuffle"):
        assert row[name] is None, name
    assert not {"step_size", "steps_per_epoch", "running_losses", "descent_losses"} & set(row)
    assert 0 < row["training_seconds"] < row["seconds"]


def test_a_flow_missing_its_tolerance_says_so(monkeypatch):
    real = training_task.follow
    monkeypatch.setattr(
        training_task, "follow", lambda *given: dataclasses.replace(real(*given), missed=3)
    )
    assert row_of(flow_point(flow_time=0.1))["flow_steps_missed"] == 3


def test_a_flow_ends_at_1e_20_where_no_loss_is_asked_for():
    row = row_of(flow_point(stop_at_loss=None, flow_tolerance=0.1))
    assert row["final_loss"] <= 1e-20 and row["stop_at_loss"] is None


def test_a_flow_in_single_precision_fails_with_a_reason():
    row = compute_row(changed(flow_point(), dtype="float32"), DATASET, "cpu", None).row
    assert row["status"] == "failed"
    assert "the network is torch.float32, but a gradient flow needs float64" in row["error"]
    assert row["optimiser"] == "flow"


def test_targets_of_other_values_are_parted_halfway():
    """Targets of -9 and -7: all outputs before training are those of the second class."""
    labelling = Labelling(targets=(-9.0, -7.0))
    dataset = dataclasses.replace(DATASET, y=2 * DATASET.y - 9, labelling=labelling)
    for wanted in (flow_point(flow_time=1e-3), point()):
        row = compute_row(wanted, dataset, "cpu", None).row
        assert min(row["initial_outputs"]) > -8
        assert row["accuracies"][0] == 4 / 9


def test_steps_that_begin_at_the_zero_function():
    """f - f_0 to y is f to y + f_0 (Chizat, Oyallon, Bach 2019)."""
    row = row_of(point(centre_outputs=True))
    network, x, y = network_of(POINT)
    assert (np.array(row["initial_outputs"]) == 0).all()
    assert row["initial_loss"] == np.mean(DATASET.y**2)
    orders = list(sample_orders(9, 6, seed=5))
    shifted = train(GradientDescent(network, x, y + network(x), 0.02, 1), orders)
    np.testing.assert_allclose(row["losses"], shifted.losses, rtol=1e-9)
    theta = empirical_ntk(network, x).numpy()
    linear = linearised_sgd_losses(theta, -DATASET.y, orders, 0.02, 1)
    np.testing.assert_allclose(row["linearised_losses"], linear, rtol=1e-9)
    rate = DATASET.y @ theta @ DATASET.y / (DATASET.y @ DATASET.y)
    assert row["residual_rate"] == pytest.approx(rate, rel=1e-10)
    assert row["centre_outputs"] is True and row_of(point())["centre_outputs"] is False


def test_steps_end_at_the_loss_asked_for():
    whole = row_of(point(learning_rate=0.005))
    goal = whole["losses"][3]
    assert (np.diff(whole["losses"][:4]) < 0).all()
    row = row_of(point(learning_rate=0.005, stop_at_loss=goal))
    np.testing.assert_array_equal(row["losses"], whole["losses"][:4])
    assert (row["status"], row["steps"], row["epochs"], row["stop_at_loss"]) == ("ok", 27, 6, goal)
    linear = np.array(whole["linearised_losses"])
    first = int(np.argmax(linear <= goal)) if (linear <= goal).any() else 6
    np.testing.assert_array_equal(row["linearised_losses"], linear[: first + 1])
    assert len(row["flow_losses"]) == len(row["descent_losses"]) == 7


def test_learning_rate_in_units_of_the_inverse_of_the_greatest_diagonal_entry():
    row = row_of(point(learning_rate=0.5, learning_rate_unit="inverse_max_diagonal"))
    network, x, _ = network_of(POINT)
    greatest = float(empirical_ntk(network, x).diagonal().max())
    assert row["max_diagonal"] == pytest.approx(greatest, rel=1e-13)
    assert row["step_size"] == 0.5 / row["max_diagonal"]
    assert row["linear_stability"] == pytest.approx(0.5, rel=1e-15)
    assert row_of(POINT)["linear_stability"] == 0.02 * row["max_diagonal"]


def test_leading_eigenvalues_by_their_rank():
    generator = np.random.default_rng(0)
    dataset = Dataset("npz", generator.random((12, 4)), np.arange(12) % 2.0, (3, 7), "fingerprint")
    row = compute_row(changed(POINT, settings=SpectrumConfig()), dataset, "cpu", None).row
    assert row["lambda_10"] == row["eigenvalues"][2] == sorted(row["eigenvalues"])[-10]
    assert [row[f"lambda_{count}"] for count in (50, 100, 150)] == [None] * 3


def test_kernels_along_the_way():
    row = row_of(point(record_kernel_every=2))
    assert row["kernel_epochs"] == [0, 2, 4, 6]
    network, x, y = network_of(POINT)
    first = empirical_ntk(network, x)
    run = train(GradientDescent(network, x, y, 0.02, 1), sample_orders(9, 6, seed=5))
    last = empirical_ntk(run.network, x)
    assert row["kernel_changes"][0] == 0
    assert row["kernel_changes"][-1] == pytest.approx(
        float((last - first).norm() / first.norm()), rel=1e-9
    )
    values = torch.linalg.eigvalsh(last)
    assert row["kernel_lambda_min"][-1] == pytest.approx(float(values[0]), rel=1e-8)
    assert row["kernel_lambda_max"][-1] == pytest.approx(float(values[-1]), rel=1e-10)
    assert row["kernel_lambda_min"][0] == row["lambda_min"] != row["kernel_lambda_min"][-1]
    assert row["kernel_lambda_min_errors"][-1] < 1e-9 * row["kernel_lambda_min"][-1]
    outer = torch.outer(y, y)
    alignment = float((last * outer).sum() / (last.norm() * outer.norm()))
    assert row["kernel_alignments"][-1] == pytest.approx(alignment, rel=1e-10)
    assert row["kernel_alignments"][0] == row["alignment"]
    np.testing.assert_array_equal(row["losses"], row_of(POINT)["losses"])
    assert "kernel_epochs" not in row_of(POINT)


def test_a_diverged_run_is_a_result_with_its_history():
    row = row_of(point(learning_rate=1e4, epochs=80, record_kernel_every=1))
    assert row["status"] == "diverged"
    epochs = len(row["losses"]) - 1
    assert row["error"] == f"the loss overflowed in epoch {epochs} of 80" and epochs < 80
    assert np.isfinite(row["losses"][:-1]).all() and not np.isfinite(row["losses"][-1])
    assert row["steps"] == 9 * epochs
    assert len(row["flow_losses"]) == len(row["linearised_losses"]) == 81
    assert len(row["kernel_epochs"]) == len(row["kernel_changes"]) >= epochs
    assert row["lambda_min"] > 0


def test_a_kernel_that_overflows_while_the_loss_does_not_leaves_a_gap(monkeypatch):
    def overflows(trace, **options):
        raise ValueError("the kernel overflows")

    monkeypatch.setattr(training_task, "centred_kernel", overflows)
    row = row_of(point(record_kernel_every=3))
    assert row["status"] == "ok"
    assert row["kernel_epochs"] == [0, 3, 6]
    assert row["kernel_lambda_max"][0] == row["lambda_max"]
    assert (
        np.isnan(row["kernel_lambda_max"][1:]).all() and np.isnan(row["kernel_changes"][1:]).all()
    )


def test_a_loss_that_overflows_before_training_fails_with_a_reason(monkeypatch):
    """In single precision, where its squares overflow and those of the kernel do not."""
    monkeypatch.setattr(spectrum_task, "LIMIT_SAMPLES", 0)  # it takes seconds, and is not asked for
    dataset = dataclasses.replace(DATASET, x=DATASET.x * 1e25)
    row = compute_row(changed(POINT, dtype="float32"), dataset, "cpu", None).row
    assert row["status"] == "failed"
    assert (
        "ValueError: the loss is not finite: it overflows float32 in the squares of the residuals "
        "before training; scale the inputs or weight_std down, or use float64"
    ) in row["error"]


def test_huge_inputs_of_saturated_units_are_trained_in_single_precision_too(monkeypatch):
    """Their squares overflow, which the steps need not."""
    monkeypatch.setattr(spectrum_task, "LIMIT_SAMPLES", 0)  # it takes seconds, and is not asked for
    dataset = dataclasses.replace(DATASET, x=DATASET.x * 1e20)
    row = compute_row(changed(POINT, act="sigmoid", dtype="float32"), dataset, "cpu", None).row
    assert (row["status"], row["steps"]) == ("ok", 54)
    assert row["final_loss"] < row["initial_loss"]


def test_a_network_whose_kernel_overflows_fails_with_a_reason():
    dataset = dataclasses.replace(DATASET, x=DATASET.x * 1e200)
    row = compute_row(POINT, dataset, "cpu", None).row
    assert row["status"] == "failed" and "overflows" in row["error"]
    assert (row["learning_rate"], row["batch_size"], row["epochs"], row["shuffle"]) == (
        0.02,
        1,
        6,
        True,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_fit_the_schema(dtype, tmp_path):
    from ntk_sweep.store.reading import load_results
    from ntk_sweep.store.store import Store
    from ntk_sweep.store.writer import PartWriter

    store = Store(str(tmp_path), "training")
    rows = [
        compute_row(changed(p, dtype=dtype), DATASET, "cpu", None).row
        for p in (
            point(),
            point(record_kernel_every=3),
            point(learning_rate=1e9),
            point(learning_rate=1e9, record_kernel_every=1),
        )
    ]
    rows.append(compute_row(flow_point(flow_time=1e-3), DATASET, "cpu", None).row)
    PartWriter(store).commit(rows)
    frame = load_results(tmp_path / "training")
    assert sorted(frame["status"]) == ["diverged", "diverged", "ok", "ok", "ok"]
    assert set(finished(store)) == {row["key"] for row in rows}
