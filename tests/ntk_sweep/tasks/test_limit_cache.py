"""Limit kernels of a sweep are computed once, by whoever needs them first."""

import dataclasses

import numpy as np
import pytest
import torch

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.dispatch.limit_requests import LimitPlan
from ntk_sweep.dispatch.plan import Job
from ntk_sweep.dispatch.queue import Chunk
from ntk_sweep.executors.ray import _compute_limits
from ntk_sweep.executors.ray_limits import SharedLimits
from ntk_sweep.executors.worker import prepare_process
from ntk_sweep.limit.kernel import limit_ntk, limit_spectrum
from ntk_sweep.numerics.thresholds import LIMIT_SAMPLES, LIMITS_KEPT_BELOW
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import SpectrumConfig
from ntk_sweep.tasks import limit_cache as limits
from ntk_sweep.tasks.limit_cache import LimitShelf, compute_limits
from ntk_sweep.tasks.limit_request import LimitSpec, limit_depths

X = np.random.default_rng(3).random((7, 4))
DATASET = Dataset("npz", X, np.arange(7) % 2.0, None, "limits")
POINT = Point(SpectrumConfig(), "relu", 9, 3, 0, "thesis", "float64", "limits")


def jobs(dataset=DATASET, **values):
    """A job for each combination of the values given."""
    points = [POINT]
    for name, choices in values.items():
        points = [
            dataclasses.replace(point, **{name: choice}) for point in points for choice in choices
        ]
    return [Job(point, "r", "cpu", False, dataset) for point in points]


def test_limits_are_those_of_the_library():
    found = compute_limits(LimitSpec("elu", 9, "ntk", (2, 5)), DATASET)
    assert set(found) == {2, 5}
    x = torch.from_numpy(X)
    for depth, limit in found.items():
        spectrum = limit_spectrum(x, "elu", 9, depth, "ntk")
        np.testing.assert_array_equal(limit.kernel, limit_ntk(x, "elu", 9, depth, "ntk"))
        assert (limit.lambda_min, limit.lambda_min_error) == (
            spectrum.eigenvalues[0],
            spectrum.errors[0],
        )


def test_a_chunk_names_each_architecture_once_with_all_depths_of_the_sweep():
    every = jobs(act=("relu", "elu"), width=(9, 20), depth=(2, 3, 7), seed=(0, 1))
    plan = LimitPlan(every)
    chunk = Chunk(tuple(job for job in every if job.point.width == 9 and job.point.depth == 3))
    assert plan.of(chunk) == (
        LimitSpec("relu", 9, "thesis", (2, 3, 7)),
        LimitSpec("elu", 9, "thesis", (2, 3, 7)),
    )


def test_depths_are_kept_together_only_where_kernels_are_small():
    assert limit_depths((7, 2), 2, LIMITS_KEPT_BELOW) == [2, 7]
    assert limit_depths((2, 7), 7, LIMITS_KEPT_BELOW + 1) == [7]
    large = dataclasses.replace(DATASET, x=np.zeros((LIMITS_KEPT_BELOW + 1, 4)))
    every = jobs(large, depth=(2, 3))
    assert LimitPlan(every).of(Chunk(tuple(every))) == (
        LimitSpec("relu", 9, "thesis", (2,)),
        LimitSpec("relu", 9, "thesis", (3,)),
    )


def test_a_process_computes_an_architecture_once(monkeypatch):
    asked = []
    monkeypatch.setattr(
        limits,
        "compute_limits",
        lambda spec, dataset: asked.append(spec) or compute_limits(spec, dataset),
    )
    shelf = LimitShelf()
    for depth in (5, 4, 2, 5):
        limit = shelf.of(dataclasses.replace(POINT, depth=depth), DATASET)
        assert (
            limit.lambda_min
            == compute_limits(LimitSpec("relu", 9, "thesis", (depth,)), DATASET)[depth].lambda_min
        )
    assert asked == [LimitSpec("relu", 9, "thesis", (2, 3, 4, 5))]
    shelf.of(dataclasses.replace(POINT, depth=6), DATASET)
    shelf.of(dataclasses.replace(POINT, act="elu"), DATASET)
    assert len(asked) == 3


