"""Protects commands from the loss of their output: the rows are what counts."""

import os
import subprocess
import sys

import pandas as pd
import pytest

from tests.helpers.places import ROOT
from tests.helpers.processes import environment, start, stop

SPEAKS = """
import os, sys
from ntk_sweep.cli.streams import Streams
streams = Streams()
getattr(sys, sys.argv[1]).write("λ\\n" * 9)
print("next", open(os.devnull).fileno(), file=sys.stderr if sys.argv[1] == "stdout" else sys.stdout)
sys.exit(streams.status(int(sys.argv[2])))
"""
"""Writes nine lines to one stream, and to the other the file descriptor that comes next."""

NEXT = "next 3\n"
SMALL = ("-m", "hydra/launcher=serial", "data=digits", "data.n_per_class=5", "width=10,20")


@pytest.fixture
def closed():
    """The end to write to of a pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


def call(*command, script=None, **streams):
    """A command in a shell, which may close streams; its status, output and errors."""
    words = [sys.executable, *command]
    shell = ["sh", "-c", f'exec "$@" {script}', "sh"] if script else []
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    env = environment()
    done = subprocess.run([*shell, *words], cwd=ROOT, env=env, text=True, check=False, **given)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("status", [0, 1])
@pytest.mark.parametrize(("lost", "number"), [("stdout", 1), ("stderr", 2)])
def test_a_stream_that_nobody_reads_is_no_loss(closed, lost, number, status):
    ended, out, err = call("-c", SPEAKS, lost, str(status), **{lost: closed})
    assert (ended, out or err) == (status, NEXT)
    ended, out, err = call("-c", SPEAKS, lost, str(status), script=f"{number}>&-")
    assert (ended, out + err) == (status, NEXT)


@pytest.mark.parametrize(("status", "ends"), [(0, 3), (1, 1), (2, 2)])
@pytest.mark.parametrize("lost", ["stdout", "stderr"])
def test_a_full_disk_is_told_by_the_status(lost, status, ends):
    with open("/dev/full", "w") as full:
        ended, out, err = call("-c", SPEAKS, lost, str(status), **{lost: full})
    told = "error: output was lost: No space left on device\n"
    assert (ended, out or err) == (ends, NEXT + told if lost == "stdout" else NEXT)


def test_all_streams_closed():
    assert call("-c", SPEAKS, "stdout", "0", script="<&- >&- 2>&-") == (0, "", "")


def test_a_sweep_goes_on_without_its_reader(closed, tmp_path):
    """As in `ntk-sweep run -m … | head -1`."""
    done = call("launch.py", *SMALL, f"results={tmp_path}", stdout=closed)
    assert done == (0, None, "")
    assert len(pd.read_parquet(tmp_path / "spectrum")) == 2


def test_a_sweep_goes_on_though_the_disk_of_its_output_is_full(tmp_path):
    with open("/dev/full", "w") as full:
        ended, _, err = call("launch.py", *SMALL, f"results={tmp_path}", stdout=full)
    assert (ended, err) == (3, "error: output was lost: No space left on device\n")
    assert len(pd.read_parquet(tmp_path / "spectrum")) == 2


@pytest.mark.ray
@pytest.mark.long
def test_a_sweep_on_ray_goes_on_without_its_reader(tmp_path):
    process = start(tmp_path, "data=digits", "data.n_per_class=5", "width=10,20,30")
    try:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(120) == 0
    finally:
        process.stdout = None
        stop(process)
    assert len(pd.read_parquet(tmp_path / "spectrum")) == 3


@pytest.mark.long
@pytest.mark.parametrize("command", [("launch.py", "--help"), ("-m", "analysis", "--help")])
def test_help_ends_silently(closed, command):
    assert call(*command, stdout=closed) == (0, None, "")


@pytest.mark.long
@pytest.mark.parametrize("chapter", ["table1", "heatmaps", "report"])
def test_chapters_write_their_files_without_a_reader(closed, tmp_path, chapter):
    assert call("launch.py", *SMALL, f"results={tmp_path}")[0] == 0
    done = call("-m", "analysis", chapter, tmp_path, "-o", tmp_path / "out", stdout=closed)
    told = "rows read; drawing 7 figures\n" if chapter == "report" else ""
    assert done == (0, None, told)
    assert list((tmp_path / "out").rglob("*.tex" if chapter == "table1" else "*.png"))
