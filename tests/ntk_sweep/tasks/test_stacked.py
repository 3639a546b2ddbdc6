"""Protects that networks side by side, as a GPU takes them, are the networks alone.

Checked on the CPU, where the same code runs.
"""

import dataclasses
import time
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import DTYPES, SpectrumConfig, TrainingConfig
from ntk_sweep.store.columns import schema
from ntk_sweep.tasks import rows as tasks
from ntk_sweep.tasks import stacked as stack_task
from ntk_sweep.tasks.allowance import Allowance
from ntk_sweep.tasks.computation import Caches
from ntk_sweep.tasks.rows import compute_row, compute_rows, stacked_rows
from ntk_sweep.tasks.stacked import compute_stacked
from tests.helpers.exact import absolute_errors, exact_spectrum
from tests.helpers.points import changed

GENERATOR = np.random.default_rng(3)
X = torch.from_numpy(GENERATOR.random((6, 5)))
DATASET = Dataset("npz", X.numpy(), np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.0]), (3, 7), "stack")
POINT = Point(SpectrumConfig(), Architecture("relu", 9, 4, "thesis"), 0, "float64", "stack")


def points(**changes):
    """Two depths, three activations, three seeds, one combination missing."""
    base = changed(POINT, **changes)
    every = [
        changed(base, act=act, depth=depth, seed=seed)
        for act in ("relu", "sigmoid", "tanh")
        for depth in (2, 4)
        for seed in range(3)
    ]
    return every[:-1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", ["auto", "eigh", "double-double"])
def test_rows(dtype, method):
    # no bound of these networks is so near the target that roundings would decide
    settings = SpectrumConfig(method=method, target=3e-10, save_kernel=True)
    wanted = points(dtype=dtype, settings=settings)
    results = {
        result.row["key"]: result for result in stacked_rows(wanted, DATASET, "cpu", "commit")
    }
    assert set(results) == {point.key for point in wanted}
    caches = Caches()
    for point in wanted:
        row = results[point.key].row
        alone = compute_row(point, DATASET, "cpu", "commit", caches).row
        assert row["status"] == alone["status"] == "ok", row.get("error")
        assert set(row) == set(alone) <= set(schema("spectrum").names)
        same = (
            "act",
            "width",
            "depth",
            "seed",
            "method",
            "meets_target",
            "limit_lambda_min",
            "nngp_lambda_max",
            "device",
            "git_commit",
        )
        assert [row[name] for name in same] == [alone[name] for name in same]
        np.testing.assert_allclose(
            row["eigenvalues"], alone["eigenvalues"], rtol=1e-3 if dtype == "float32" else 1e-7
        )
        for end in ("lambda_min", "lambda_max"):
            error = row[f"conjugate_{end}_error"] + alone[f"conjugate_{end}_error"]
            assert row[f"conjugate_{end}"] == pytest.approx(
                alone[f"conjugate_{end}"], abs=error, rel=0
            )
            assert row[f"conjugate_{end}_error"] == pytest.approx(
                alone[f"conjugate_{end}_error"], rel=0.5
            )
        np.testing.assert_allclose(results[point.key].arrays["kernel_file"].trace(), row["trace"])
        if dtype == "float64" and method != "eigh" and point.seed == 1:
            network = Network.initialise(
                5, 9, point.architecture.depth, point.architecture.activation, "thesis", point.seed
            )
            exact = exact_spectrum(network, X)
            assert (
                absolute_errors(torch.tensor(row["eigenvalues"]), exact)
                <= torch.tensor(row["eigenvalue_errors"])
            ).all()


def test_stacks_fit_into_the_room(monkeypatch):
    asked = []
    launch = stack_task._launch
    monkeypatch.setattr(
        stack_task, "_launch", lambda stack, *rest: asked.append(stack) or launch(stack, *rest)
    )
    monkeypatch.setattr(stack_task, "CPU_BYTES", 2 * stack_task._bytes(POINT, 3, DATASET))
    assert len(list(stacked_rows(points(), DATASET, "cpu", None))) == 17
    assert max(len(stack) for stack in asked) == 2
    assert {
        len({point.architecture.activation for point in row}) for stack in asked for row in stack
    } == {2, 3}
    for stack in asked:
        assert (
            len(
                {
                    (point.architecture.width, point.architecture.depth)
                    for row in stack
                    for point in row
                }
            )
            == 1
        )
        assert len({tuple(point.architecture.activation for point in row) for row in stack}) == 1
        assert all(len({point.seed for point in row}) == 1 for row in stack)


def test_points_of_other_settings_or_dtype_are_stacked_apart():
    """And a stack has one shape, one parametrisation and scale, and one way to take differences."""
    changes = [
        {"settings": SpectrumConfig(method="eigh")},
        {"settings": SpectrumConfig(target=1e-6)},
        {"dtype": "float32"},
        {"depth": 3},
        {"width": 10},
        {"parametrisation": "ntk"},
        {"weight_std": 1.5},
        {"bias_std": None},
    ]
    wanted = [changed(POINT, seed=seed, **change) for seed in (0, 1) for change in ({}, *changes)]
    stacks = list(stack_task._stacks(wanted, DATASET, 2**30))
    assert sorted(len(stack) for stack in stacks) == [2] * 9
    for stack in stacks:
        first, second = (point for row in stack for point in row)
        assert changed(first, seed=1) == changed(second, seed=1)


def test_a_process_takes_its_share_of_a_device(monkeypatch):
    device = SimpleNamespace(total_memory=1000)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: device)
    cuda = torch.device("cuda")
    assert stack_task._room(cuda, 1.0) == int(1000 * stack_task.MEMORY_SHARE)
    assert stack_task._room(cuda, 0.25) == int(250 * stack_task.MEMORY_SHARE)