def spec(width=9, depth=3):
    return LimitSpec("relu", width, "thesis", (depth,))


def test_what_was_handed_over_is_not_computed_again(monkeypatch):
    shelf, given = LimitShelf(), compute_limits(spec(), DATASET)[3]
    monkeypatch.delattr(limits, "compute_limits")
    shelf.put(DATASET, {spec(): {3: given}})
    assert shelf.of(POINT, DATASET) is given
    shelf.put(DATASET, {spec(depth=4): {4: given}})
    assert shelf.of(POINT, DATASET) is given


def test_a_process_keeps_so_many_bytes_of_limits_and_those_of_the_chunk_at_hand(monkeypatch):
    given = compute_limits(spec(), DATASET)[3]
    monkeypatch.delattr(limits, "compute_limits")
    monkeypatch.setattr(limits, "SHELF_BYTES", 3 * given.kernel.nbytes)
    shelf = LimitShelf()

    def held():
        return [
            width for width in range(9, 30) if limits._key(DATASET, spec(width), 3) in shelf._known
        ]

    for width in (9, 10, 11):
        shelf.put(DATASET, {spec(width): {3: given}})
    assert held() == [9, 10, 11]
    shelf.put(DATASET, {spec(9): {3: given}, spec(12): {3: given}})
    assert held() == [9, 11, 12]
    shelf.put(DATASET, {spec(width): {3: given} for width in range(20, 25)})
    assert held() == [20, 21, 22, 23, 24]
    with pytest.raises(NameError):
        shelf.of(POINT, DATASET)  # it had to make room


def test_an_exception_is_handed_over_too():
    bad = dataclasses.replace(DATASET, x=X * np.nan)
    error = _compute_limits(spec(), bad, 1)
    assert isinstance(error, ValueError)
    shelf = LimitShelf()
    shelf.put(bad, {spec(): error})
    with pytest.raises(ValueError, match="not finite"):
        shelf.of(POINT, bad)
    shelf.put(DATASET, {spec(): compute_limits(spec(), DATASET)})
    assert shelf.of(POINT, DATASET).lambda_min > 0


def test_ray_computes_limits_on_as_many_threads_as_a_worker_has():
    before, data = (
        torch.get_num_threads(),
        dataclasses.replace(DATASET, x=np.random.default_rng(1).random((200, 9))),
    )
    try:
        for threads in (1, 2):
            found = _compute_limits(spec(), data, threads)[3]
            assert torch.get_num_threads() == threads
            prepare_process(threads)
            own = compute_limits(spec(), data)[3]
            np.testing.assert_array_equal(found.kernel, own.kernel)
            assert found.lambda_min == own.lambda_min
    finally:
        prepare_process(before)


def test_no_limits_are_asked_for_above_their_size():
    large = dataclasses.replace(DATASET, x=np.zeros((LIMIT_SAMPLES + 1, 4)))
    every = jobs(large)
    assert LimitPlan(every).of(Chunk(tuple(every))) == ()


def test_a_cluster_computes_an_architecture_once():
    asked = []
    shared = SharedLimits(
        lambda spec, sent: asked.append((spec, sent)) or f"limits {len(asked)}", store_bytes=80e6
    )
    specs = {width: LimitSpec("relu", width, "thesis", (2, 3)) for width in (9, 20)}
    for width, expected in ((9, "limits 1"), (20, "limits 2"), (20, "limits 2"), (9, "limits 1")):
        assert shared.reference(specs[width], DATASET, "data") == expected
    assert asked == [(specs[9], "data"), (specs[20], "data")]
    large = dataclasses.replace(
        DATASET, x=np.zeros((1400, 4)), fingerprint="large"
    )  # 31 MB an architecture: there is room for one
    found = [shared.reference(specs[width], large, "large") for width in (9, 9, 20, 9)]
    assert found == ["limits 3", "limits 3", "limits 4", "limits 5"]
    shared.forget()
    assert shared.reference(specs[9], large, "large") == "limits 6"
