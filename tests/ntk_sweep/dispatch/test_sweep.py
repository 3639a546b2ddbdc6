"""Planning, chunks, and what happens when chunks are lost, on executors that misbehave on
purpose."""

import dataclasses
import signal
import threading
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray import exceptions
from rich.console import Console

from ntk_sweep.dispatch import sweep as dispatch
from ntk_sweep.dispatch.plan import Chunk, ChunkQueue, Job, make_plan, open_stores
from ntk_sweep.dispatch.signals import Interrupted
from ntk_sweep.errors import ConfigError, StoreError
from ntk_sweep.executors import ray as ray_executor_module
from ntk_sweep.executors.messages import Lost
from ntk_sweep.executors.protocol import SerialExecutor
from ntk_sweep.executors.ray import RayExecutor
from ntk_sweep.settings.schema import ComputeConfig, DataConfig, SpectrumConfig, SweepConfig
from ntk_sweep.store import filesystems
from ntk_sweep.store import writer as writing
from ntk_sweep.store.store import load_results

QUIET = Console(quiet=True)


@pytest.fixture
def base(tmp_path):
    x = np.random.default_rng(1).random((6, 4))
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(6))
    data = DataConfig("npz", path=str(tmp_path / "data.npz"))
    return SweepConfig(data=data, results=str(tmp_path / "results"))


def grid(base, widths, **changes):
    return [dataclasses.replace(base, width=width, **changes) for width in widths]


def rows(base):
    return load_results(base.results + "/spectrum")


def unreliable(loses):
    """An executor class that asks `loses(spec)` for a `Lost`, or None to compute the chunk."""

    class Unreliable(SerialExecutor):
        def wait(self, seconds):
            ticket, spec, _ = self._queue[0]
            lost = loses(spec)
            if lost is None:
                return super().wait(seconds)
            self._queue.popleft()
            return [(ticket, lost)]

    return Unreliable


def test_every_point_becomes_one_row(base):
    result = dispatch.run_sweep(grid(base, range(3, 10)), SerialExecutor, QUIET)
    assert not result.failed
    assert rows(base).width.tolist() == list(range(3, 10))
    assert rows(base).status.eq("ok").all()


def test_a_point_given_twice_is_computed_once(base):
    result = dispatch.run_sweep(grid(base, [3, 3, 4]), SerialExecutor, QUIET)
    assert len(result.plan.points) == 3
    assert len(pd.read_parquet(base.results + "/spectrum")) == 2


def test_a_point_that_kills_its_worker_is_given_up_and_harms_no_other(base):
    tries = []

    def loses(spec):
        if any(point.architecture.width == 5 for point in spec.points):
            tries.append(len(spec.points))
            return Lost("the process died", worker_died=True)
        return None

    result = dispatch.run_sweep(grid(base, range(3, 10)), unreliable(loses), QUIET)
    frame = rows(base).set_index("width")
    assert frame.status.drop(5).eq("ok").all()
    assert frame.loc[5].status == "failed"
    assert "3 workers were lost" in frame.loc[5].error
    assert "the process died" in frame.loc[5].error
    assert len(result.failed) == 1
    assert tries[-dispatch.MAX_DEATHS :] == [1] * dispatch.MAX_DEATHS


def test_machines_that_go_away_are_not_held_against_the_points(base):
    count = 0

    def loses(spec):
        nonlocal count
        count += 1
        return Lost("the node died", worker_died=False) if count <= 10 else None

    result = dispatch.run_sweep(grid(base, [3]), unreliable(loses), QUIET)
    assert not result.failed
    assert rows(base).status.tolist() == ["ok"]


def test_a_point_lost_without_end_is_given_up_in_the_end(base):
    result = dispatch.run_sweep(
        grid(base, [3]), unreliable(lambda spec: Lost("gone", worker_died=False)), QUIET
    )
    assert len(result.failed) == 1


def test_a_point_that_takes_the_memory_of_others_is_found_out(base):
    """While it is at work, whatever is at work beside it may be ended in its place."""
    under_way, greatest = {}, []

    class Crowded(SerialExecutor):
        slots = 4

        def submit(self, ticket, spec, dataset):
            under_way[ticket] = spec
            super().submit(ticket, spec, dataset)

        def wait(self, seconds):
            ticket = self._queue[0][0]
            hungry = [
                t
                for t, other in under_way.items()
                if any(point.architecture.width == 5 for point in other.points)
            ]
            if not hungry:
                del under_way[ticket]
                return super().wait(seconds)
            greatest.append(len(under_way))
            lost = [
                (t, Lost("memory ran out", worker_died=True, out_of_memory=True)) for t in under_way
            ]
            under_way.clear()
            self._queue.clear()
            return lost

    result = dispatch.run_sweep(grid(base, range(3, 12)), Crowded, QUIET)
    assert greatest[0] > 1
    assert greatest[-3:] == [1, 1, 1]
    assert list(result.failed) == rows(base).query("width == 5").key.tolist()
    assert "3 workers were lost" in next(iter(result.failed.values()))
    assert rows(base).query("width != 5").status.eq("ok").all()
    assert len(rows(base)) == 9


