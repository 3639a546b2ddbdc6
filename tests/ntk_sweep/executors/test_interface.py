"""Protects what every executor promises: in this process, on a fake Ray and on a real one."""

import dataclasses
import gc
import itertools
import time

import numpy as np
import pytest

from ntk_sweep.data.dataset import load_dataset
from ntk_sweep.errors import ConfigError, StoreError
from ntk_sweep.executors.messages import ChunkSpec, Report
from ntk_sweep.executors.ray import RayExecutor
from ntk_sweep.executors.registry import EXECUTORS, load_executor
from ntk_sweep.executors.serial import SerialExecutor
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import ComputeConfig, DataConfig, SweepConfig
from ntk_sweep.store.reading import load_results
from ntk_sweep.store.store import Store
from tests.helpers.fake_ray import FakeRay, executor_on

MAKE = {
    "serial": lambda: SerialExecutor(ComputeConfig()),
    "ray on a fake": lambda: executor_on(FakeRay(), ComputeConfig()),
    "ray": lambda: RayExecutor(ComputeConfig(num_workers=1)),
}
"""An entry for each executor of the registry; all tests below take it."""

MARKS = {"ray": [pytest.mark.ray, pytest.mark.slow]}

EACH = [pytest.param(make, marks=MARKS.get(name, ()), id=name) for name, make in MAKE.items()]

each_class = pytest.mark.parametrize("executor_class", [*map(load_executor, EXECUTORS)])


