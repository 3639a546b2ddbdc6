"""Protects the two ways onto a cluster in docs/cluster.md, against a Ray head on the loopback that
asks for a token."""

import re
import subprocess
import sys

import numpy as np
import pytest

from ntk_sweep.store.store import load_results
from tests.helpers.places import ROOT
from tests.helpers.processes import TIME_LIMIT, listening, run, wait_for
from tests.helpers.ray_clusters import RAY

pytestmark = pytest.mark.ray


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
    """What `ray job submit` does, once the head has an agent that takes jobs."""
    left_out = ("NTK_SWEEP",) if token else ("NTK_SWEEP", *cluster.token)
    env = {name: value for name, value in cluster.env.items() if not name.startswith(left_out)}
    target = ("--address", cluster.dashboard, "--working-dir", ".")

    def answered():
        done = subprocess.run(
            [*RAY, "job", "submit", *target, "--", *command],
            env=env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT,
        )
        return None if "No available agent" in done.stderr else done

    return wait_for(answered, "an agent for jobs", cluster.process)


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
    assert re.search(r"on the Ray cluster at .*, 1 workers", done.stdout)
    assert len(load_results(tmp_path / "spectrum")) == 6
    assert "lies in the working folder of a Ray job" in done.stdout


def test_what_a_head_reports_goes_where_we_say(cluster):
    """It reports that it was told to report nothing; docs/cluster.md and docker/ say to where
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
