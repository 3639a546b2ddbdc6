"""Protects `ntk-sweep status` as it is typed: exit statuses, help, and the end of `--watch`."""

import os
import pty
import select
import subprocess
import sys
import time

import pytest

from tests.helpers.command_line import analyse, launch
from tests.helpers.places import ROOT
from tests.helpers.processes import TIME_LIMIT, environment, stop


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("status")
    small = ("data=digits", "data.n_per_class=3", "width=5,6", f"results={folder}")
    assert launch("-m", "hydra/launcher=serial", *small) == 0
    return folder


def test_a_finished_sweep_is_told_of(results, capsys):
    assert analyse("status", str(results)) == 0
    told = capsys.readouterr()
    assert told.out == f"{results}/spectrum: 2 points done, 0 failed\n  no sweep is at work\n"
    assert told.err == ""


@pytest.mark.parametrize("flags", [[], ["--watch"]])
@pytest.mark.parametrize("place", ["nowhere", "empty", "s3://me:secret@bucket/prefix"])
def test_nothing_to_tell_of_is_a_mistake(tmp_path, capsys, flags, place):
    (tmp_path / "empty" / "spectrum").mkdir(parents=True)
    named = place if "://" in place else f"{tmp_path}/{place}"
    assert analyse("status", named, *flags) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert "secret" not in told.err


def test_help_names_every_command_and_exit_status(capsys):
    assert analyse("--help") == 0
    shown = capsys.readouterr().out
    for name in ("run", "status", "report", "table1"):
        assert f"\n    {name} " in shown
    assert analyse("status", "--help") == 0
    assert "exit status: 0" in capsys.readouterr().out
    assert analyse("status") == 2
    assert "usage: ntk-sweep status" in capsys.readouterr().err


def test_ctrl_c_ends_watching_plainly(results):
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ntk_sweep", "status", results, "--watch"],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env=environment(TERM="xterm"),
        cwd=ROOT,
        start_new_session=True,
        # So that Ctrl-C in it becomes a signal.
        preexec_fn=lambda: os.close(os.open(os.ttyname(inside), os.O_RDWR)),
    )
    os.close(inside)
    shown, asked = b"", False
    deadline = time.monotonic() + TIME_LIMIT
    try:
        while process.poll() is None and time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 1 << 16)
            if b"no sweep is at work" in shown and not asked:
                asked = os.write(terminal, b"\x03")
        while select.select([terminal], [], [], 0)[0]:
            shown += os.read(terminal, 1 << 16)
    except OSError:  # all of it was read, and nobody writes any more
        process.wait(TIME_LIMIT)
    finally:
        stop(process)
        os.close(terminal)
    assert process.returncode == 130
    assert b"Traceback" not in shown
    assert shown.endswith(b"\x1b[?25h"), "the cursor is back"