@pytest.fixture(scope="module", params=EACH)
def executor(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        made = request.param()
        try:
            yield made
        finally:
            made.close()


@pytest.fixture
def results(tmp_path):
    """A results folder and the session of a sweep in it."""
    with Store(str(tmp_path), "spectrum").open_session() as session:
        yield str(tmp_path), session


NUMBERS = itertools.count()


@pytest.fixture
def chunk(npz, results):
    """Makes a chunk of networks of these widths: its number, what a worker is told, its data."""
    folder, session = results
    x = np.random.default_rng(1).random((6, 4))
    data = DataConfig("npz", path=npz(x=x, y=np.arange(6)))
    dataset = load_dataset(**data.arguments)

    def make(*widths, **changes):
        number = next(NUMBERS)
        configs = [SweepConfig(width=width, data=data) for width in widths]
        spec = ChunkSpec(
            points=tuple(Point.of(config, dataset.fingerprint) for config in configs),
            limits=(),
            results=folder,
            task="spectrum",
            session=session,
            number=number,
            device="cpu",
            device_share=1.0,
            num_threads=1,
            commit_seconds=3.0,
            git_commit=None,
        )
        return number, dataclasses.replace(spec, **changes), dataset

    return make


def ended(executor, count):
    """The reports of so many chunks."""
    reports, deadline = [], time.monotonic() + 120
    while len(reports) < count:
        assert time.monotonic() < deadline
        reports += executor.wait(0.5)
    return dict(reports)


def test_a_chunk_comes_back_under_its_number_with_its_rows_stored(executor, chunk, results):
    number, spec, dataset = chunk(3, 4)
    executor.submit(number, spec, dataset)
    ((told, report),) = ended(executor, 1).items()
    assert told == number
    assert isinstance(report, Report)
    assert [outcome.key for outcome in report.outcomes] == [point.key for point in spec.points]
    assert [outcome.status for outcome in report.outcomes] == ["ok", "ok"]
    assert report.seconds > 0
    assert [part.base_name for part in Store(results[0], "spectrum").parts()] == [report.part]
    assert load_results(f"{results[0]}/spectrum").width.tolist() == [3, 4]


def test_every_chunk_comes_back_once(executor, chunk, results):
    chunks = [chunk(width) for width in (3, 4, 5)]
    for own in chunks:
        executor.submit(*own)
    assert set(ended(executor, 3)) == {number for number, _, _ in chunks}
    assert load_results(f"{results[0]}/spectrum").width.tolist() == [3, 4, 5]


ENDLESS = 10**6
"""A depth that takes minutes."""


@pytest.fixture
def no_collector():
    """Hypothesis watches the garbage collector in Python; an alarm that rings there is lost."""
    gc.disable()
    yield
    gc.enable()


def with_depth(spec, depth):
    """The chunk with another depth for its first point."""
    first = spec.points[0]
    first = dataclasses.replace(
        first, architecture=dataclasses.replace(first.architecture, depth=depth)
    )
    return dataclasses.replace(spec, points=(first, *spec.points[1:]))


def test_a_point_that_takes_too_long_fails_and_the_worker_goes_on(
    executor, chunk, results, no_collector
):
    number, spec, dataset = chunk(3, 4, time_limit=2.0, send_rows=True)
    executor.submit(number, with_depth(spec, ENDLESS), dataset)
    ((_, report),) = ended(executor, 1).items()
    assert [outcome.status for outcome in report.outcomes] == ["failed", "ok"]
    assert "took longer than compute.time_limit=2 s" in report.outcomes[0].error
    frame = load_results(f"{results[0]}/spectrum")
    assert frame.status.tolist() == ["failed", "ok"]
    assert [outcome.row["key"] for outcome in report.outcomes] == frame.key.tolist()
    assert report.outcomes[1].row["lambda_min"] == frame.lambda_min[1]


def test_a_chunk_that_fails_fast_ends_with_its_first_failed_point(
    executor, chunk, results, no_collector
):
    number, spec, dataset = chunk(3, 4, time_limit=2.0, fail_fast=True)
    executor.submit(number, with_depth(spec, ENDLESS), dataset)
    ((_, report),) = ended(executor, 1).items()
    assert [outcome.status for outcome in report.outcomes] == ["failed"]
    assert report.outcomes[0].row is None
    assert load_results(f"{results[0]}/spectrum").status.tolist() == ["failed"]


def test_what_a_chunk_raises_is_raised_by_wait(executor, chunk):
    executor.submit(*chunk(3, session=".sweep-of-another-machine"))
    with pytest.raises(StoreError, match="shared folder or an object store") as caught:
        ended(executor, 1)
    assert type(caught.value) is StoreError
    assert "\x1b" not in str(caught.value)


def test_it_has_slots_and_takes_at_least_as_many_chunks(executor):
    assert 1 <= executor.slots <= executor.capacity
    assert executor.waiting_for() == ""
    assert executor.describe().startswith(("in ", "on "))
    assert isinstance(executor.interruptible, bool)


def test_all_names_of_the_interface_are_there(executor):
    assert type(executor).local_workers(ComputeConfig(num_workers=1)) == 1


def test_every_executor_of_the_registry_is_made_here():
    assert MAKE.keys() >= EXECUTORS.keys(), "add an entry to MAKE"


@each_class
def test_a_device_that_is_not_there_is_refused(executor_class, monkeypatch):
    monkeypatch.setattr(f"{executor_class.__module__}.cuda_devices", lambda: 0)
    executor_class.check(ComputeConfig(), {"auto", "cpu"})
    with pytest.raises(ConfigError, match="device=cuda, but"):
        executor_class.check(ComputeConfig(), {"cuda", "cpu"})


def test_a_time_limit_that_cannot_be_kept_in_this_process_is_refused(monkeypatch):
    limited = ComputeConfig(time_limit=60)
    SerialExecutor.check(limited, {"cpu"})
    monkeypatch.delattr("signal.setitimer")
    SerialExecutor.check(ComputeConfig(), {"cpu"})
    with pytest.raises(ConfigError, match=r"compute.time_limit=60, but this process can interrupt"):
        SerialExecutor.check(limited, {"cpu"})


@pytest.mark.parametrize("kind", ["serial", "ray on a fake"])
def test_a_closed_executor_begins_nothing(kind, chunk, results):
    """A real Ray may have begun before it is closed."""
    executor = MAKE[kind]()
    executor.submit(*chunk(3))
    executor.close()
    executor.close()
    assert not Store(results[0], "spectrum").parts()
