"""Protects a private Ray from the surroundings that it is started in, and them from it."""

import os
import signal
import subprocess
import tempfile
from pathlib import Path

import psutil
import pytest

from ntk_sweep.store.reading import load_results
from tests.helpers.processes import GRID, TIME_LIMIT, is_alive, run, start, stop, wait_for
from tests.helpers.ray_clusters import left_behind

pytestmark = pytest.mark.ray

SMALL = ("data=digits", "data.n_per_class=5", "act=relu,elu", "width=5", "compute=local")

VARIABLES = {
    "RAY_ADDRESS": "local",
    "RAY_AUTH_MODE": "disabled",
    "RAY_AUTH_TOKEN": "short",
    "RAY_AUTH_TOKEN_PATH": "/dev/null/nowhere",
    "RAY_BACKEND_LOG_LEVEL": "debug",
    "RAY_CLIENT_MODE": "1",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",
    "RAY_GCS_SERVER_PORT": "1",
    "RAY_JOB_CONFIG_JSON_ENV_VAR": '{"runtime_env": {"pip": ["nothing"]}, "metadata": {}}',
    "RAY_LOG_TO_STDERR": "1",
    "RAY_LOGGING_CONFIG_ENCODING": "JSON",
    "RAY_NAMESPACE": "theirs",
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": "nonsense",
    "RAY_OVERRIDE_RESOURCES": '{"CPU": 64}',
    "RAY_REDIS_ADDRESS": "127.0.0.1:9",
    "RAY_ROTATION_MAX_BYTES": "nonsense",
    "RAY_RUNTIME_ENV_HOOK": "nothing.hook",
    "RAY_TMPDIR": "/dev/null/nowhere",
    "RAY_USE_TLS": "1",
    "RAY_object_spilling_config": "nonsense",
    "RAY_worker_niceness": "nonsense",
}
"""Most of them alone would keep a private Ray from starting, or fill the output."""


def test_neither_home_nor_variables_nor_cores_of_others_matter(tmp_path):
    """A home that nobody can make, a shell full of variables for Ray, one core of several."""
    surroundings = VARIABLES | {"HOME": "/dev/null/nowhere", "SLURM_CPUS_PER_TASK": "1"}
    done = run(tmp_path, *SMALL, **surroundings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 points to compute on Ray on this machine, 1 workers\n" in done.stdout
    assert done.stderr == ""
    assert load_results(tmp_path / "spectrum").status.eq("ok").all()
    assert not left_behind(done.pid)


@pytest.mark.long
def test_tmpdir_will_do_where_tmp_and_home_cannot_be_written():
    read_only = 'mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp && exec "$@"'
    prefix = ("unshare", "--mount", "sh", "-c", read_only, "sh")
    asked = subprocess.run([*prefix, "true"], capture_output=True, text=True)
    if asked.returncode:
        pytest.skip(f"/tmp cannot be made read-only: {asked.stderr.strip()}")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        results = Path(folder, "results")
        done = run(results, *SMALL, prefix=prefix, TMPDIR=folder, HOME="/tmp")
        assert done.returncode == 0, done.stdout + done.stderr
        assert os.listdir(folder) == ["results"]


@pytest.mark.long
@pytest.mark.parametrize("moment", ["gcs_server", "raylet"])
def test_a_signal_while_ray_starts_ends_it_in_order(tmp_path, moment):
    process = start(tmp_path, *GRID, stderr=subprocess.PIPE)
    driver = psutil.Process(process.pid)
    try:
        wait_for(lambda: moment in [each.name() for each in driver.children()], moment, process)
        family = driver.children(recursive=True)
        os.killpg(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=TIME_LIMIT)
    finally:
        stop(process)
    assert process.returncode == 128 + signal.SIGTERM
    assert errors.strip().startswith("SIGTERM: stopped. ")
    assert len(errors.strip().splitlines()) == 1
    assert not any(is_alive(each) for each in family)
    assert not left_behind(process.pid)