def test_a_chunk_lost_after_its_commit_is_not_computed_again(base):
    class LosesReports(SerialExecutor):
        def wait(self, seconds):
            return [
                (ticket, Lost("died after its commit", worker_died=True))
                for ticket, _ in super().wait(seconds)
            ]

    result = dispatch.run_sweep(grid(base, range(3, 8)), LosesReports, QUIET)
    assert not result.failed
    assert len(pd.read_parquet(base.results + "/spectrum")) == 5


def test_a_failed_point_is_tried_again_by_the_next_sweep(base):
    dispatch.run_sweep(
        grid(base, [3, 4]),
        unreliable(
            lambda spec: Lost("x", True) if spec.points[0].architecture.width == 3 else None
        ),
        QUIET,
    )
    assert set(rows(base).status) == {"ok", "failed"}
    result = dispatch.run_sweep(grid(base, [3, 4]), SerialExecutor, QUIET)
    assert len(result.plan.jobs) == 1
    assert rows(base).status.tolist() == ["ok", "ok"]


def test_rows_that_cannot_be_written_end_the_sweep(base, monkeypatch):
    plain = filesystems.replace_file

    def full(target, content, workshop=None):
        if content:
            raise OSError(28, "No space left on device")
        plain(target, content, workshop)

    monkeypatch.setattr(filesystems, "replace_file", full)
    with pytest.raises(StoreError, match="No space left on device"):
        dispatch.run_sweep(grid(base, [3]), SerialExecutor, QUIET)


def test_a_worker_that_sees_another_folder_ends_the_sweep(base, monkeypatch):
    class Elsewhere(SerialExecutor):
        def submit(self, ticket, spec, dataset):
            super().submit(
                ticket, dataclasses.replace(spec, session=".sweep-of-another-machine"), dataset
            )

    with pytest.raises(StoreError, match="shared folder or an object store"):
        dispatch.run_sweep(grid(base, [3]), Elsewhere, QUIET)


def test_an_interruption_keeps_what_is_finished(base):
    class Interrupts(SerialExecutor):
        def wait(self, seconds):
            reports = super().wait(seconds)
            signal.raise_signal(signal.SIGINT)
            return reports

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted) as caught:
        dispatch.run_sweep(grid(base, range(3, 60)), Interrupts, QUIET)
    assert caught.value.signal_number == signal.SIGINT
    assert signal.getsignal(signal.SIGINT) is before
    done = len(rows(base))
    assert 0 < done < 57
    result = dispatch.run_sweep(grid(base, range(3, 60)), SerialExecutor, QUIET)
    assert len(result.plan.jobs) == 57 - done
    assert len(pd.read_parquet(base.results + "/spectrum")) == 57


def test_a_signal_that_was_ignored_stays_ignored(base):
    """As SIGHUP under `nohup`."""

    class Interrupts(SerialExecutor):
        def wait(self, seconds):
            signal.raise_signal(signal.SIGHUP)
            return super().wait(seconds)

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        dispatch.run_sweep(grid(base, range(3, 6)), Interrupts, QUIET)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert len(rows(base)) == 3


