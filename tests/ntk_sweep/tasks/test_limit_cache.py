"""Protects that limit kernels are computed once, by whoever needs them first."""

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
from ntk_sweep.limit.kernel import limit_nngp, limit_ntk, limit_spectrum
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.numerics.thresholds import LIMIT_SAMPLES, LIMITS_KEPT_BELOW
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import SpectrumConfig
from ntk_sweep.tasks import limit_cache as limits
from ntk_sweep.tasks.limit_cache import LimitCache, compute_limits
from ntk_sweep.tasks.limit_request import LimitRequest, limit_request
from tests.helpers.points import changed

X = np.random.default_rng(3).random((7, 4))
DATASET = Dataset("npz", X, np.arange(7) % 2.0, None, "limits")
POINT = Point(SpectrumConfig(), Architecture("relu", 9, 3, "thesis"), 0, "float64", "limits")


def request(activation, width, parametrisation, depths):
    """The limit kernels of some depths, ascending."""
    return LimitRequest(Architecture(activation, width, depths[-1], parametrisation), depths)


def jobs(dataset=DATASET, **values):
    """A job for each combination of the values given."""
    points = [POINT]
    for name, choices in values.items():
        points = [changed(point, **{name: choice}) for point in points for choice in choices]
    return [Job(point, "r", "cpu", False, dataset) for point in points]


def test_limits_are_those_of_the_library():
    found = compute_limits(request("elu", 9, "ntk", (2, 5)), DATASET)
    assert set(found) == {2, 5}
    x = torch.from_numpy(X)
    for depth, limit in found.items():
        spectrum = limit_spectrum(x, "elu", 9, depth, "ntk")
        np.testing.assert_array_equal(limit.kernel, limit_ntk(x, "elu", 9, depth, "ntk"))
        assert (limit.lambda_min, limit.lambda_min_error) == (
            spectrum.eigenvalues[0],
            spectrum.errors[0],
        )
        nngp = np.linalg.eigvalsh(limit_nngp(x, "elu", 9, depth, "ntk"))
        assert abs(limit.nngp.lambda_min - nngp[0]) <= limit.nngp.lambda_min_error
        assert abs(limit.nngp.lambda_max - nngp[-1]) <= limit.nngp.lambda_max_error


def test_a_covariance_that_overflows_leaves_the_ntk():
    """Under `standard` σ_w counts in the covariance alone."""
    dataset = dataclasses.replace(DATASET, x=X / 1e145)
    network = Architecture("relu", 10, 2, "standard", 1e150, None)
    found = compute_limits(LimitRequest(network, (2,)), dataset)[2]
    assert found.nngp is None and np.isfinite(found.kernel).all()


def test_a_chunk_names_each_architecture_once_with_all_depths_of_the_sweep():
    every = jobs(act=("relu", "elu"), width=(9, 20), depth=(2, 3, 7), seed=(0, 1))
    plan = LimitPlan(every)
    networks = [Architecture(name, 9, 3, "thesis") for name in ("relu", "elu")]
    chunk = Chunk(tuple(job for job in every if job.point.architecture in networks))
    assert plan.of(chunk) == (
        request("relu", 9, "thesis", (2, 3, 7)),
        request("elu", 9, "thesis", (2, 3, 7)),
    )


def test_depths_are_kept_together_only_where_kernels_are_small():
    network = Architecture("relu", 9, 2, "thesis")
    assert limit_request(network, (7, 2), LIMITS_KEPT_BELOW).depths == (2, 7)
    assert limit_request(network, (2, 7), LIMITS_KEPT_BELOW + 1).depths == (2,)
    large = dataclasses.replace(DATASET, x=np.zeros((LIMITS_KEPT_BELOW + 1, 4)))
    every = jobs(large, depth=(2, 3))
    assert LimitPlan(every).of(Chunk(tuple(every))) == (
        request("relu", 9, "thesis", (2,)),
        request("relu", 9, "thesis", (3,)),
    )


def test_a_process_computes_an_architecture_once(monkeypatch):
    asked = []
    monkeypatch.setattr(
        limits,
        "compute_limits",
        lambda spec, dataset: asked.append(spec) or compute_limits(spec, dataset),
    )
    cache = LimitCache()
    for depth in (5, 4, 2, 5):
        limit = cache.of(changed(POINT, depth=depth).architecture, DATASET)
        assert (
            limit.lambda_min
            == compute_limits(request("relu", 9, "thesis", (depth,)), DATASET)[depth].lambda_min
        )
    assert asked == [request("relu", 9, "thesis", (2, 3, 4, 5))]
    cache.of(changed(POINT, depth=6).architecture, DATASET)
    cache.of(changed(POINT, act="elu").architecture, DATASET)
    assert len(asked) == 3


def spec(width=9, depth=3):
    return request("relu", width, "thesis", (depth,))


def test_what_was_handed_over_is_not_computed_again(monkeypatch):
    cache, given = LimitCache(), compute_limits(spec(), DATASET)[3]
    monkeypatch.delattr(limits, "compute_limits")
    cache.put(DATASET, {spec(): {3: given}})
    assert cache.of(POINT.architecture, DATASET) is given
    cache.put(DATASET, {spec(depth=4): {4: given}})
    assert cache.of(POINT.architecture, DATASET) is given


def test_a_process_keeps_so_many_bytes_of_limits_and_those_of_the_chunk_at_hand(monkeypatch):
    given = compute_limits(spec(), DATASET)[3]
    monkeypatch.delattr(limits, "compute_limits")
    monkeypatch.setattr(limits, "LIMIT_CACHE_BYTES", 3 * given.kernel.nbytes)
    cache = LimitCache()

    def held():
        return [network.width for _, network in cache._known]

    for width in (9, 10, 11):
        cache.put(DATASET, {spec(width): {3: given}})
    assert held() == [9, 10, 11]
    cache.put(DATASET, {spec(9): {3: given}, spec(12): {3: given}})
    assert held() == [11, 9, 12]
    cache.put(DATASET, {spec(width): {3: given} for width in range(20, 25)})
    assert held() == [20, 21, 22, 23, 24]
    with pytest.raises(NameError):
        cache.of(POINT.architecture, DATASET)  # it had to make room


def test_an_exception_is_handed_over_too():
    bad = dataclasses.replace(DATASET, x=X * np.nan)
    error = _compute_limits(spec(), bad, 1)
    assert isinstance(error, ValueError)
    cache = LimitCache()
    cache.put(bad, {spec(): error})
    with pytest.raises(ValueError, match="not finite"):
        cache.of(POINT.architecture, bad)
    cache.put(DATASET, {spec(): compute_limits(spec(), DATASET)})
    assert cache.of(POINT.architecture, DATASET).lambda_min > 0


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
    specs = {width: request("relu", width, "thesis", (2, 3)) for width in (9, 20)}
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
