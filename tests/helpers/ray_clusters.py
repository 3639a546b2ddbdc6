"""Ray clusters of the tests' own on this machine: a head, further nodes, and what runs on them."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import psutil

from tests.helpers.places import ROOT
from tests.helpers.processes import environment, free_port, stop, wait_for

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
    env = environment(faults, **FAST_HEALTH_CHECKS | others) if env is None else env
    env = env | token | {"TMPDIR": temporary}
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
    # With the usual port, which one node of this machine can have, others take no jobs.
    options += [f"--num-cpus={cpus}", f"--dashboard-agent-listen-port={free_port()}"]
    options += ["--disable-usage-stats", *dashboard, *arguments]
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
        env=cluster.env | {"TMPDIR": temporary},
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


def left_behind(number):
    """Temporary folders of the private Ray of a process."""
    return [str(path) for path in Path("/tmp").glob(f"ntk-ray-*/r/session_*_{number}")]


HIDDEN = tuple(ROOT / name for name in ("ntk_sweep", "hydra_plugins"))
"""What the processes of the shared cluster cannot open."""

SLOW = dict.fromkeys(range(20, 61, 10), 1)
"""Width → seconds a point takes on the shared cluster: those of `GRID` are work for three machines,
whoever gets the first chunks."""


@contextmanager
def shared_cluster(folder, object_store):
    """A head with one worker, a job server and a token.

    Its processes can open neither the checkout nor what lies in `folder/data`, and reach the
    object store.
    """
    for name in ("site", "data"):
        (folder / name).mkdir()
    shutil.copy(
        ROOT / "tests" / "helpers" / "fault_injection" / "sitecustomize.py", folder / "site"
    )
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as home:
        env = environment(
            SLOW,
            NTK_SWEEP_HIDDEN=os.pathsep.join(map(str, [*HIDDEN, folder / "data"])),
            PYTHONPATH=str(folder / "site"),
            PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            RAY_USAGE_STATS_REPORT_URL=f"http://127.0.0.1:{home.getsockname()[1]}",
            **FAST_HEALTH_CHECKS,
            **object_store,
        )
        with ray_head(cpus=1, dashboard_port=port, cwd=folder / "site", env=env) as cluster:
            cluster.folder, cluster.home = folder, home
            cluster.dashboard = f"http://127.0.0.1:{port}"
            yield cluster
