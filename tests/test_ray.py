"""Sweeps on Ray with real processes: the same rows as in one process, and what is left when processes are killed.

Every test starts a Ray of its own, in a temporary folder of its own, and stops it by its own handle.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import psutil
import pytest

from ntk_sweep.store import load_results

pytestmark = pytest.mark.ray

ROOT = Path(__file__).parents[1]
GRID = ("data=digits", "act=relu,sigmoid", "width=range(20,61,10)", "depth=2,3")
POINTS = 2 * 5 * 2
TIME_LIMIT = 120


def command(results, *arguments):
    return [sys.executable, str(ROOT / "launch.py"), "-m", *arguments, f"results={results}"]


def environment(faults=None, **others):
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    path = [str(ROOT / "tests" / "faults"), str(ROOT), *env.get("PYTHONPATH", "").split(os.pathsep)]
    env["PYTHONPATH"] = os.pathsep.join(part for part in path if part)
    env["NTK_SWEEP_FAULTS"] = json.dumps({str(width): fault for width, fault in (faults or {}).items()})
    return env | others


def run(results, *arguments, faults=None, cwd=ROOT, **others):
    """Runs a sweep to its end."""
    process = start(results, *arguments, faults=faults, cwd=cwd, stderr=subprocess.PIPE, **others)
    try:
        stdout, stderr = process.communicate(timeout=TIME_LIMIT)
    finally:
        stop(process)
    return SimpleNamespace(pid=process.pid, returncode=process.returncode, stdout=stdout, stderr=stderr)


def start(results, *arguments, faults=None, cwd=ROOT, stderr=subprocess.STDOUT, **others):
    # A session of its own, so that nothing sent to it reaches the test.
    return subprocess.Popen(
        command(results, *arguments),
        env=environment(faults, **others),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        start_new_session=True,
    )


def wait_for(condition, what):
    deadline = time.monotonic() + TIME_LIMIT
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


def workers_of(process):
    """The Ray workers of a driver that are computing a chunk."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    found = []
    for child in children:
        try:
            if child.cmdline()[:1] == ["ray::_run_chunk"]:
                found.append(child)
        except psutil.Error:
            continue
    return found


def stored(results):
    parts = list((results / "spectrum").glob("part-*.parquet"))
    return len(pd.read_parquet(results / "spectrum")) if parts else 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The rows of the grid, computed in one process."""
    results = tmp_path_factory.mktemp("undisturbed")
    done = run(results, *GRID, "hydra/launcher=serial")
    assert done.returncode == 0, done.stdout + done.stderr
    return load_results(results / "spectrum")


def assert_same_numbers(results, undisturbed):
    frame = load_results(results / "spectrum")
    assert frame.key.tolist() == undisturbed.key.tolist()
    assert frame.status.eq("ok").all()
    assert frame.lambda_min.tolist() == undisturbed.lambda_min.tolist()
    for eigenvalues, others in zip(frame.eigenvalues, undisturbed.eigenvalues, strict=True):
        np.testing.assert_array_equal(eigenvalues, others)
    assert pd.read_parquet(results / "spectrum").key.is_unique


def left_behind(number):
    """Temporary folders of the private Ray of a process."""
    return [path.name for path in Path("/tmp").glob(f"ntk-sweep-{number}-*")]


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
    done = run(tmp_path, *GRID, faults={30: "die", 40: "raise"})
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr
    frame = load_results(tmp_path / "spectrum")
    assert len(frame) == POINTS
    assert frame[frame.width == 30].error.str.contains("3 workers were lost").all()
    assert frame[frame.width == 40].error.str.contains("made to fail").all()
    assert (frame.status == "failed").sum() == 8
    assert "8 points failed" in done.stdout
    assert "width=40" in done.stdout
    healed = run(tmp_path, *GRID)
    assert healed.returncode == 0
    assert "12 were there" in healed.stdout
    frame = load_results(tmp_path / "spectrum")
    assert frame.lambda_min.tolist() == undisturbed.lambda_min.tolist()


def test_a_killed_worker_is_replaced_and_nothing_is_lost_or_doubled(tmp_path, undisturbed):
    process = start(tmp_path, *GRID, faults={20: 0.7, 40: 0.7})
    try:
        victim = wait_for(lambda: workers_of(process), "a worker at work")[0]
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
        workers = workers_of(process)
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
    """`ray start --head` in a temporary folder; joined once by RAY_ADDRESS and once by compute.address."""
    temporary = tempfile.mkdtemp(prefix="ray-test-", dir="/tmp")
    port = free_port()
    address = f"127.0.0.1:{port}"
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    env = environment(**token)
    head = subprocess.Popen(
        [
            *(sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--head", "--block", "--num-cpus=2"),
            *(f"--port={port}", f"--temp-dir={temporary}", "--include-dashboard=false", "--object-store-memory=100000000"),
            *("--node-ip-address=127.0.0.1", "--disable-usage-stats"),
        ],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for(lambda: list(Path(temporary).glob("session_latest/sockets/raylet")), "the cluster's head")
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
    finally:
        stop(head)
        shutil.rmtree(temporary, ignore_errors=True)


def test_a_cluster_that_is_not_there_is_an_error_with_a_remedy(tmp_path):
    done = run(tmp_path, *GRID, "compute=cluster", f"compute.address=127.0.0.1:{free_port()}")
    assert done.returncode == 2
    assert "cannot be joined" in done.stderr
    assert "compute.address" in done.stderr


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill(processes):
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def stop(process):
    """Ends a process that this test started, and all that it started."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
    kill(family)
    process.wait(30)
    if process.stdout:
        process.stdout.close()
