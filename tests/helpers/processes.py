"""What tests with real processes share: sweeps as a user starts them, Rays of their own, and their
orderly end."""

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

from ntk_sweep.store.reading import load_results
from tests.helpers.places import ROOT

GRID = ("data=digits", "act=relu,sigmoid", "width=range(20,61,10)", "depth=2,3")
POINTS = 2 * 5 * 2
TIME_LIMIT = 120


def command(results, *arguments):
    return [sys.executable, str(ROOT / "launch.py"), "-m", *arguments, f"results={results}"]


def environment(faults=None, **others):
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
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
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        start_new_session=True,
    )


@contextmanager
def memory_limit(size):
    """A control group of processes that have so many bytes between them, with what starts a command
    in it; None if none can be made."""
    folder = _control_group()
    try:
        folder.mkdir()
        limit, total = folder / "memory.limit_in_bytes", folder / "memory.max"
        (limit if limit.exists() else total).write_text(str(size))
    except (OSError, AttributeError):
        yield None
        return
    try:
        enter = f'echo $$ > {folder}/cgroup.procs && exec "$@"'
        yield SimpleNamespace(prefix=("sh", "-c", enter, "sh"), kills=lambda: _kills(folder))
    finally:
        wait_for(
            lambda: not (folder / "cgroup.procs").read_text().strip(),
            "the end of all that was started in the control group",
        )
        folder.rmdir()


def _control_group():
    """Where this process may make one."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        root = Path("/sys/fs/cgroup", "memory" if controllers else "")
        if (controllers in ("memory", "")) and (root / path.lstrip("/") / "cgroup.procs").exists():
            return root / path.lstrip("/") / f"ntk-sweep-{os.getpid()}"
    return None


def _kills(folder):
    """How many processes in a control group were killed for want of memory."""
    for name in ("memory.events", "memory.oom_control"):
        if (folder / name).exists():
            return int(
                dict(line.split() for line in (folder / name).read_text().splitlines())["oom_kill"]
            )
    return 0


def wait_for(condition, what, *processes):
    """What `condition` returns once it is true; an error at once when one of the processes that
    must live for it has ended."""
    deadline = time.monotonic() + TIME_LIMIT
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


def left_behind(number):
    """Temporary folders of the private Ray of a process."""
    return [path.name for path in Path("/tmp").glob(f"ntk-sweep-{number}-*")]


FAST_HEALTH_CHECKS = {
    "RAY_health_check_initial_delay_ms": "500",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "6",
}
"""A node that cannot be reached for some seconds is taken for dead; Ray by itself takes most of a
minute."""

RAY = (sys.executable, "-c", "from ray.scripts.scripts import main; main()")
"""The command `ray`, of the interpreter that runs the tests."""


@contextmanager
def ray_head(
    *arguments, cpus=2, dashboard_port=None, cwd=None, env=None, host=None, faults=None, **others
):
    """`ray start --head` on the loopback or on a host of its own, with token authentication;
    stopped by its own handle.

    Faults must be given here: workers have the environment of their node, not of the sweep.
    """
    temporary = tempfile.mkdtemp(prefix="ray-test-", dir="/tmp")
    port = free_port()
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    env = (environment(faults, **FAST_HEALTH_CHECKS | others) if env is None else env) | token
    dashboard = ["--include-dashboard=false"]
    if dashboard_port:
        dashboard = [
            "--include-dashboard=true",
            "--dashboard-host=127.0.0.1",
            f"--dashboard-port={dashboard_port}",
        ]
    address = host.address if host else "127.0.0.1"
    options = [
        f"--port={port}",
        f"--temp-dir={temporary}",
        "--object-store-memory=100000000",
        f"--node-ip-address={address}",
    ]
    options += [f"--num-cpus={cpus}", "--disable-usage-stats", *dashboard, *arguments]
    head = subprocess.Popen(
        [*(host.prefix if host else ()), *RAY, "start", "--head", "--block", *options],
        env=env,
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        wait_for(
            lambda: list(Path(temporary).glob("session_latest/sockets/raylet")),
            "the cluster's head",
            head,
        )
        yield SimpleNamespace(
            process=head,
            address=f"{address}:{port}",
            token=token,
            env=env,
            temporary=Path(temporary),
        )
    finally:
        stop(head)
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def ray_node(cluster, *arguments, host=None):
    """Another node of the cluster of `ray_head`, with one CPU; stopped by its own handle."""
    # In one folder two nodes that start at the same time take the same name for a socket, and one
    # of them ends.
    temporary = tempfile.mkdtemp(prefix="ray-test-", dir="/tmp")
    options = [
        f"--address={cluster.address}",
        f"--temp-dir={temporary}",
        "--num-cpus=1",
        "--object-store-memory=100000000",
        *arguments,
    ]
    if host:
        options.append(f"--node-ip-address={host.address}")
    node = subprocess.Popen(
        [*(host.prefix if host else ()), *RAY, "start", "--block", *options],
        env=cluster.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        node.temporary = Path(temporary)
        yield node
    finally:
        stop(node)
        shutil.rmtree(temporary, ignore_errors=True)


def raylet_of(node):
    """The raylet that a node's process started, once it is there."""
    with suppress(psutil.Error):
        for child in psutil.Process(node.pid).children(recursive=True):
            with suppress(psutil.Error):
                if child.name() == "raylet":
                    return child
    return None


def workers_at(node):
    """The Ray workers of a node's process, or of a driver with a private Ray, that are computing a
    chunk."""
    found = []
    with suppress(psutil.Error):
        for child in psutil.Process(node.pid).children(recursive=True):
            with suppress(psutil.Error):
                if child.cmdline()[:1] == ["ray::_run_chunk"]:
                    found.append(child)
    return found


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
