"""Protects sweeps on a cluster that is joined: the two ways onto one (docs/guide/cluster.md), what
happens when parts of it go away, and that it is left as it was.

All tests share a Ray head on the loopback that asks for a token.
"""

import re
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from ntk_sweep.store.reading import load_results
from ntk_sweep.store.store import Store
from tests.helpers.command_line import analyse, launch
from tests.helpers.places import ROOT
from tests.helpers.processes import (
    GRID,
    POINTS,
    TIME_LIMIT,
    assert_same_numbers,
    listening,
    run,
    start,
    stop,
    stored,
    wait_for,
)
from tests.helpers.ray_clusters import RAY, ray_node, raylet_of, shared_cluster, workers_at
from tests.helpers.s3 import BUCKET

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, object_store):
    """A head with one worker, whose processes reach the object store."""
    pytest.importorskip(
        "aiohttp_cors", reason="the job server needs ray[default]: pip install 'ntk-sweep[cluster]'"
    )
    with shared_cluster(tmp_path_factory.mktemp("cluster"), object_store.environment) as cluster:
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
    # Its token is where Ray keeps it.
    token = tmp_path / "home" / ".ray" / "auth_token"
    token.parent.mkdir(parents=True)
    token.write_text(cluster.token["RAY_AUTH_TOKEN"])
    home = str(tmp_path / "home")
    done = run(tmp_path / "results", *sweep, RAY_ADDRESS=cluster.address, HOME=home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 points computed" in done.stdout
    assert f"on the Ray cluster at {cluster.address}, " in done.stdout
    assert load_results(tmp_path / "results" / "spectrum").status.eq("ok").all()


@pytest.mark.parametrize("token", [{}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "another"}])
def test_a_cluster_with_another_token_is_told_of_in_one_line(cluster, tmp_path, token):
    done = run(tmp_path, *GRID, RAY_ADDRESS=cluster.address, **token)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"error: the Ray cluster at {cluster.address} cannot be joined")
    assert "its token is another one, or none is set here" in done.stderr
    assert "set RAY_AUTH_TOKEN" in done.stderr


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


@pytest.mark.slow
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


def test_a_results_folder_that_vanishes_ends_the_sweep_with_a_message(cluster, tmp_path):
    results = tmp_path / "results"
    process = start(
        *(results, *GRID, "compute.chunk_seconds=0.001"),
        stderr=subprocess.PIPE,
        RAY_ADDRESS=cluster.address,
        **cluster.token,
    )
    try:
        wait_for(lambda: stored(results), "a first row", process)
        (results / "spectrum").rename(results / "moved")
        _, errors = process.communicate(timeout=TIME_LIMIT)
    finally:
        stop(process)
    assert process.returncode == 2
    assert errors.startswith("error: the results folder")
    assert "was removed" in errors
    assert len(errors.splitlines()) == 1
    assert "\x1b" not in errors
    assert not (results / "spectrum").exists()


def noted(cluster):
    """What workers have written down in the key-value store of the head."""
    code = (
        "from ray._raylet import GcsClient; "
        f"print(*GcsClient({cluster.address!r}).internal_kv_keys(b'', b'ntk-sweep'))"
    )
    asked = subprocess.run(
        [sys.executable, "-c", code],
        env=cluster.env,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
    )
    assert asked.returncode == 0, asked.stderr
    return set(asked.stdout.split())


def held_at_work(node):
    """A worker that is stopped before the end of its chunk, lest this be done before the machine
    goes away."""
    for worker in workers_at(node):
        worker.suspend()
        if worker in workers_at(node):
            return worker
        worker.resume()
    return None


@pytest.mark.slow
def test_a_machine_of_three_goes_away_and_nothing_is_lost_or_doubled(
    cluster, tmp_path, undisturbed
):
    notes = noted(cluster)
    with ray_node(cluster) as node, ray_node(cluster) as other:
        for each in (node, other):
            wait_for(lambda each=each: raylet_of(each), "a raylet", each)
        sweep = start(
            tmp_path, *GRID, "compute.chunk_seconds=1", RAY_ADDRESS=cluster.address, **cluster.token
        )
        try:
            worker = wait_for(lambda: held_at_work(node), "work on the second node", sweep, node)
            raylet_of(node).kill()
            worker.kill()
            output, _ = sweep.communicate(timeout=2 * TIME_LIMIT)
        finally:
            stop(sweep)
    assert sweep.returncode == 0, output
    assert f"on the Ray cluster at {cluster.address}" in output
    assert f"{POINTS} points computed" in output
    assert "0 failed, 1 worker lost" in output
    assert_same_numbers(tmp_path, undisturbed)
    assert not list((tmp_path / "spectrum").glob(".*"))
    assert cluster.process.poll() is None
    assert noted(cluster) == notes


def test_a_cluster_is_left_as_it_was(cluster, tmp_path):
    """Also by a sweep that is interrupted, and that joined it by compute.address."""
    address = f"compute.address={cluster.address}"
    waits = start(
        tmp_path, *GRID, "compute=cluster", address, "compute.num_cpus=64", **cluster.token
    )
    try:
        line = next(line for line in waits.stdout if "waiting" in line)
        assert "waiting for a machine with 64 CPUs" in line
        waits.send_signal(signal.SIGINT)
        assert waits.wait(TIME_LIMIT) == 128 + signal.SIGINT
    finally:
        stop(waits)
    assert cluster.process.poll() is None
    wait_for(
        lambda: not workers_at(cluster.process), "the end of the sweeps' work", cluster.process
    )


@pytest.mark.slow
def test_a_killed_sweep_into_an_object_store_goes_on_and_is_read_in_place(
    cluster, object_store, tmp_path, undisturbed, monkeypatch, capsys
):
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    results, notes = f"s3://{BUCKET}/killed", noted(cluster)
    process = start(
        *(results, *GRID, "compute.chunk_seconds=0.001"),
        cwd=tmp_path,
        RAY_ADDRESS=cluster.address,
        **cluster.token,
    )
    location, seen = results + "/spectrum", 0
    try:
        wait_for(lambda: Store(results, "spectrum").parts(), "a first part", process)
        while seen < 4:
            assert process.poll() is None, process.stdout.read()
            frame = pd.read_parquet(location)
            assert frame.key.is_unique
            assert len(frame) >= seen
            seen = len(frame)
            time.sleep(0.1)
        process.kill()
        process.wait(TIME_LIMIT)
    finally:
        stop(process)
    # Nobody has removed what its workers have written down, so there was something to remove.
    assert noted(cluster) > notes
    assert launch("-m", *GRID, "hydra/launcher=serial", f"results={results}") == 0
    assert f"rows: {location}" in capsys.readouterr().out
    frame = load_results(location)
    assert frame.key.tolist() == undisturbed.key.tolist()
    assert frame.lambda_min.tolist() == undisturbed.lambda_min.tolist()
    assert analyse("table1", results, "-o", str(tmp_path / "report")) == 0
    assert "Sigmoid" in capsys.readouterr().out
