"""Protects use on systems that lack what Linux has: each absence is shown by taking it away."""

import json
import os
import subprocess
import sys

import pytest

from ntk_sweep.store.reading import load_results
from tests.helpers.command_line import launch
from tests.helpers.other_systems import MISSING
from tests.helpers.places import ROOT
from tests.helpers.processes import TIME_LIMIT, environment

POINTS = ("data=digits", "act=relu", "width=20", "data.n_per_class=4")
ALL = ",".join(MISSING)

KILLED = """
import os, sys
from tests.helpers.other_systems import take_away
take_away(sys.argv[1].split(","))
from ntk_sweep.store.session import Owner
from ntk_sweep.store.store import Store
session = Store(sys.argv[2], "spectrum").open_session()
print(session.__enter__(), Owner.this().content.decode())
sys.stdout.flush()
os._exit(1)
"""

NEXT = """
import sys
from tests.helpers.other_systems import take_away
take_away(sys.argv[1].split(","))
from ntk_sweep.store.store import Store
store = Store(sys.argv[2], "spectrum")
with store.open_session() as session:
    print(store.other_sessions(session))
"""


def without(missing, code, *arguments):
    """What a program prints on a system that lacks these."""
    ended = subprocess.run(
        [sys.executable, "-c", code, missing, *map(str, arguments)],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
    )
    assert not ended.stderr, ended.stderr
    return ended.stdout.strip()


def sweep_without(missing, results, *arguments):
    started = [sys.executable, "-m", "tests.helpers.other_systems", missing, "launch.py", "-m"]
    return subprocess.run(
        [*started, *POINTS, *arguments, f"results={results}"],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
    )


@pytest.mark.parametrize(
    "missing", [ALL, *(pytest.param(name, marks=pytest.mark.long) for name in MISSING)]
)
def test_a_serial_sweep_does_without(missing, tmp_path):
    ended = sweep_without(missing, tmp_path / "R", "hydra/launcher=serial")
    assert ended.returncode == 0, ended.stderr
    results = f"results={tmp_path / 'here'}"
    assert launch("-m", *POINTS, "hydra/launcher=serial", results) == 0
    (there,), (here,) = (
        load_results(tmp_path / name / "spectrum").lambda_min for name in ("R", "here")
    )
    assert there == pytest.approx(here, rel=1e-12)
    assert [name for name in os.listdir(tmp_path / "R") if name.startswith(".")] == []


@pytest.mark.ray
def test_a_sweep_on_ray_does_without(tmp_path):
    ended = sweep_without(ALL, tmp_path / "R")
    assert ended.returncode == 0, ended.stderr
    assert load_results(tmp_path / "R" / "spectrum").status.tolist() == ["ok"]


def test_without_proc_a_killed_sweep_is_known_to_have_ended(tmp_path):
    """Else its files would stay for a week."""
    session, content = without("proc", KILLED, tmp_path).split(maxsplit=1)
    assert (tmp_path / session).exists()
    owner = json.loads(content)
    assert abs(owner["born"] - owner["since"]) < TIME_LIMIT
    if not owner["machine"]:
        pytest.skip("this host has no network card by which to know it")
    assert without("proc", NEXT, tmp_path) == "[]"
    assert not (tmp_path / session).exists()


def test_without_proc_a_running_sweep_is_left_alone(tmp_path):
    holder = KILLED.replace("os._exit(1)", "sys.stdin.read()")
    running = subprocess.Popen(
        [sys.executable, "-c", holder, "proc", tmp_path],
        env=environment(),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        session, _ = running.stdout.readline().split(maxsplit=1)
        assert f"process {running.pid} on" in without("proc", NEXT, tmp_path)
        assert (tmp_path / session).exists()
    finally:
        running.communicate()
