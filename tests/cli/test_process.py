"""Protects the process of a command: how signals end it, and that any locale will do."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from tests.helpers.command_line import launch
from tests.helpers.places import ROOT
from tests.helpers.processes import environment, stop, wait_for

ASCII = {
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "ascii",
}


def slow(*values):
    return [pytest.param(value, marks=pytest.mark.long) for value in values]


MANY = ("width=range(10,6010)", "depth=range(2,7)", "data=digits", "data.n_per_class=2")
COMMANDS = {
    "sweep": ("launch.py", "-m", "hydra/launcher=serial", *MANY),
    "help": ("-m", "ntk_sweep", "run", "--help"),
    "chapters": ("-m", "analysis", "--help"),
}


def begin(*command, cwd=ROOT, first="true", **variables):
    """A command in a session of its own, as a shell starts it after another."""
    return subprocess.Popen(
        ["sh", "-c", f'{first}; exec "$@"', "sh", sys.executable, *command],
        cwd=cwd,
        env=environment() | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def has_begun(process):
    """Whether a signal meets a handler, or has come too late for one: Python itself starts without
    one for SIGTERM."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return True
    (caught,) = [line.split()[1] for line in lines if line.startswith("SigCgt")] or ["0"]
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1) or process.poll() is not None


def ended(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("delay", [0.05, 0.3, 1.5, *slow(0, 0.1, 0.2, 0.5, 0.8, 1.1, 2, 3)])
@pytest.mark.parametrize("number", [signal.SIGINT, *slow(signal.SIGTERM, signal.SIGHUP)])
@pytest.mark.parametrize("command", ["sweep", *slow("help", "chapters")])
def test_a_signal_is_a_plain_end_at_any_moment(tmp_path, command, number, delay):
    arguments = [f"results={tmp_path}"] if command == "sweep" else []
    process = begin(*COMMANDS[command], *arguments)
    try:
        wait_for(lambda: has_begun(process), "the first line of the program")
        time.sleep(delay)
        process.send_signal(number)
        status, _, err = ended(process)
    finally:
        stop(process)
    # Python's own end, after the last line of the program, leaves it to the system.
    over = () if command == "sweep" else (-number, 0)
    assert status in (128 + number, *over)
    assert "Traceback" not in err
    assert "Exception" not in err


def test_nohup_is_respected(tmp_path):
    process = begin(*COMMANDS["sweep"], f"results={tmp_path}", first="trap '' HUP INT")
    try:
        wait_for(lambda: has_begun(process), "the first line of the program")
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
        assert ended(process)[::2] == (128 + signal.SIGTERM, "")
    finally:
        stop(process)


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_report_that_is_interrupted_takes_its_helpers_along(tmp_path, number):
    small = ("data=digits", "data.n_per_class=4,5,6", "width=10,20,30", "depth=2,3")
    assert launch("-m", "hydra/launcher=serial", *small, f"results={tmp_path}") == 0
    process = begin("-m", "analysis", "report", str(tmp_path), "-o", str(tmp_path / "out"))

    def helpers():
        with suppress(psutil.Error):
            return psutil.Process(process.pid).children()
        return []

    try:
        drawing = wait_for(helpers, "the drawing of figures", process)
        killed = number == signal.SIGKILL
        if killed:
            process.kill()
        else:
            os.killpg(process.pid, number)  # as a terminal does
        status, out, err = ended(process)
        assert (status, out) == (-number if killed else 128 + number, "")
        assert re.fullmatch(r"(rows read; drawing \d+ figures\n)?", err)
        psutil.wait_procs(drawing, timeout=30)
        assert not [child for child in drawing if child.is_running()]
    finally:
        stop(process)


@pytest.fixture
def folder(tmp_path):
    """A working folder with a name, and a file of data with one, that is not ASCII."""
    folder = tmp_path / "ünï λ"
    folder.mkdir()
    np.savez(folder / "dätä.npz", x=np.eye(3), y=np.arange(3.0))
    return folder


@pytest.mark.parametrize(
    "launcher", ["serial", pytest.param("ray", marks=(pytest.mark.ray, pytest.mark.long))]
)
def test_any_locale_will_do(folder, launcher):
    arguments = ("data=npz", "data.path=dätä.npz", "width=10,20", "results=Rλ")
    run = [str(ROOT / "launch.py"), "-m", f"hydra/launcher={launcher}", *arguments]
    status, out, err = ended(begin(*run, cwd=folder, **ASCII))
    assert (status, err) == (0, "")
    assert "R?" in out
    assert len(pd.read_parquet(folder / "Rλ" / "spectrum")) == 2
    table = ("-m", "ntk_sweep", "table1", "Rλ", "-o", "Tλ")
    status, _, err = ended(begin(*table, cwd=folder, **ASCII))
    assert (status, err) == (0, "")
    assert list((folder / "Tλ").glob("table1*.md"))


@pytest.mark.parametrize("command", [("run", "results=R/\udcfc"), ("table1", "R/\udcfc")])
def test_names_that_are_not_utf8_are_refused(command):
    status, out, err = ended(begin("-m", "ntk_sweep", *command))
    assert (status, out) == (2, "")
    assert err.startswith("error: b'")
    assert r"R/\xfc' is not UTF-8, as names of files must be" in err


@pytest.mark.long
def test_a_working_folder_that_cannot_be_named_or_was_removed_is_refused(tmp_path):
    folder = os.path.join(os.fsencode(tmp_path), b"\xfc")
    os.mkdir(folder)
    assert r"\xfc' is not UTF-8" in ended(begin("-m", "ntk_sweep", "--help", cwd=folder))[2]
    (tmp_path / "gone").mkdir()
    status, _, err = ended(
        begin(str(ROOT / "launch.py"), cwd=tmp_path / "gone", first='rmdir "$PWD"')
    )
    assert (status, err) == (2, "error: the working folder was removed: change to another\n")
