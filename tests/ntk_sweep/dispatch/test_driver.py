"""Protects the loop of a sweep: few chunks in flight, and what happens when chunks are lost."""

import dataclasses
import signal

import pandas as pd
import pytest

from ntk_sweep.dispatch.retries import MAX_NODE_LOSSES, MAX_WORKER_DEATHS
from ntk_sweep.dispatch.signals import Interrupted
from ntk_sweep.dispatch.sweep import run_sweep
from ntk_sweep.errors import ClusterError, StoreError
from ntk_sweep.executors.messages import Lost
from ntk_sweep.executors.serial import SerialExecutor
from ntk_sweep.executors.worker import Worker
from ntk_sweep.settings.schema import ComputeConfig, SpectrumConfig
from ntk_sweep.store import atomic_write
from ntk_sweep.store import writer as writing
from tests.helpers.sweeps import QUIET, grid, rows, unreliable


def test_a_point_that_kills_its_worker_is_given_up_and_harms_no_other(base):
    tries = []

    def loses(spec):
        if any(point.architecture.width == 5 for point in spec.points):
            tries.append(len(spec.points))
            assert len(tries) <= 10
            return Lost("the process died", worker_died=True)
        return None

    result = run_sweep(grid(base, range(3, 10)), unreliable(loses), QUIET)
    frame = rows(base).set_index("width")
    assert frame.status.drop(5).eq("ok").all()
    assert frame.loc[5].status == "failed"
    assert "3 workers were lost" in frame.loc[5].error
    assert "the process died" in frame.loc[5].error
    assert len(result.failed) == 1
    assert tries[-MAX_WORKER_DEATHS:] == [1] * MAX_WORKER_DEATHS


def test_machines_that_go_away_are_not_held_against_the_points(base):
    count = 0

    def loses(spec):
        nonlocal count
        count += 1
        return Lost("the node died", worker_died=False) if count <= 10 else None

    result = run_sweep(grid(base, [3]), unreliable(loses), QUIET)
    assert not result.failed
    assert rows(base).status.tolist() == ["ok"]


def test_a_point_lost_without_end_is_given_up_in_the_end(base):
    tries = []

    def loses(spec):
        tries.append(spec)
        assert len(tries) <= MAX_NODE_LOSSES
        return Lost("gone", worker_died=False)

    result = run_sweep(grid(base, [3]), unreliable(loses), QUIET)
    assert len(result.failed) == 1
    assert len(tries) == MAX_NODE_LOSSES


def test_a_point_that_takes_the_memory_of_others_is_found_out(base):
    """While it is at work, whatever is at work beside it may be ended in its place."""
    under_way, greatest = {}, []

    class Crowded(SerialExecutor):
        slots = 4

        def submit(self, number, spec, dataset):
            under_way[number] = spec
            super().submit(number, spec, dataset)

        def wait(self, seconds):
            number = self._queue[0][0]
            hungry = [
                t
                for t, other in under_way.items()
                if any(point.architecture.width == 5 for point in other.points)
            ]
            if not hungry:
                del under_way[number]
                return super().wait(seconds)
            greatest.append(len(under_way))
            lost = [
                (t, Lost("memory ran out", worker_died=True, out_of_memory=True)) for t in under_way
            ]
            under_way.clear()
            self._queue.clear()
            return lost

    result = run_sweep(grid(base, range(3, 12)), Crowded, QUIET)
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
                (number, Lost("died after its commit", worker_died=True))
                for number, _ in super().wait(seconds)
            ]

    result = run_sweep(grid(base, range(3, 8)), LosesReports, QUIET)
    assert not result.failed
    assert len(pd.read_parquet(base.results + "/spectrum")) == 5


def test_a_failed_point_is_tried_again_by_the_next_sweep(base):
    run_sweep(
        grid(base, [3, 4]),
        unreliable(
            lambda spec: Lost("x", True) if spec.points[0].architecture.width == 3 else None
        ),
        QUIET,
    )
    assert set(rows(base).status) == {"ok", "failed"}
    result = run_sweep(grid(base, [3, 4]), SerialExecutor, QUIET)
    assert len(result.plan.jobs) == 1
    assert rows(base).status.tolist() == ["ok", "ok"]


def test_rows_that_cannot_be_written_end_the_sweep(base, monkeypatch):
    plain = atomic_write.replace_file

    def full(target, content, staging=None, durable=True):
        if content:
            raise OSError(28, "No space left on device")
        plain(target, content, staging)

    monkeypatch.setattr(atomic_write, "replace_file", full)
    with pytest.raises(StoreError, match="No space left on device"):
        run_sweep(grid(base, [3]), SerialExecutor, QUIET)


def test_a_worker_that_sees_another_folder_ends_the_sweep(base, monkeypatch):
    class Elsewhere(SerialExecutor):
        def submit(self, number, spec, dataset):
            super().submit(
                number, dataclasses.replace(spec, session=".sweep-of-another-machine"), dataset
            )

    with pytest.raises(StoreError, match="shared folder or an object store"):
        run_sweep(grid(base, [3]), Elsewhere, QUIET)


def test_rows_are_committed_while_a_chunk_is_at_work(base, monkeypatch):
    commits = []
    plain = writing.PartWriter.commit
    monkeypatch.setattr(
        writing.PartWriter,
        "commit",
        lambda self, rows, lease=None: commits.append(len(rows)) or plain(self, rows),
    )
    compute = ComputeConfig(chunk_seconds=1e-6)
    spec = []

    class Keeps(SerialExecutor):
        def submit(self, number, given, dataset):
            spec.append(given)
            super().submit(number, dataclasses.replace(given, commit_seconds=0.0), dataset)

    run_sweep(
        grid(base, range(3, 8), compute=dataclasses.replace(compute, chunk_seconds=100)),
        Keeps,
        QUIET,
    )
    assert len(spec) < 5
    assert commits == [1] * 5


