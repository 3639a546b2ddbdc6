"""Protects what a sweep shows without a terminal: counts, losses, rate and time left."""

import pytest
from rich.console import Console

from ntk_sweep.dispatch import progress as showing
from ntk_sweep.dispatch.progress import SHOWN_LOSSES, SweepProgress


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