def test_on_a_gpu_points_that_can_be_are_stacked_with_the_share_and_the_caches(monkeypatch):
    asked = []

    def stacked(points, dataset, device, share, caches):
        asked.append((points, share, caches))
        return compute_stacked(points, dataset, device, share, caches)

    monkeypatch.setattr(tasks, "_is_cuda", lambda name: name == "cuda")
    monkeypatch.setattr(tasks, "torch_device", lambda name: torch.device("cpu"))
    monkeypatch.setattr(tasks, "compute_stacked", stacked)
    alone, caches = changed(POINT, settings=SpectrumConfig(method="jacobian")), Caches()
    rows = list(compute_rows([alone, POINT], DATASET, "cuda", None, Allowance(0.25), caches))
    assert [result.row["key"] for result in rows] == [POINT.key, alone.key]
    assert asked == [([POINT], 0.25, caches)]


def test_a_point_that_fails_in_company_fails_alone_too(monkeypatch):
    big = dataclasses.replace(DATASET, x=DATASET.x * 1e160, fingerprint="big")
    wanted = [changed(POINT, act=act, data_fingerprint="big") for act in ("relu", "sigmoid")]
    rows = {result.row["act"]: result.row for result in stacked_rows(wanted, big, "cpu", None)}
    assert rows["relu"]["status"] == "failed" and "not finite" in rows["relu"]["error"]
    assert rows["sigmoid"]["status"] == compute_row(wanted[1], big, "cpu", None).row["status"]


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
def test_points_of_a_stack_without_room_are_computed_alone_when_it_is_gone(monkeypatch, error):
    left = []

    def no_room(*_):
        stack = torch.zeros(3)
        left.append(weakref.ref(stack))
        raise error("out of memory")

    def alone(*arguments):
        assert [reference() for reference in left] == [None] * len(left)
        return compute_row(*arguments)

    monkeypatch.setattr(stack_task, "_launch", no_room)
    monkeypatch.setattr(tasks, "compute_row", alone)
    wanted = [changed(POINT, act=act) for act in ("relu", "sigmoid")]
    assert [result.row["status"] for result in stacked_rows(wanted, DATASET, "cpu", None)] == [
        "ok",
        "ok",
    ]
    assert left


def test_a_point_whose_columns_fail_is_computed_alone(monkeypatch):
    def fails(*_):
        raise MemoryError

    monkeypatch.setattr(stack_task, "spectrum_columns", fails)
    assert [result.row["status"] for result in stacked_rows([POINT], DATASET, "cpu", None)] == [
        "ok"
    ]


def test_the_time_limit_counts_for_each_point_and_not_for_its_stack(monkeypatch):
    """A stack that takes too long is computed one by one, as are those after it."""
    finish, done = stack_task._finish, []

    def slow(*arguments):
        if len(done) == 2:
            time.sleep(60)
        done.append(arguments)
        return finish(*arguments)

    monkeypatch.setattr(stack_task, "_finish", slow)
    wanted = points()
    results = stacked_rows(wanted, DATASET, "cpu", None, Allowance(seconds=2.0))
    rows = [result.row for result in results]
    assert len(done) == 2
    assert {row["key"] for row in rows} == {point.key for point in wanted}
    assert len(rows) == len(wanted)
    assert {row["status"] for row in rows} == {"ok"}


def test_on_a_cpu_and_for_other_tasks_points_are_computed_one_by_one():
    training = changed(POINT, settings=TrainingConfig(epochs=1))
    jacobian = changed(POINT, settings=SpectrumConfig(method="jacobian"))
    extreme = changed(POINT, settings=SpectrumConfig(method="extreme"))
    giant = changed(POINT, width=20_000, depth=4)
    for point in (training, jacobian, extreme, giant):
        assert not stack_task.can_be_stacked(point, DATASET)
    assert stack_task.can_be_stacked(POINT, DATASET)
    rows = [result.row for result in compute_rows([POINT, jacobian], DATASET, "cpu", None)]
    assert [row["method"] for row in rows] == [
        compute_row(POINT, DATASET, "cpu", None).row["method"],
        "jacobian",
    ]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_rows_on_a_gpu():
    rows = list(compute_rows(points(), DATASET, "cuda", None))
    assert len(rows) == 17
    for result in rows:
        assert result.row["status"] == "ok" and result.row["device"] == torch.cuda.get_device_name()
        exact = exact_spectrum(
            Network.initialise(
                5, 9, result.row["depth"], result.row["act"], "thesis", result.row["seed"]
            ),
            X,
        )
        errors = absolute_errors(torch.tensor(result.row["eigenvalues"]), exact)
        assert (errors <= torch.tensor(result.row["eigenvalue_errors"])).all()
