"""Limit kernels of a sweep are computed once, by whoever needs them first."""

import dataclasses

import numpy as np
import pytest
import torch

from ntk_sweep import limits
from ntk_sweep.chunks import LimitSpec, limit_depths
from ntk_sweep.config import SpectrumConfig
from ntk_sweep.datasets import Dataset
from ntk_sweep.limit import limit_ntk, limit_spectrum
from ntk_sweep.limits import ARCHITECTURES_KEPT, LimitShelf, compute_limits
from ntk_sweep.plan import Chunk, Job, LimitPlan
from ntk_sweep.points import Point
from ntk_sweep.ray_executor import _compute_limits
from ntk_sweep.shared_limits import SharedLimits
from ntk_sweep.sizes import LIMITS_KEPT_BELOW

X = np.random.default_rng(3).random((7, 4))
DATASET = Dataset("npz", X, np.arange(7) % 2.0, None, "limits")
POINT = Point(SpectrumConfig(), "relu", 9, 3, 0, "thesis", "float64", "limits")


def jobs(dataset=DATASET, **values):
    """A job for each combination of the values given."""
    points = [POINT]
    for name, choices in values.items():
        points = [dataclasses.replace(point, **{name: choice}) for point in points for choice in choices]
    return [Job(point, "r", "cpu", False, dataset) for point in points]


def test_limits_are_those_of_the_library():
    found = compute_limits(LimitSpec("elu", 9, "ntk", (2, 5)), DATASET)
    assert set(found) == {2, 5}
    x = torch.from_numpy(X)
    for depth, limit in found.items():
        spectrum = limit_spectrum(x, "elu", 9, depth, "ntk")
        np.testing.assert_array_equal(limit.kernel, limit_ntk(x, "elu", 9, depth, "ntk"))
        assert (limit.lambda_min, limit.lambda_min_error) == (spectrum.eigenvalues[0], spectrum.errors[0])


def test_a_chunk_names_each_architecture_once_with_all_depths_of_the_sweep():
    every = jobs(act=("relu", "elu"), width=(9, 20), depth=(2, 3, 7), seed=(0, 1))
    plan = LimitPlan(every)
    chunk = Chunk(tuple(job for job in every if job.point.width == 9 and job.point.depth == 3))
    assert plan.of(chunk) == (LimitSpec("relu", 9, "thesis", (2, 3, 7)), LimitSpec("elu", 9, "thesis", (2, 3, 7)))


def test_depths_are_kept_together_only_where_kernels_are_small():
    assert limit_depths((7, 2), 2, LIMITS_KEPT_BELOW) == [2, 7]
    assert limit_depths((2, 7), 7, LIMITS_KEPT_BELOW + 1) == [7]
    large = dataclasses.replace(DATASET, x=np.zeros((LIMITS_KEPT_BELOW + 1, 4)))
    every = jobs(large, depth=(2, 3))
    assert LimitPlan(every).of(Chunk(tuple(every))) == (LimitSpec("relu", 9, "thesis", (2,)), LimitSpec("relu", 9, "thesis", (3,)))


def test_a_process_computes_an_architecture_once(monkeypatch):
    asked = []
    monkeypatch.setattr(limits, "compute_limits", lambda spec, dataset: asked.append(spec) or compute_limits(spec, dataset))
    shelf = LimitShelf()
    for depth in (5, 4, 2, 5):
        limit = shelf.of(dataclasses.replace(POINT, depth=depth), DATASET)
        assert limit.lambda_min == compute_limits(LimitSpec("relu", 9, "thesis", (depth,)), DATASET)[depth].lambda_min
    assert asked == [LimitSpec("relu", 9, "thesis", (2, 3, 4, 5))]
    shelf.of(dataclasses.replace(POINT, depth=6), DATASET)
    shelf.of(dataclasses.replace(POINT, act="elu"), DATASET)
    assert len(asked) == 3


def test_what_was_handed_over_is_not_computed_again(monkeypatch):
    shelf, given = LimitShelf(), compute_limits(LimitSpec("relu", 9, "thesis", (3,)), DATASET)
    monkeypatch.delattr(limits, "compute_limits")
    shelf.put(LimitSpec("relu", 9, "thesis", (3,)), DATASET, given)
    assert shelf.of(POINT, DATASET) is given[3]
    shelf.put(LimitSpec("relu", 9, "thesis", (4,)), DATASET, {4: given[3]})
    assert shelf.of(POINT, DATASET) is given[3]
    for width in range(100, 100 + ARCHITECTURES_KEPT):
        shelf.put(LimitSpec("relu", width, "thesis", (3,)), DATASET, given)
    with pytest.raises(NameError):
        shelf.of(POINT, DATASET)  # it had to make room


def test_an_exception_is_handed_over_too():
    bad = dataclasses.replace(DATASET, x=X * np.nan)
    error = _compute_limits(LimitSpec("relu", 9, "thesis", (3,)), bad)
    assert isinstance(error, ValueError)
    shelf = LimitShelf()
    shelf.put(LimitSpec("relu", 9, "thesis", (3,)), bad, error)
    with pytest.raises(ValueError, match="not finite"):
        shelf.of(POINT, bad)
    shelf.put(LimitSpec("relu", 9, "thesis", (3,)), DATASET, compute_limits(LimitSpec("relu", 9, "thesis", (3,)), DATASET))
    assert shelf.of(POINT, DATASET).lambda_min > 0


def test_a_cluster_computes_an_architecture_once():
    asked = []
    shared = SharedLimits(lambda spec, sent: asked.append((spec, sent)) or f"limits {len(asked)}", store_bytes=80e6)
    specs = {width: LimitSpec("relu", width, "thesis", (2, 3)) for width in (9, 20)}
    for width, expected in ((9, "limits 1"), (20, "limits 2"), (20, "limits 2"), (9, "limits 1")):
        assert shared.reference(specs[width], DATASET, "data") == expected
    assert asked == [(specs[9], "data"), (specs[20], "data")]
    large = dataclasses.replace(DATASET, x=np.zeros((1400, 4)), fingerprint="large")  # 31 MB an architecture: there is room for one
    found = [shared.reference(specs[width], large, "large") for width in (9, 9, 20, 9)]
    assert found == ["limits 3", "limits 3", "limits 4", "limits 5"]
    shared.forget()
    assert shared.reference(specs[9], large, "large") == "limits 6"
