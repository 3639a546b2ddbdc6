"""Protects the drawing commands from what matplotlib finds on a machine: backends, settings files
and folders."""

import os
import subprocess
import sys

import pytest

from tests.helpers import analysis_rows
from tests.helpers.places import ROOT
from tests.helpers.processes import TIME_LIMIT, environment

NOWHERE = "/dev/null/nowhere"
"""A folder that nobody can make, whatever the rights."""

BACKENDS = [
    "module://matplotlib_inline.backend_inline",
    *(
        pytest.param(name, marks=pytest.mark.long)
        for name in ("module://a_module_that_is_not_there", "nonsense", "TkAgg", "")
    ),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return analysis_rows.store(tmp_path_factory.mktemp("results"), analysis_rows.grid(1))


@pytest.fixture
def call(tmp_path):
    """Calls `ntk-sweep` with variables, in a folder of its own."""

    def called(*arguments, **variables):
        return subprocess.run(
            [sys.executable, "-m", "ntk_sweep", *arguments, "-o", tmp_path / "out"],
            env=environment(PYTHONPATH=str(ROOT), **variables),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT,
        )

    return called


@pytest.mark.parametrize("backend", BACKENDS)
def test_any_backend_of_the_environment_is_passed_over(call, results, tmp_path, backend):
    ended = call("heatmaps", results, MPLBACKEND=backend)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert list((tmp_path / "out").glob("heatmap-relu-*.png"))


def test_the_processes_that_draw_a_report_pass_over_it_too(call, results, tmp_path):
    ended = call("report", results, MPLBACKEND=BACKENDS[0])
    assert (ended.returncode, ended.stderr) == (0, "rows read; drawing 8 figures\n")
    assert (tmp_path / "out" / "index.html").exists()


@pytest.mark.long
def test_a_settings_file_of_the_user_is_passed_over(call, results, tmp_path):
    settings = tmp_path / "settings"
    settings.mkdir()
    (settings / "matplotlibrc").write_bytes(b"backend: nonsense\nfont.size: large\n\xff\n")
    for variables in (
        {"MATPLOTLIBRC": str(settings / "matplotlibrc")},
        {"MATPLOTLIBRC": str(settings)},
        {"MPLCONFIGDIR": str(settings)},
    ):
        ended = call("heatmaps", results, **variables)
        assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.long
def test_unused_settings_in_the_working_folder_say_nothing(call, results, tmp_path):
    (tmp_path / "matplotlibrc").write_text("backend: nonsense\nno such line\n")
    ended = call("report", results)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_settings_file_there_that_is_no_text_is_named(call, results, tmp_path):
    (tmp_path / "matplotlibrc").write_bytes(b"\xff")
    ended = call("heatmaps", results)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: {os.path.realpath(tmp_path)}/matplotlibrc is not UTF-8")


def test_folders_that_cannot_be_written_say_nothing(call, results):
    ended = call("heatmaps", results, HOME=NOWHERE, MPLCONFIGDIR=NOWHERE, XDG_CACHE_HOME=NOWHERE)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_notebook_that_imports_the_analysis_keeps_its_backend(tmp_path):
    code = (
        "import ntk_sweep.analysis.cli, ntk_sweep.cli.command, matplotlib, os;"
        "print(matplotlib.rcParams['backend'], os.environ['MPLBACKEND'])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(PYTHONPATH=str(ROOT), MPLBACKEND="svg"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
    )
    assert ended.stdout.split() == ["svg", "svg"]
