"""Protects the status of sweeps: its numbers, whom it names, and what it says of killed sweeps."""

import contextlib
import dataclasses
import hashlib
import io
import os
import signal
import time
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from rich.console import Console

from ntk_sweep.commands import status as stating
from ntk_sweep.commands.status import Status, show_status, watch_status
from ntk_sweep.dispatch.cost import seconds_of
from ntk_sweep.errors import ConfigError, StoreError
from ntk_sweep.store.session import Owner
from ntk_sweep.store.store import Store
from ntk_sweep.store.writer import PartWriter
from tests.helpers.s3 import BUCKET
from tests.helpers.store_rows import make_row

THIS = Owner.this()
KILLED = dataclasses.replace(THIS, born=1)
"""Its number is that of a younger process."""
ELSEWHERE = dataclasses.replace(THIS, host="elsewhere", machine="another", pid=77)


NOW = time.time()


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Time stands still for the status."""
    still = SimpleNamespace(
        time=lambda: NOW,
        monotonic=time.monotonic,
        sleep=time.sleep,
        strftime=time.strftime,
    )
    monkeypatch.setattr(stating, "time", still)


@pytest.fixture(params=["disk", "s3"])
def results(request, tmp_path, monkeypatch):
    if request.param == "disk":
        return str(tmp_path / "results")
    for name, value in request.getfixturevalue("object_store").environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/status/{uuid.uuid4().hex}"


def key(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


def finish(results, *numbers, status="ok", ago=0.0, task="spectrum", **values):
    """Commits rows of these points, finished some seconds ago."""
    at = datetime.fromtimestamp(NOW, UTC) - timedelta(seconds=ago)
    values = {"finished_at": at, "task": task, "status": status} | values
    rows = [make_row(key(number), **values) for number in numbers]
    PartWriter(Store(results, task)).commit(rows)


SIZES = {"width": 50, "depth": 3, "n_samples": 3, "n_inputs": 2}


@contextlib.contextmanager
def sweep(results, numbers, owner=None, ago=100.0, cost=None, task="spectrum"):
    """A sweep that computes these points since some seconds ago; each costs the same."""
    store = Store(results, task)
    cost = len(numbers) * float(seconds_of(SIZES)) if cost is None else cost
    with pytest.MonkeyPatch.context() as patch:
        began = dataclasses.replace(owner or THIS, since=NOW - ago)
        patch.setattr(
            Owner, "this", classmethod(lambda cls, task: dataclasses.replace(began, task=task))
        )
        patch.setattr("ntk_sweep.store.session.time.time", lambda: began.since)
        session = store.open_session()
        name = session.__enter__()
        store.announce(name, map(key, numbers), cost)
    try:
        yield
    finally:
        session.__exit__(None, None, None)


def said(results):
    return Status(results).lines()


def who(owner):
    return f"  process {owner.pid} on {owner.host}, since "


def test_a_sweep_under_way_is_told_in_numbers(results):
    finish(results, 1, 2, ago=500)
    with sweep(results, range(3, 23)):
        finish(results, *range(3, 8))
        finish(results, 8, status="failed")
        first, second = said(results)
        assert first.endswith("spectrum: 7 points done, 1 failed")
        assert second.startswith(who(THIS))
        # 6 points in 100 s; the other 14 cost as much each.
        numbers = "5 of 20 points done, 1 failed, 14 left, 0.06 points/s, 3:53 min left"
        assert second.endswith(f": {numbers}")
    assert said(results) == [first, "  no sweep is at work"]


def test_time_left_follows_from_costs(tmp_path):
    results, large = str(tmp_path), dict(SIZES, width=900, depth=9, n_samples=200)
    small, great = float(seconds_of(SIZES)), float(seconds_of(large))
    with sweep(results, range(10), cost=5 * small + 5 * great):
        finish(results, *range(5), **large)
        (line,) = said(results)[1:]
        assert line.endswith(f"{round(100 * 5 * small / (5 * great))} s left")


def test_rows_of_others_are_not_counted_as_the_sweeps_own(results):
    """Two sweeps at once, and a third that came and went meanwhile."""
    with sweep(results, range(10), ago=200), sweep(results, range(8, 20), ago=50, owner=ELSEWHERE):
        finish(results, 0, 1, ago=190)
        finish(results, 9, ago=20)
        finish(results, 15, ago=10)
        finish(results, *range(50, 90), ago=30)
        first, one, two = said(results)
        assert first.endswith(": 44 points done, 0 failed")
        assert ": 3 of 10 points done, 0 failed, 7 left, 0.015 points/s" in one
        assert ": 2 of 12 points done, 0 failed, 10 left, 0.04 points/s" in two


def test_points_that_are_computed_again_count_once_they_are(tmp_path):
    results = str(tmp_path)
    finish(results, 1, 2, ago=500)
    finish(results, 3, status="failed", ago=500)
    with sweep(results, [1, 2, 3]):
        assert ": 0 of 3 points done, 0 failed, 3 left" in said(results)[1]
        finish(results, 1)
        finish(results, 3)
        first, second = said(results)
        assert first.endswith(": 3 points done, 0 failed")
        assert ": 2 of 3 points done, 0 failed, 1 left" in second


def test_a_killed_sweep_is_told_of(results):
    with sweep(results, range(4), owner=KILLED):
        finish(results, 0)
        (line,) = said(results)[1:]
        numbers = "1 of 4 points done, 0 failed, 3 left"
        assert line.endswith(f": {numbers}; it was killed, and the same command again goes on")


def test_of_a_sweep_on_another_machine_the_last_row_tells(tmp_path):
    results = str(tmp_path)
    with sweep(results, range(4), owner=ELSEWHERE, ago=1000):
        assert said(results)[1].endswith("; only its machine can tell whether it still runs")
        finish(results, 0, ago=200)
        line = said(results)[1]
        assert line.startswith(who(ELSEWHERE))
        assert "whether it still runs; its last row is 3:20 min old" in line


def test_a_sweep_that_says_nothing_of_its_points_is_named(results):
    with Store(results, "spectrum").open_session():
        first, second = said(results)
    assert first.endswith(": 0 points done, 0 failed")
    assert second.startswith(who(THIS))
    assert second.endswith("it does not say (yet) which points it computes")


def test_each_task_has_lines_of_its_own(tmp_path):
    results = str(tmp_path)
    finish(results, 1)
    training = {"batch_size": 1, "epochs": 5}
    finish(results, 2, task="training", **training)
    with sweep(results, [3, 4], task="training"):
        finish(results, 3, task="training", **training)
        lines = said(results)
    assert [line.split(": ")[0] for line in lines if not line.startswith("  ")] == [
        f"{results}/spectrum",
        f"{results}/training",
    ]
    assert lines[1] == "  no sweep is at work"
    assert ": 1 of 2 points done, 0 failed, 1 left" in lines[3]


def test_where_nothing_is_a_message_says_so(results):
    with pytest.raises(
        ConfigError, match="holds no rows, and no sweep is at work there: start one"
    ):
        said(results)


def test_a_folder_of_a_task_is_no_results_folder(tmp_path):
    finish(str(tmp_path), 1)
    with pytest.raises(ConfigError, match=f"give the results folder itself, {tmp_path}, or"):
        said(f"{tmp_path}/spectrum")


def test_a_damaged_part_is_named(tmp_path):
    Store(str(tmp_path), "spectrum").write("part-broken.parquet", b"hello")
    with pytest.raises(StoreError, match=r"part-broken\.parquet is not a readable part"):
        show_status(str(tmp_path), Console(file=io.StringIO()))


class Looks:
    """Stands for `time.sleep` between two looks: does something each time, and interrupts last."""

    def __init__(self, *between):
        self.between, self.pauses = list(between), []

    def __call__(self, seconds):
        self.pauses.append(seconds)
        if self.between:
            self.between.pop(0)()
        else:
            signal.raise_signal(signal.SIGINT)


def watched(results, monkeypatch, *between, terminal=False):
    looks, out = Looks(*between), io.StringIO()
    monkeypatch.setattr(stating.time, "sleep", looks)
    before = signal.getsignal(signal.SIGINT)
    ended = watch_status(results, Console(file=out, force_terminal=terminal, width=200))
    assert ended == 128 + signal.SIGINT
    assert signal.getsignal(signal.SIGINT) is before
    return out.getvalue(), looks.pauses


def test_watching_shows_what_is_new(tmp_path, monkeypatch):
    results = str(tmp_path)
    finish(results, 1)
    shown, pauses = watched(results, monkeypatch, lambda: finish(results, 2))
    assert [line for line in shown.splitlines() if "spectrum" in line] == [
        f"{results}/spectrum: 1 point done, 0 failed",
        f"{results}/spectrum: 2 points done, 0 failed",
    ]
    assert "\x1b" not in shown
    assert min(pauses) >= stating.LINE_SECONDS


def test_a_terminal_is_redrawn_and_left_as_it_was(tmp_path, monkeypatch):
    results = str(tmp_path)
    finish(results, 1)
    monkeypatch.setenv("TERM", "xterm")
    shown, _ = watched(results, monkeypatch, lambda: finish(results, 2), terminal=True)
    assert "\x1b[1A\x1b[2K" in shown, "what was there is replaced"
    assert shown.endswith("  no sweep is at work\n\x1b[?25h"), "the cursor is back"


def test_watching_goes_on_where_a_look_fails(tmp_path, monkeypatch):
    results = str(tmp_path)
    finish(results, 1)
    broken = tmp_path / "spectrum" / "part-broken.parquet"
    shown, _ = watched(results, monkeypatch, lambda: broken.write_text("x"), broken.unlink)
    assert "part-broken.parquet is not a readable part" in shown
    assert shown.endswith("1 point done, 0 failed\n  no sweep is at work\n")


def test_watching_nothing_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds no rows"):
        watch_status(str(tmp_path), Console(file=io.StringIO()))


def test_every_commit_of_a_sweep_is_counted(tmp_path, monkeypatch):
    """A sweep that runs: while it does, done and left add up to all it computes."""
    from ntk_sweep.dispatch.sweep import run_sweep
    from ntk_sweep.executors.serial import SerialExecutor
    from tests.helpers.settings import settings
    from tests.helpers.sweeps import QUIET, grid

    seen, wait = [], SerialExecutor.wait

    def looking(self, seconds):
        reports = wait(self, seconds)
        seen.append(said(str(tmp_path))[1].split(": ", 1)[1].split(", ")[:3])
        return reports

    monkeypatch.setattr(SerialExecutor, "wait", looking)
    base = settings(results=str(tmp_path), data__n_per_class=3)
    run_sweep(grid(base, [3, 4]), SerialExecutor, QUIET)
    seen.clear()
    run_sweep(grid(base, range(3, 9)), SerialExecutor, QUIET)
    assert len(seen) > 1
    for done, failed, left in seen:
        assert failed == "0 failed"
        finished = int(done.split(" of 4 points done")[0])
        assert left == f"{4 - finished} left"
    assert seen[-1][0] == "4 of 4 points done"
    assert os.listdir(tmp_path) == ["spectrum"]
