"""Protects the tests from whoever starts them: signals, variables, folders, locale and umask that
are inherited change nothing."""

import os
import signal
import subprocess
import sys

import pytest

from tests.helpers.places import ROOT
from tests.helpers.processes import TIME_LIMIT, stop
from tests.helpers.surroundings import plain

NOWHERE = "/dev/null/nowhere"
"""A folder that nobody can make, whatever the rights."""

HOSTILE = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_PROFILE": "nobody",
    "COLUMNS": "30",
    "FORCE_COLOR": "1",
    "GIT_DIR": NOWHERE,
    "HOME": NOWHERE,
    "HYDRA_FULL_ERROR": "1",
    "LC_ALL": "de_DE",
    "MKL_NUM_THREADS": "3",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "NTK_SWEEP_DATA": NOWHERE,
    "OMP_NUM_THREADS": "3",
    "OPENBLAS_NUM_THREADS": "3",
    "PYTHONHASHSEED": "7",
    "RAY_ADDRESS": "127.0.0.1:9",
    "RAY_AUTH_MODE": "token",
    "TERM": "dumb",
    "XDG_CACHE_HOME": NOWHERE,
    "http_proxy": "http://127.0.0.1:9",
}

PART = (
    "tests/cli/test_launch.py::test_cfg_job_shows_the_settings",
    "tests/cli/test_launch.py::test_help_names_every_setting_and_choice",
    "tests/cli/test_launch.py::test_one_network_prints_its_figures_and_stores_its_row",
    "tests/cli/test_status.py::test_help_names_every_command_and_exit_status",
    "tests/docs/test_docs.py::test_python_examples_run[README.md-0]",
    "tests/docs/test_habits.py::test_make_help_names_every_target_and_variable",
    "tests/faults/test_faults.py::test_what_a_killed_writer_leaves_harms_nobody[fsync-1-1]",
    "tests/ntk_sweep/analysis/test_notebook.py",
    "tests/ntk_sweep/executors/test_private_ray.py",
    "tests/ntk_sweep/store/test_session.py",
)
"""One test or more of each kind that starts processes, prints, draws or writes."""


def make_hostile():
    """In the new process: ignored signals, a closed stdin, files for nobody else."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    os.close(0)


def test_preferences_are_dropped_and_the_rest_is_kept():
    kept = {
        "PATH": "/bin",
        "TMPDIR": "/tmp",
        "NTK_SWEEP_SHARED": "/shared",
        "CUDA_VISIBLE_DEVICES": "0",
    }
    assert plain(HOSTILE | kept) == kept


def test_processes_that_tests_start_mind_their_signals():
    code = "import signal; print([signal.getsignal(number).name for number in (1, 15)])"
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert asked.stdout == "['SIG_DFL', 'SIG_DFL']\n", asked.stderr


@pytest.mark.long
def test_a_hostile_environment_changes_nothing(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    options = ("-q", "-x", "-p", "no:cacheprovider")
    tests = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, *PART],
        env=os.environ | HOSTILE | {"TMPDIR": str(elsewhere)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=make_hostile,
    )
    try:
        output, _ = tests.communicate(timeout=5 * TIME_LIMIT)
    finally:
        stop(tests)
    assert tests.returncode == 0, output
    # What lies there is pytest's own; the tests and what they start leave nothing.
    assert [path.name.partition("-of-")[0] for path in elsewhere.iterdir()] == ["pytest"]