def test_workers_that_a_signal_ends_while_they_start_are_an_interruption(base):
    class Ended(SerialExecutor):
        def __init__(self, compute):
            signal.raise_signal(signal.SIGTERM)
            raise ClusterError("there is no answer")

    with pytest.raises(Interrupted) as caught:
        run_sweep([base], Ended, QUIET)
    assert caught.value.signal_number == signal.SIGTERM


def test_only_a_few_chunks_are_in_flight(base):
    most = 0

    class Counts(SerialExecutor):
        slots = 3

        def submit(self, number, spec, dataset):
            nonlocal most
            super().submit(number, spec, dataset)
            most = max(most, len(self._queue))

    compute = ComputeConfig(chunk_seconds=0.02)
    run_sweep(grid(base, range(3, 43), compute=compute), Counts, QUIET)
    assert most == 6, "one at work and one waiting for each of three workers"
    assert len(rows(base)) == 40


def test_a_lost_point_that_is_wanted_for_its_kernel_is_computed_again(base):
    run_sweep([base], SerialExecutor, QUIET)
    wanted = dataclasses.replace(base, task=SpectrumConfig(save_kernel=True))
    losses = iter([Lost("the process died", worker_died=True)])
    result = run_sweep([wanted], unreliable(lambda spec: next(losses, None)), QUIET)
    assert not result.failed
    assert rows(base).kernel_file.notna().all()


def test_a_worker_that_was_only_cut_off_stores_nothing_more(base):
    """Its lease is revoked before its points are computed again."""
    refused = []

    class CutOff(SerialExecutor):
        lost = None

        def wait(self, seconds):
            if self.lost is None:
                number, *self.lost = self._queue.popleft()
                return [(number, Lost("cut off", worker_died=False))]
            if not refused:
                with pytest.raises(StoreError) as caught:
                    Worker().run_chunk(*self.lost)
                refused.append(caught.value)
            return super().wait(seconds)

    run_sweep(grid(base, range(3, 8)), CutOff, QUIET)
    assert len(refused) == 1
    assert sorted(pd.read_parquet(base.results + "/spectrum").width) == list(range(3, 8))


def test_a_forced_point_that_is_lost_is_computed_again(base):
    """Its old row is not taken for the new one."""
    run_sweep([base], SerialExecutor, QUIET)
    losses = iter([Lost("the process died", worker_died=True)])
    forced = dataclasses.replace(base, force=True)
    run_sweep([forced], unreliable(lambda spec: next(losses, None)), QUIET)
    assert len(pd.read_parquet(base.results + "/spectrum")) == 2


def test_chunks_are_cut_for_the_slots_and_submitted_up_to_the_capacity(base):
    sizes, in_flight = [], []

    class Watched(SerialExecutor):
        slots, capacity = 2, 5

        def submit(self, number, spec, dataset):
            super().submit(number, spec, dataset)
            sizes.append(len(spec.points))
            in_flight.append(len(self._queue))

    # Equal costs: an equal share of two workers is 21 of 42, and half of that the first chunk.
    configs = [dataclasses.replace(base, seed=seed, width=3) for seed in range(42)]
    run_sweep(configs, Watched, QUIET)
    assert sizes[0] == 10
    assert max(in_flight) == 5
    assert in_flight[:5] == [1, 2, 3, 4, 5]


def test_an_executor_without_a_worker_is_waited_for(base):
    """A cluster may have no node as yet."""

    class Empty(SerialExecutor):
        slots = capacity = 0

    run_sweep(grid(base, [3, 4]), Empty, QUIET)
    assert len(rows(base)) == 2


def test_the_executor_is_closed_whatever_happens(base):
    class Breaks(SerialExecutor):
        closed = 0

        def wait(self, seconds):
            raise RuntimeError("broken")

        def close(self):
            Breaks.closed += 1

    with pytest.raises(RuntimeError, match="broken"):
        run_sweep([base], Breaks, QUIET)
    assert Breaks.closed == 1


def test_a_worker_is_told_what_its_chunk_needs(base):
    told = []

    class Listens(SerialExecutor):
        def submit(self, number, spec, dataset):
            told.append((number, spec, dataset))
            super().submit(number, spec, dataset)

    compute = ComputeConfig(num_cpus=2, num_gpus=0.25, chunk_seconds=7)
    run_sweep(grid(base, [3, 4], compute=compute, device="cpu"), Listens, QUIET)
    for expected, (number, spec, dataset) in enumerate(told):
        assert number == spec.number == expected
        assert {point.data_fingerprint for point in spec.points} == {dataset.fingerprint}
        assert (spec.results, spec.task, spec.device) == (base.results, "spectrum", "cpu")
        assert (spec.num_threads, spec.device_share, spec.commit_seconds) == (2, 0.25, 7)
    assert len(told) == 2


def test_chunks_become_smaller_where_workers_are_slow(base):
    sizes = []

    class Slow(SerialExecutor):
        capacity = 1

        def submit(self, number, spec, dataset):
            super().submit(number, spec, dataset)
            sizes.append(len(spec.points))

        def wait(self, seconds):
            return [
                (number, dataclasses.replace(report, seconds=1e3))
                for number, report in super().wait(seconds)
            ]

    configs = [dataclasses.replace(base, seed=seed, width=3) for seed in range(42)]
    run_sweep(configs, Slow, QUIET)
    assert sizes == [21] + [1] * 21
