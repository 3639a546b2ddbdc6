"""What tests with real processes share: sweeps as a user starts them, Rays of their own, and their orderly end."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import psutil

from ntk_sweep.store import load_results

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


def run(results, *arguments, faults=None, cwd=ROOT, limit=TIME_LIMIT, **others):
    """Runs a sweep to its end."""
    process = start(results, *arguments, faults=faults, cwd=cwd, stderr=subprocess.PIPE, **others)
    try:
        stdout, stderr = process.communicate(timeout=limit)
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
    """How many rows a reader sees."""
    parts = list((results / "spectrum").glob("part-*.parquet"))
    return len(pd.read_parquet(results / "spectrum")) if parts else 0


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


RAY = (sys.executable, "-c", "from ray.scripts.scripts import main; main()")
"""The command `ray`, of the interpreter that runs the tests."""


@contextmanager
def ray_head(*arguments, cpus=2, dashboard_port=None, cwd=None, env=None):
    """`ray start --head` on the loopback, with token authentication, in a temporary folder; stopped by its own handle."""
    temporary = tempfile.mkdtemp(prefix="ray-test-", dir="/tmp")
    port = free_port()
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    dashboard = ["--include-dashboard=false"]
    if dashboard_port:
        dashboard = ["--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard_port}"]
    options = [f"--port={port}", f"--temp-dir={temporary}", "--object-store-memory=100000000", "--node-ip-address=127.0.0.1"]
    head = subprocess.Popen(
        [*RAY, "start", "--head", "--block", f"--num-cpus={cpus}", "--disable-usage-stats", *options, *dashboard, *arguments],
        env=environment(**token) if env is None else env | token,
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        wait_for(lambda: list(Path(temporary).glob("session_latest/sockets/raylet")), "the cluster's head")
        yield SimpleNamespace(process=head, address=f"127.0.0.1:{port}", token=token, temporary=Path(temporary))
    finally:
        stop(head)
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def ray_node(cluster, *arguments):
    """Another node of the cluster of `ray_head`, with one CPU; stopped by its own handle."""
    node = subprocess.Popen(
        [*RAY, "start", "--block", f"--address={cluster.address}", "--num-cpus=1", "--object-store-memory=100000000", *arguments],
        env=environment(**cluster.token),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield node
    finally:
        stop(node)


def raylet_of(node):
    """The raylet that a node's process started, once it is there."""
    for child in psutil.Process(node.pid).children(recursive=True):
        with suppress(psutil.Error):
            if child.name() == "raylet":
                return child
    return None


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
