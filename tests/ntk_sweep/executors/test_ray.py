"""Sweeps on Ray with real processes: the same rows as in one process, and what is left when
processes are killed.

Every test starts a Ray of its own, in a temporary folder of its own, and stops it by its own
handle.
"""

import os
import signal
import subprocess
import time
from types import SimpleNamespace

import pandas as pd
import psutil
import pytest

from ntk_sweep.store.reading import load_results
from tests.helpers.processes import (
    GRID,
    POINTS,
    TIME_LIMIT,
    assert_same_numbers,
    free_port,
    is_alive,
    kill,
    left_behind,
    listening,
    memory_limit,
    run,
    start,
    stop,
    stored,
    wait_for,
    workers_at,
)

pytestmark = pytest.mark.ray


def test_deadly_and_failing_points_become_rows_and_the_others_go_on(tmp_path, undisturbed):
    """One worker, so that they share chunks with others; where it can be had, the system's killer
    ends it for want of memory."""
    grid = ("data=digits", "act=relu", "width=range(20,61,10)", "depth=2")
    with memory_limit(2 * 10**9) as group:
        faults = {30: "all memory" if group else "die", 40: "raise", 50: "memory"}
        done = run(
            tmp_path,
            *grid,
            "compute.num_workers=1",
            faults=faults,
            prefix=group.prefix if group else (),
        )
        assert group is None or group.kills() >= 3
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr
    frame = load_results(tmp_path / "spectrum").set_index("width")
    assert frame.index.tolist() == [20, 30, 40, 50, 60]
    assert "3 workers were lost" in frame.error[30]
    assert "made to fail" in frame.error[40]
    assert "MemoryError" in frame.error[50]
    assert frame.status.tolist() == ["ok", "failed", "failed", "failed", "ok"]
    assert "3 points failed" in done.stdout
    assert "act=relu width=40" in done.stdout
    assert "a worker was lost (The worker died unexpectedly" in done.stdout
    healed = run(tmp_path, *grid, "hydra/launcher=serial")
    assert healed.returncode == 0
    assert "2 were there" in healed.stdout
    same = undisturbed[(undisturbed.act == "relu") & (undisturbed.depth == 2)]
    assert load_results(tmp_path / "spectrum").lambda_min.tolist() == same.lambda_min.tolist()


def test_a_killed_worker_is_replaced_and_readers_see_every_row_once(tmp_path, undisturbed):
    process = start(
        tmp_path, *GRID, "compute.chunk_seconds=0.05", faults={20: 0.3, 40: 0.3, 60: 0.3}
    )
    seen = 0
    try:
        victim = wait_for(lambda: workers_at(process), "a worker at work", process)[0]
        # A private Ray is nothing for the network.
        assert listening(process) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
        while process.poll() is None:
            if stored(tmp_path):
                frame = pd.read_parquet(tmp_path / "spectrum")
                assert frame.key.is_unique
                assert len(frame) >= seen
                seen = len(frame)
                victim.kill() if is_alive(victim) else None
            time.sleep(0.02)
        output = process.stdout.read()
    finally:
        stop(process)
    assert process.returncode == 0, output
    assert "0 failed, 1 worker lost" in output
    assert_same_numbers(tmp_path, undisturbed)
    assert len(list((tmp_path / "spectrum").glob("*.parquet"))) <= os.cpu_count() + 2


INTERRUPTED = {signal.SIGINT: "serial", signal.SIGTERM: "ray", signal.SIGHUP: "serial"}
"""Signal → launcher of the sweep that it ends."""


@pytest.fixture(scope="module")
def at_work(tmp_path_factory):
    """Sweeps that have stored a row each and will take half a minute, by what is going to happen to
    them; started together to save time."""
    sweeps = {}
    try:
        for what, launcher in (INTERRUPTED | {"folder": "ray", "driver": "ray"}).items():
            results = tmp_path_factory.mktemp("at_work")
            options = (
                *GRID,
                f"hydra/launcher={launcher}",
                "compute.chunk_seconds=0.2",
                "compute.num_workers=1",
            )
            process = start(
                results,
                *options,
                faults=dict.fromkeys(range(20, 61, 10), 3),
                stderr=subprocess.PIPE,
            )
            sweeps[what] = SimpleNamespace(process=process, results=results)
        for sweep in sweeps.values():
            wait_for(lambda sweep=sweep: stored(sweep.results), "a first row", sweep.process)
        yield sweeps
    finally:
        for sweep in sweeps.values():
            stop(sweep.process)


@pytest.mark.parametrize("number", list(INTERRUPTED))
def test_an_interrupted_sweep_says_how_to_go_on(at_work, number):
    process, results = at_work[number].process, at_work[number].results
    process.send_signal(number)
    _, errors = process.communicate(timeout=TIME_LIMIT)
    assert process.returncode == 128 + number
    assert "the same command again goes on from there" in errors
    assert "Traceback" not in errors
    assert 0 < stored(results) < POINTS
    assert not left_behind(process.pid)
    assert not list((results / "spectrum").glob(".*"))


def test_a_results_folder_that_vanishes_ends_the_sweep_with_a_message(at_work):
    process, results = at_work["folder"].process, at_work["folder"].results
    (results / "spectrum").rename(results / "moved")
    _, errors = process.communicate(timeout=TIME_LIMIT)
    assert process.returncode == 2
    assert errors.startswith("error: the results folder")
    assert "was removed" in errors
    assert len(errors.splitlines()) == 1
    assert "\x1b" not in errors
    assert not (results / "spectrum").exists()


def test_a_killed_driver_is_followed_by_the_same_command(at_work, tmp_path, undisturbed):
    """The rows are those of the serial launcher, whichever of the two drivers computed them."""
    process, results = at_work["driver"].process, at_work["driver"].results
    try:
        workers = workers_at(process)
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait(TIME_LIMIT)
        # The workers notice that their driver is gone and end; the rest of Ray takes a minute
        # longer.
        wait_for(lambda: not any(is_alive(worker) for worker in workers), "the workers' end")
        there = stored(results)
        assert 0 < there < POINTS
        done = run(results, *GRID, cwd=tmp_path)
    finally:
        kill(family)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{there} were there" in done.stdout
    assert f"{POINTS - there} points computed" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert_same_numbers(results, undisturbed)
    assert not left_behind(done.pid)
    assert not left_behind(process.pid)
    assert [path.name for path in results.iterdir()] == ["spectrum"]
    assert not list((results / "spectrum").glob(".*"))
    assert not list(tmp_path.iterdir())


def test_a_cluster_that_is_not_there_is_an_error_with_a_remedy(tmp_path):
    done = run(tmp_path, *GRID, "compute=cluster", f"compute.address=127.0.0.1:{free_port()}")
    assert done.returncode == 2
    assert "cannot be joined" in done.stderr
    assert "compute.address" in done.stderr
