"""The two ways onto a cluster (docs/guide/cluster.md), against a Ray head that asks for a token."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ntk_sweep.store.reading import load_results
from tests.helpers.places import ROOT
from tests.helpers.processes import (
    RAY,
    TIME_LIMIT,
    environment,
    free_port,
    listening,
    ray_head,
    run,
)

pytestmark = [pytest.mark.ray, pytest.mark.slow]

HIDDEN = [ROOT / name for name in ("ntk_sweep", "analysis", "conf", "hydra_plugins")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A head whose processes can open neither the checkout nor the driver's data."""
    pytest.importorskip(
        "aiohttp_cors", reason="the job server needs ray[default]: pip install 'ntk-sweep[cluster]'"
    )
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "site").mkdir()
    (folder / "data").mkdir()
    shutil.copy(
        ROOT / "tests" / "helpers" / "fault_injection" / "sitecustomize.py", folder / "site"
    )
    env = environment(
        NTK_SWEEP_HIDDEN=os.pathsep.join(map(str, [*HIDDEN, folder / "data"])),
        PYTHONPATH=str(folder / "site"),
    )
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as home:
        env["RAY_USAGE_STATS_REPORT_URL"] = f"http://127.0.0.1:{home.getsockname()[1]}"
        with ray_head(dashboard_port=port, cwd=folder / "site", env=env) as cluster:
            cluster.folder, cluster.dashboard, cluster.env, cluster.home = (
                folder,
                f"http://127.0.0.1:{port}",
                env,
                home,
            )
            yield cluster


def test_the_workers_of_these_tests_cannot_open_the_checkout(cluster):
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import ntk_sweep"
    failed = subprocess.run(
        [sys.executable, "-c", code],
        env=cluster.env,
        cwd=cluster.folder,
        capture_output=True,
        text=True,
    )
    assert "is hidden from this process" in failed.stderr


def test_workers_need_neither_working_folder_nor_data_of_the_driver(cluster, tmp_path):
    data = cluster.folder / "data" / "data.npz"
    np.savez(data, x=np.random.default_rng(1).random((20, 5)), y=np.arange(20))
    sweep = ("data=npz", f"data.path={data}", "act=relu,elu", "width=5,6,7", "compute=cluster")
    done = run(tmp_path / "results", *sweep, RAY_ADDRESS=cluster.address, **cluster.token)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 points computed" in done.stdout
    assert load_results(tmp_path / "results" / "spectrum").status.eq("ok").all()


def submit(cluster, *command, token=True):
    env = {
        name: value for name, value in cluster.env.items() if not name.startswith("NTK_SWEEP")
    } | (cluster.token if token else {})
    return subprocess.run(
        [
            *RAY,
            "job",
            "submit",
            "--address",
            cluster.dashboard,
            "--working-dir",
            ".",
            "--",
            *command,
        ],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
    )


def test_a_job_is_submitted(cluster, tmp_path):
    sweep = (
        "python",
        "launch.py",
        "-m",
        "data=digits",
        "data.n_per_class=5",
        "act=relu,elu",
        "width=5,6,7",
    )
    line = " ".join(sweep)
    # The results of the first would be removed with the job.
    done = submit(cluster, "sh", "-c", f"! {line} results=results && {line} results={tmp_path}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 points computed" in done.stdout
    assert re.search(r"on the Ray cluster at .*, 2 workers", done.stdout)
    assert len(load_results(tmp_path / "spectrum")) == 6
    assert "lies in the working folder of a Ray job" in done.stdout


def test_what_a_head_reports_goes_where_we_say(cluster):
    """It reports that it was told to report nothing; docs/guide/cluster.md and docker/ say to where
    nothing listens."""
    cluster.home.settimeout(TIME_LIMIT)
    connection, _ = cluster.home.accept()
    with connection:
        assert connection.recv(5) == b"POST "


def test_nobody_submits_without_the_token(cluster):
    refused = submit(cluster, "echo", "hello", token=False)
    assert refused.returncode != 0
    assert "hello" not in refused.stdout


def test_the_dashboard_listens_on_the_loopback_only(cluster):
    found = listening(cluster.process, int(cluster.dashboard.rpartition(":")[2]))
    assert found
    assert found <= {"127.0.0.1", "::1"}
