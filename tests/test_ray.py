"""Sweeps on Ray with real processes: the same rows as in one process, and what is left when processes are killed.

Every test starts a Ray of its own, in a temporary folder of its own, and stops it by its own handle.
"""

import os
import signal
import subprocess

import pandas as pd
import psutil
import pytest
from processes import (
    GRID,
    POINTS,
    TIME_LIMIT,
    assert_same_numbers,
    free_port,
    is_alive,
    kill,
    left_behind,
    ray_head,
    run,
    start,
    stop,
    stored,
    wait_for,
    workers_at,
)

from ntk_sweep.store import load_results

pytestmark = pytest.mark.ray


def test_ray_gives_the_rows_of_the_serial_launcher(tmp_path, undisturbed):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = run(tmp_path / "results", *GRID, cwd=elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{POINTS} points computed" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert_same_numbers(tmp_path / "results", undisturbed)
    assert not left_behind(done.pid)
    assert not list(elsewhere.iterdir())
    again = run(tmp_path / "results", *GRID)
    assert again.returncode == 0
    assert f"{POINTS} were there" in again.stdout
    assert "on Ray" not in again.stdout


def test_deadly_and_failing_points_become_rows_and_the_others_go_on(tmp_path, undisturbed):
    done = run(tmp_path, *GRID, faults={30: "die", 40: "raise", 50: "memory"})
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr
    frame = load_results(tmp_path / "spectrum")
    assert len(frame) == POINTS
    assert frame[frame.width == 30].error.str.contains("3 workers were lost").all()
    assert frame[frame.width == 40].error.str.contains("made to fail").all()
    assert frame[frame.width == 50].error.str.contains("MemoryError").all()
    assert (frame.status == "failed").sum() == 12
    assert "12 points failed" in done.stdout
    assert "width=40" in done.stdout
    healed = run(tmp_path, *GRID)
    assert healed.returncode == 0
    assert "8 were there" in healed.stdout
    frame = load_results(tmp_path / "spectrum")
    assert frame.lambda_min.tolist() == undisturbed.lambda_min.tolist()


def test_a_killed_worker_is_replaced_and_nothing_is_lost_or_doubled(tmp_path, undisturbed):
    process = start(tmp_path, *GRID, faults={20: 0.7, 40: 0.7})
    try:
        victim = wait_for(lambda: workers_at(process), "a worker at work")[0]
        victim.kill()
        output, _ = process.communicate(timeout=TIME_LIMIT)
    finally:
        stop(process)
    assert process.returncode == 0, output
    assert_same_numbers(tmp_path, undisturbed)


def test_a_killed_driver_is_followed_by_the_same_command(tmp_path, undisturbed):
    process = start(tmp_path, *GRID, "compute.chunk_seconds=0.2", faults=dict.fromkeys(range(20, 61, 10), 0.3))
    try:
        wait_for(lambda: stored(tmp_path), "a first row")
        workers = workers_at(process)
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait(TIME_LIMIT)
        # The workers notice that their driver is gone and end; the rest of Ray takes a minute longer.
        wait_for(lambda: not any(is_alive(worker) for worker in workers), "the workers' end")
        there = stored(tmp_path)
        assert 0 < there < POINTS
        done = run(tmp_path, *GRID)
    finally:
        kill(family)
        stop(process)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{there} were there" in done.stdout
    assert_same_numbers(tmp_path, undisturbed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_sweep_says_how_to_go_on(tmp_path, undisturbed, number):
    process = start(tmp_path, *GRID, "compute.chunk_seconds=0.2", faults=dict.fromkeys(range(20, 61, 10), 0.3))
    try:
        wait_for(lambda: stored(tmp_path), "a first row")
        process.send_signal(number)
        output, _ = process.communicate(timeout=TIME_LIMIT)
    finally:
        stop(process)
    assert process.returncode == 128 + number
    assert "the same command again goes on from there" in output
    assert "Traceback" not in output
    assert 0 < stored(tmp_path) < POINTS
    assert not left_behind(process.pid)
    assert not list((tmp_path / "spectrum").glob(".*"))


def test_a_results_folder_that_vanishes_ends_the_sweep_with_a_message(tmp_path):
    slow = dict.fromkeys(range(20, 61, 10), 0.3)
    process = start(tmp_path, *GRID, "compute.chunk_seconds=0.2", faults=slow, stderr=subprocess.PIPE)
    try:
        wait_for(lambda: stored(tmp_path), "a first row")
        (tmp_path / "spectrum").rename(tmp_path / "moved")
        _, errors = process.communicate(timeout=TIME_LIMIT)
    finally:
        stop(process)
    assert process.returncode == 2
    assert errors.startswith("error: the results folder")
    assert "was removed" in errors
    assert len(errors.splitlines()) == 1
    assert "\x1b" not in errors


def test_readers_see_every_row_once_while_the_sweep_runs(tmp_path):
    process = start(tmp_path, *GRID, "compute.chunk_seconds=0.05")
    seen = 0
    try:
        while process.poll() is None:
            if list((tmp_path / "spectrum").glob("part-*.parquet")):
                frame = pd.read_parquet(tmp_path / "spectrum")
                assert frame.key.is_unique
                assert len(frame) >= seen
                seen = len(frame)
    finally:
        stop(process)
    assert process.returncode == 0
    assert stored(tmp_path) == POINTS
    assert len(list((tmp_path / "spectrum").glob("*.parquet"))) <= os.cpu_count() + 1


def test_a_cluster_is_joined_and_left_as_it_was(tmp_path, undisturbed):
    """Joined once by RAY_ADDRESS and once by compute.address."""
    with ray_head() as cluster:
        head, address, token = cluster.process, cluster.address, cluster.token
        by_variable = run(tmp_path / "one", *GRID, RAY_ADDRESS=address, **token)
        assert by_variable.returncode == 0, by_variable.stdout + by_variable.stderr
        assert f"on the Ray cluster at {address}" in by_variable.stdout
        assert_same_numbers(tmp_path / "one", undisturbed)
        assert head.poll() is None
        by_setting = run(tmp_path / "two", *GRID, "compute=cluster", f"compute.address={address}", **token)
        assert by_setting.returncode == 0, by_setting.stdout + by_setting.stderr
        assert_same_numbers(tmp_path / "two", undisturbed)
        assert head.poll() is None
        waits = start(tmp_path / "three", *GRID, "compute.num_cpus=64", RAY_ADDRESS=address, **token)
        try:
            line = next(line for line in waits.stdout if "waiting" in line)
            assert "waiting for a machine with 64 CPUs" in line
            waits.send_signal(signal.SIGINT)
            assert waits.wait(TIME_LIMIT) == 128 + signal.SIGINT
        finally:
            stop(waits)
        assert head.poll() is None


def test_a_cluster_that_is_not_there_is_an_error_with_a_remedy(tmp_path):
    done = run(tmp_path, *GRID, "compute=cluster", f"compute.address=127.0.0.1:{free_port()}")
    assert done.returncode == 2
    assert "cannot be joined" in done.stderr
    assert "compute.address" in done.stderr
