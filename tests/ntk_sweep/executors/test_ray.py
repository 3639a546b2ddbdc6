"""Protects sweeps on Ray with real processes: the same rows as in one process, and what is left
when processes are killed.

Most tests start a Ray of their own, in a temporary folder of its own, and stop it by its own
handle.
"""

import os
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace

import pandas as pd
import psutil
import pytest

from ntk_sweep.store.reading import load_results
from tests.helpers.command_line import launch
from tests.helpers.memory_limit import memory_limit
from tests.helpers.processes import (
    GRID,
    POINTS,
    TIME_LIMIT,
    assert_same_numbers,
    free_port,
    is_alive,
    kill,
    listening,
    run,
    start,
    stop,
    stored,
    wait_for,
)
from tests.helpers.ray_clusters import left_behind, workers_at

pytestmark = pytest.mark.ray


@pytest.mark.slow
def test_deadly_and_failing_points_become_rows_and_the_others_go_on(tmp_path, undisturbed, capsys):
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
    assert launch("-m", *grid, "hydra/launcher=serial", f"results={tmp_path}") == 0
    assert "2 were there" in capsys.readouterr().out
    same = undisturbed[(undisturbed.act == "relu") & (undisturbed.depth == 2)]
    assert load_results(tmp_path / "spectrum").lambda_min.tolist() == same.lambda_min.tolist()


@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced(tmp_path):
    """One point can be interrupted, one cannot; both fail, and the others are computed."""
    done = run(
        tmp_path,
        *("data=digits", "act=relu", "width=range(20,61,10)", "depth=2"),
        *("compute.num_workers=1", "compute.time_limit=3"),
        faults={30: "hang", 50: 120},
    )
    assert done.returncode == 1, done.stdout + done.stderr
    frame = load_results(tmp_path / "spectrum").set_index("width")
    assert frame.status.tolist() == ["ok", "failed", "ok", "failed", "ok"]
    assert frame.error[30] == "the point took longer than compute.time_limit=3 s"
    assert frame.error[50].splitlines()[-1].endswith(frame.error[30])
    assert f"a worker was lost ({frame.error[30]})" in done.stdout
    assert "1 worker lost" in done.stdout
    assert not list((tmp_path / "spectrum").glob(".*"))
    assert not left_behind(done.pid)


STUCK = dict.fromkeys((20, 30, 40, 50), 120)
"""Width → seconds that a point takes: only the widest, which go out first, are ever done."""

INTERRUPTED = {signal.SIGINT: "serial", signal.SIGTERM: "ray", signal.SIGHUP: "serial"}
"""Signal → launcher of the sweep that it ends."""


@contextmanager
def begun(results, launcher, home, **others):
    """A sweep that is going to store its first rows and no more."""
    grid = (*GRID, f"hydra/launcher={launcher}", "compute.chunk_seconds=0.001")
    process = start(
        *(results, *grid, "compute.num_workers=1"),
        faults=STUCK,
        stderr=subprocess.PIPE,
        HOME=str(home),
        **others,
    )
    try:
        yield SimpleNamespace(process=process, results=results, home=home)
    finally:
        stop(process)


@pytest.fixture(scope="module")
def at_work(tmp_path_factory):
    """Sweeps that have stored rows and are not done, by what is going to happen to them; started
    together to save time."""
    with ExitStack() as stack:
        sweeps = {
            what: stack.enter_context(
                begun(
                    tmp_path_factory.mktemp("at_work"),
                    launcher,
                    tmp_path_factory.mktemp("home"),
                    prefix=("nohup",) if what == signal.SIGTERM else (),
                )
            )
            for what, launcher in (INTERRUPTED | {"driver": "ray"}).items()
        }
        for sweep in sweeps.values():
            wait_for(lambda sweep=sweep: stored(sweep.results), "a first row", sweep.process)
        yield sweeps


@pytest.mark.parametrize("number", list(INTERRUPTED))
def test_an_interrupted_sweep_says_how_to_go_on(at_work, number):
    process, results = at_work[number].process, at_work[number].results
    family = psutil.Process(process.pid).children(recursive=True)
    if number == signal.SIGTERM:
        # This one was started by `nohup`, and does not mind that its terminal is closed.
        os.killpg(process.pid, signal.SIGHUP)
    # To all that was started, as a terminal, `timeout` and batch systems do.
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=TIME_LIMIT)
    assert process.returncode == 128 + number
    assert "the same command again goes on from there" in errors
    assert "Traceback" not in errors
    assert 0 < stored(results) < POINTS
    assert not left_behind(process.pid)
    # Processes that Ray has told to end may outlive the driver by a moment.
    wait_for(lambda: not any(is_alive(each) for each in family), "their end", limit=10)
    assert not list(at_work[number].home.iterdir())
    assert not list((results / "spectrum").glob(".*"))


def killed_driver(process):
    """Kills the driver of a sweep; what is left of its Ray."""
    workers = workers_at(process)
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait(TIME_LIMIT)
    # The workers notice that their driver is gone and end; some of Ray takes a minute longer.
    wait_for(lambda: not any(is_alive(worker) for worker in workers), "the workers' end")
    return family


def killed_worker(process, results):
    """Kills a worker of a sweep as soon as there are new rows, and reads as users do until the
    sweep ends: no row may vanish, none may be there twice."""
    victim = wait_for(lambda: workers_at(process), "a worker at work", process)[0]
    # A private Ray is nothing for the network.
    assert listening(process) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    there = seen = stored(results)
    while process.poll() is None:
        frame = pd.read_parquet(results / "spectrum")
        assert frame.key.is_unique
        assert len(frame) >= seen
        seen = len(frame)
        if seen > there and is_alive(victim):
            victim.kill()
        time.sleep(0.02)


def test_killed_drivers_and_workers_cost_no_row(at_work, tmp_path, undisturbed):
    """The same command goes on after a killed driver, and replaces a killed worker; the rows are
    those of the serial launcher, whichever process computed them."""
    killed, results = at_work["driver"].process, at_work["driver"].results
    family = killed_driver(killed)
    there, parts = stored(results), len(list((results / "spectrum").glob("*.parquet")))
    assert 0 < there < POINTS
    slow = dict.fromkeys(STUCK, 0.3)
    process = start(results, *GRID, "compute.chunk_seconds=0.05", faults=slow, cwd=tmp_path)
    assert left_behind(killed.pid)
    try:
        killed_worker(process, results)
        output = process.stdout.read()
        alive = [each for each in family if is_alive(each)]
    finally:
        stop(process)
        kill(family)
    assert process.returncode == 0, output
    assert f"{there} were there" in output
    assert f"{POINTS - there} points computed" in output
    assert "0 failed, 1 worker lost" in output
    assert "\x1b" not in output
    assert_same_numbers(results, undisturbed)
    assert not left_behind(process.pid)
    assert not left_behind(killed.pid)
    assert not alive
    assert len(list((results / "spectrum").glob("*.parquet"))) <= parts + os.cpu_count() + 2
    assert [path.name for path in results.iterdir()] == ["spectrum"]
    assert not list((results / "spectrum").glob(".*"))
    assert not list(tmp_path.iterdir())


def test_a_cluster_that_is_not_there_is_an_error_with_a_remedy(tmp_path, capsys):
    address = f"compute.address=127.0.0.1:{free_port()}"
    assert launch("-m", *GRID, "compute=cluster", address, f"results={tmp_path}") == 2
    error = capsys.readouterr().err
    assert "cannot be joined" in error
    assert "compute.address" in error
