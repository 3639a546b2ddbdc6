"""Protects what a sweep shows without a terminal: counts, losses, rate and time left."""

from contextlib import suppress

import pytest
from rich.console import Console

from ntk_sweep.dispatch import progress as showing
from ntk_sweep.dispatch.progress import SHOWN_LOSSES, SweepProgress, sign_of_life


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(showing.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def shown():
    console = Console(width=200, force_terminal=False)
    with console.capture():
        yield console


def test_the_time_left_follows_from_costs(clock, shown):
    progress = SweepProgress(shown, total=12, skipped=2, cost=100.0)
    assert progress.figures() == "2 skipped, 0 failed"
    clock[0] += 30
    progress.advance(5, 1, 25.0)
    assert progress.figures() == "2 skipped, 1 failed, 0.2 points/s, 1:30 min left"
    clock[0] += 30
    progress.advance(5, 0, 75.0)
    assert progress.figures() == "2 skipped, 1 failed, 0.2 points/s, 1:00 min in all"


def test_lost_workers_are_told_of_and_counted(clock):
    console = Console(width=200, force_terminal=False)
    with console.capture() as captured:
        progress = SweepProgress(console, total=9, skipped=0, cost=1.0)
        for again in range(SHOWN_LOSSES + 5):
            progress.worker_lost("The worker died.\nLong advice", again)
    lines = captured.get().splitlines()
    assert len(lines) == SHOWN_LOSSES
    assert lines[:3] == [
        "a worker was lost (The worker died)",
        "a worker was lost (The worker died): 1 point is tried again",
        "a worker was lost (The worker died): 2 points are tried again",
    ]
    assert f"{SHOWN_LOSSES + 5} workers lost" in progress.figures()


def test_a_line_comes_with_news_and_every_few_seconds(clock):
    console = Console(width=200, force_terminal=False)
    with console.capture() as captured, SweepProgress(console, 3, 0, 1.0) as progress:
        progress.refresh()
        progress.refresh("waiting for a machine")
        progress.refresh("waiting for a machine")
        clock[0] += showing.LINE_SECONDS
        progress.refresh("waiting for a machine")
    lines = captured.get().splitlines()
    assert lines[0] == "0/3 points, 0 skipped, 0 failed"
    assert lines[1:] == ["0/3 points, 0 skipped, 0 failed, waiting for a machine"] * 3


def prepared(clock, console, seconds, total=1000):
    """What is shown while points are prepared, each in as many seconds."""
    with console.capture() as captured, sign_of_life("composed", total, console) as tick:
        for _ in range(20):
            clock[0] += seconds
            tick()
    return captured.get()


def test_a_preparation_that_takes_long_tells_how_far_it_is(clock):
    console = Console(width=200, force_terminal=False)
    assert prepared(clock, console, 0.04) == ""
    told = prepared(clock, console, 0.5).splitlines()
    assert told == [f"{done} of 1,000 points composed" for done in (2, 8, 14, 20)]
    assert prepared(clock, console, 1, total=None).splitlines()[0] == "1 points composed"


def test_on_a_terminal_one_line_changes(clock):
    console = Console(width=200, force_terminal=True)
    shown = prepared(clock, console, 0.3)
    assert " of 1,000 points composed" in shown
    assert shown.startswith("\x1b[?25l") and "\x1b[?25h" in shown  # the cursor, hidden and shown
    assert shown.endswith("\x1b[2K")


def test_a_preparation_that_fails_leaves_no_line(clock):
    console = Console(width=200, force_terminal=True)

    def fail(tick):
        clock[0] += 5
        tick()
        raise ValueError("mistake")

    with console.capture() as captured, suppress(ValueError):  # noqa: SIM117 - in this order
        with sign_of_life("composed", 9, console) as tick:
            fail(tick)
    assert captured.get().endswith("\x1b[2K")


def test_a_notebook_shows_a_bar_that_is_replaced(clock, monkeypatch):
    display = pytest.importorskip("IPython.display", reason="IPython is not installed")
    pictures = []

    class Handle:
        def update(self, picture, raw):
            pictures.append(picture)

    monkeypatch.setattr(display, "display", lambda *_, **__: Handle())
    console = Console(force_jupyter=True)
    with SweepProgress(console, total=4, skipped=1, cost=3.0) as progress:
        clock[0] += 1
        progress.advance(1, 0, 1.0)
        progress.advance(1, 0, 1.0)  # at once: too soon for another picture
        clock[0] += 1
        progress.advance(1, 0, 1.0)
    done = [picture["text/plain"].split()[0] for picture in pictures]
    assert done == ["1/4", "2/4", "4/4", "4/4"]
    assert '<progress value="4" max="4">' in pictures[-1]["text/html"]