def test_two_sweeps_at_once_leave_one_good_row_a_point(base):
    threads = [
        threading.Thread(
            target=dispatch.run_sweep, args=(grid(base, range(3, 23)), SerialExecutor, QUIET)
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(base).width.tolist() == list(range(3, 23))
    assert rows(base).status.eq("ok").all()


def test_results_devices_and_data_may_differ_within_a_sweep(base, tmp_path):
    np.savez(tmp_path / "other.npz", x=np.eye(3), y=np.arange(3))
    configs = [
        *grid(base, [3, 4]),
        *grid(base, [3, 4], results=str(tmp_path / "elsewhere")),
        *grid(base, [3, 4], data=DataConfig("npz", path=str(tmp_path / "other.npz")), device="cpu"),
    ]
    dispatch.run_sweep(configs, SerialExecutor, QUIET)
    assert rows(base).groupby("n_samples").size().to_dict() == {3: 2, 6: 2}
    assert len(load_results(tmp_path / "elsewhere" / "spectrum")) == 2


def test_one_folder_by_several_names_is_one_store(base, tmp_path):
    names = [f"{tmp_path}/results", f"{tmp_path}/other/../results", f"{tmp_path}/results/"]
    result = dispatch.run_sweep(
        [dataclasses.replace(base, results=name) for name in names], SerialExecutor, QUIET
    )
    assert len(result.plan.stores) == 1
    assert len(pd.read_parquet(base.results + "/spectrum")) == 1


def test_a_data_file_that_no_data_set_reads_is_refused(base):
    digits = dataclasses.replace(
        base, data=DataConfig("digits", path=base.data.path, classes=[0, 9], n_per_class=3)
    )
    with pytest.raises(ConfigError, match=r"data\.path=.* belongs to data=npz, but data is digits"):
        dispatch.run_sweep([digits], SerialExecutor, QUIET)
    dispatch.run_sweep([digits, base], SerialExecutor, QUIET)
    assert len(rows(base)) == 2


def test_rows_are_committed_while_a_chunk_is_at_work(base, monkeypatch):
    commits = []
    plain = writing.PartWriter.commit
    monkeypatch.setattr(
        writing.PartWriter,
        "commit",
        lambda self, rows, permit=None: commits.append(len(rows)) or plain(self, rows),
    )
    compute = ComputeConfig(chunk_seconds=1e-6)
    spec = []

    class Keeps(SerialExecutor):
        def submit(self, ticket, given, dataset):
            spec.append(given)
            super().submit(ticket, dataclasses.replace(given, commit_seconds=0.0), dataset)

    dispatch.run_sweep(
        grid(base, range(3, 8), compute=dataclasses.replace(compute, chunk_seconds=100)),
        Keeps,
        QUIET,
    )
    assert len(spec) < 5
    assert commits == [1] * 5


def test_ray_that_is_ended_while_it_starts_is_an_interruption(base):
    class Ended(SerialExecutor):
        def __init__(self, compute):
            raise SystemExit(15)

    with pytest.raises(Interrupted) as caught:
        dispatch.run_sweep([base], Ended, QUIET)
    assert caught.value.signal_number == signal.SIGTERM


def test_an_empty_sweep_and_several_computes_are_refused(base):
    with pytest.raises(ConfigError, match="the sweep is empty"):
        dispatch.run_sweep([], SerialExecutor, QUIET)
    with pytest.raises(ConfigError, match="compute must be the same"):
        dispatch.run_sweep(
            [base, dataclasses.replace(base, compute=ComputeConfig(num_cpus=2))],
            SerialExecutor,
            QUIET,
        )


@pytest.mark.parametrize(
    ("wanted", "slots", "capacity"),
    [(None, 4, 8), (1, 1, 1), (3, 3, 3), (4, 4, 8), (9, 4, 8)],
    ids=lambda value: str(value),
)
def test_no_more_workers_than_wanted(wanted, slots, capacity):
    """A chunk that waits for one worker is given to another by Ray, if there is room."""
    nodes = [{"Alive": True, "Resources": {"CPU": 5.0}}] * 2 + [
        {"Alive": False, "Resources": {"CPU": 8.0}}
    ]
    executor = ray_executor(
        _compute=ComputeConfig(num_workers=wanted, num_cpus=2),
        _ray=SimpleNamespace(nodes=lambda: nodes),
    )
    assert (executor.slots, executor.capacity) == (slots, capacity)


def test_only_a_few_chunks_are_in_flight(base):
    most = 0

    class Counts(SerialExecutor):
        slots = 3

        def submit(self, ticket, spec, dataset):
            nonlocal most
            super().submit(ticket, spec, dataset)
            most = max(most, len(self._queue))

    compute = ComputeConfig(chunk_seconds=0.02)
    dispatch.run_sweep(grid(base, range(3, 120), compute=compute), Counts, QUIET)
    assert 3 <= most <= 6
    assert len(rows(base)) == 117


@settings(max_examples=50, deadline=None)
@given(
    widths=st.lists(st.integers(1, 2000), min_size=1, max_size=60, unique=True),
    depths=st.lists(st.integers(2, 12), min_size=1, max_size=3, unique=True),
    slots=st.integers(1, 9),
    slowness=st.floats(0.01, 100),
    seconds=st.floats(0.01, 100),
)
def test_chunks_hold_every_job_once_and_none_is_longer_than_asked(
    plain_jobs, widths, depths, slots, slowness, seconds
):
    jobs = [plain_jobs(width, depth) for width in widths for depth in depths]
    queue = ChunkQueue(jobs, seconds)
    seen = []
    while queue:
        chunk = queue.next(slots)
        assert len(chunk.jobs) == 1 or chunk.cost <= max(seconds / queue.slowness, 0) * (1 + 1e-9)
        assert len({job.batch for job in chunk.jobs}) == 1
        seen += chunk.jobs
        queue.observe(chunk.cost, chunk.cost * slowness)
    assert sorted(
        (job.point.architecture.width, job.point.architecture.depth) for job in seen
    ) == sorted((w, d) for w in widths for d in depths)


@pytest.fixture(scope="module")
def plain_jobs():
    from ntk_sweep.data.dataset import Dataset
    from ntk_sweep.network.architecture import Architecture
    from ntk_sweep.settings.point import Point

    dataset = Dataset("npz", np.zeros((200, 64)), np.zeros(200), None, "f")
    return lambda width, depth: Job(
        Point(SpectrumConfig(), Architecture("relu", width, depth, "thesis"), 0, "float64", "f"),
        "r",
        "cpu",
        False,
        dataset,
    )


def test_lost_jobs_travel_alone_and_last(plain_jobs):
    queue = ChunkQueue([plain_jobs(width, 2) for width in range(1, 30)], 1000.0)
    lost = queue.next(1)
    assert isinstance(lost, Chunk)
    queue.put_back_alone(lost.jobs)
    remaining = []
    while queue:
        remaining.append(queue.next(1))
    alone = remaining[-len(lost.jobs) :]
    assert [len(chunk.jobs) for chunk in alone] == [1] * len(lost.jobs)
    assert [chunk.jobs[0].point for chunk in alone] == [job.point for job in lost.jobs]


def test_the_plan_counts_what_is_there(base):
    dispatch.run_sweep(grid(base, [3, 4]), SerialExecutor, QUIET)
    configs = grid(base, [3, 4, 5])
    plan = make_plan(configs, open_stores(configs))
    assert (len(plan.jobs), plan.skipped, len(plan.points)) == (1, 2, 3)
    forced = grid(base, [3, 4, 5], force=True)
    assert len(make_plan(forced, open_stores(forced)).jobs) == 3


def test_a_lost_point_that_is_wanted_for_its_kernel_is_computed_again(base):
    dispatch.run_sweep([base], SerialExecutor, QUIET)
    wanted = dataclasses.replace(base, task=SpectrumConfig(save_kernel=True))
    losses = iter([Lost("the process died", worker_died=True)])
    result = dispatch.run_sweep([wanted], unreliable(lambda spec: next(losses, None)), QUIET)
    assert not result.failed
    assert rows(base).kernel_file.notna().all()


def ray_executor(**attributes):
    """One without a Ray."""
    executor = object.__new__(RayExecutor)
    executor.__dict__.update(attributes)
    return executor


class FakeRay(SimpleNamespace):
    """A Ray all of whose tasks have ended in this way."""

    exceptions = exceptions

    def __init__(self, outcome):
        super().__init__(outcome=outcome)

    def get(self, _):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def is_initialized(self):
        return True

    def wait(self, references, num_returns, timeout):
        return references[:num_returns], references[num_returns:]


@pytest.mark.parametrize(
    ("error", "died", "out_of_memory"),
    [
        (exceptions.WorkerCrashedError(), True, False),
        (exceptions.OutOfMemoryError("memory ran out"), True, True),
        (exceptions.NodeDiedError("gone"), False, False),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("of_its_limits", [False, True])
def test_a_chunk_is_lost_with_its_worker_and_with_that_of_its_limits(
    error, died, out_of_memory, of_its_limits
):
    """Ray wraps the error of a task that another waited for as if that had raised it."""
    raised = (
        exceptions.RayTaskError("_run_chunk", "traceback", error).as_instanceof_cause()
        if of_its_limits
        else error
    )
    lost = ray_executor(_ray=FakeRay(raised))._collect("reference")
    assert isinstance(lost, Lost)
    assert (lost.worker_died, lost.out_of_memory) == (died, out_of_memory)


def test_silent_machines_are_looked_for_while_chunks_end(monkeypatch):
    asked = []
    executor = ray_executor(
        _ray=FakeRay("report"),
        _looked=-ray_executor_module.LOOK_SECONDS,
        _limits=SimpleNamespace(forget=lambda: asked.append("forgot")),
    )
    executor._tickets, executor._specs = {"a": 1}, {1: None}
    executor._given_up = lambda: asked.append("looked") or [(7, Lost("silent", worker_died=False))]
    assert executor.wait(0.5) == [(1, "report"), (7, Lost("silent", worker_died=False))]
    executor._tickets, executor._specs = {"b": 2}, {2: None}
    assert executor.wait(0.5) == [(2, "report")]
    assert asked == ["looked", "forgot"]


@pytest.mark.parametrize(("num_gpus", "workers"), [(0, 16), (1, 2), (0.25, 8)])
def test_workers_here_are_those_that_cores_and_gpus_have_room_for(monkeypatch, num_gpus, workers):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray_executor_module.os, "cpu_count", lambda: 16)
    monkeypatch.setattr(ray_executor_module, "cuda_devices", lambda: 2)
    assert RayExecutor.workers_here(ComputeConfig(num_gpus=num_gpus)) == workers
    assert RayExecutor.workers_here(ComputeConfig(num_gpus=num_gpus, num_workers=1)) == 1
