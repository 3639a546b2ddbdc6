"""What tests with real processes share: sweeps as a user starts them, and their orderly end."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pandas as pd
import psutil

from ntk_sweep.store.reading import load_results
from tests.helpers.places import ROOT
from tests.helpers.surroundings import THREADS

GRID = ("data=digits", "act=relu,sigmoid", "width=range(20,61,10)", "depth=2,3")
POINTS = 2 * 5 * 2
TIME_LIMIT = 120


def command(results, *arguments):
    return [sys.executable, str(ROOT / "launch.py"), "-m", *arguments, f"results={results}"]


def environment(faults=None, **others):
    """What a process of a user would see, who has a terminal and nothing set for us."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RAY_") and name not in THREADS
    }
    path = [
        str(ROOT / "tests" / "helpers" / "fault_injection"),
        str(ROOT),
        *env.get("PYTHONPATH", "").split(os.pathsep),
    ]
    env["PYTHONPATH"] = os.pathsep.join(part for part in path if part)
    env["NTK_SWEEP_FAULTS"] = json.dumps(
        {str(width): fault for width, fault in (faults or {}).items()}
    )
    return env | others


def run(results, *arguments, faults=None, cwd=ROOT, limit=TIME_LIMIT, prefix=(), **others):
    """Runs a sweep to its end."""
    process = start(
        results, *arguments, faults=faults, cwd=cwd, stderr=subprocess.PIPE, prefix=prefix, **others
    )
    try:
        stdout, stderr = process.communicate(timeout=limit)
    finally:
        stop(process)
    return SimpleNamespace(
        pid=process.pid, returncode=process.returncode, stdout=stdout, stderr=stderr
    )


def start(
    results, *arguments, faults=None, cwd=ROOT, stderr=subprocess.STDOUT, prefix=(), **others
):
    # A session of its own, so that nothing sent to it reaches the test.
    return subprocess.Popen(
        [*prefix, *command(results, *arguments)],
        env=environment(faults, **others),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        start_new_session=True,
    )


def wait_for(condition, what, *processes, limit=TIME_LIMIT):
    """What `condition` returns once it is true; an error at once when one of the processes that
    must live for it has ended."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        ended = [process for process in processes if process.poll() is not None]
        found = condition()
        if found:
            return found
        for process in ended:
            said = process.stdout.read() if process.stdout else ""
            raise AssertionError(
                f"waited for {what}, but the process ended with status {process.returncode}:\n"
                f"{said}"
            )
        time.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


def listening(process, port=None):
    """The addresses that a process and what it started listen at, for one port or any."""
    found = set()
    with suppress(psutil.Error):
        for each in [
            psutil.Process(process.pid),
            *psutil.Process(process.pid).children(recursive=True),
        ]:
            with suppress(psutil.Error):
                listens = [
                    c.laddr for c in each.net_connections("tcp") if c.status == psutil.CONN_LISTEN
                ]
                found |= {address.ip for address in listens if port in (None, address.port)}
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
