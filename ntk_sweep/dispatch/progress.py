"""What a sweep shows while it runs: a bar on a terminal or in a notebook, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.status import Status
from rich.text import Text

from ntk_sweep.dispatch.notebook_bar import NotebookBar
from ntk_sweep.durations import duration

LINE_SECONDS = 10.0
"""Time between two lines where there is no terminal.

Readable in a log, and soon enough to see that the sweep lives.
"""

SIGN_SECONDS = 1.0
"""After how long the preparation of a sweep tells how far it is.

Users take a program that is silent for longer for dead.
"""

LINES_EVERY = 3
"""How many such times lie between two lines where there is no terminal."""

SHOWN_LOSSES = 10
"""How many lost workers are told of one by one; all of them are counted."""


@contextmanager
def sign_of_life(what: str, total: int | None, console: Console) -> Iterator[Callable[[], None]]:
    """Tells how many points were prepared, as soon as that takes long.

    Args:
        what: What is done to the points.
        total: How many there are, if that is known.
        console: Where to tell: in a line that changes on a terminal, in one after the other
            elsewhere.

    Yields:
        What to call after each point.
    """
    of = "" if total is None else f" of {total:,}"
    done, due = 0, time.monotonic() + SIGN_SECONDS
    status: Status | None = None

    def tick() -> None:
        nonlocal done, due, status
        done += 1
        if (now := time.monotonic()) < due:
            return
        text = f"{done:,}{of} points {what}"
        if not console.is_terminal:
            console.print(text)
            due = now + LINES_EVERY * SIGN_SECONDS
            return
        due = now + SIGN_SECONDS
        if status is None:
            status = console.status(text)
            status.start()
        status.update(text)

    try:
        yield tick
    finally:
        if status is not None:
            status.stop()


class SweepProgress:
    """Counts points done, skipped and failed, and workers lost, with rate and time left.

    The time left follows from expected costs, not from numbers of points, since a deep and wide
    network takes a thousand times as long as a small one.

    Args:
        console: Where to print.
        total: Points of the sweep, skipped ones included.
        skipped: Points that were in the store already.
        cost: Expected cost of the others.
    """

    def __init__(self, console: Console, total: int, skipped: int, cost: float) -> None:
        self.total, self.skipped, self.done, self.failed, self.lost = total, skipped, 0, 0, 0
        self._console = console
        self._cost, self._spent = cost, 0.0
        self._begun = time.monotonic()
        self._next_line = self._begun + LINE_SECONDS
        self._note = ""
        self._bar: Progress | None = None
        self._notebook = NotebookBar() if console.is_jupyter else None
        if console.is_terminal:
            columns = [
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                _Figures(self),
            ]
            self._bar = Progress(*columns, console=console, expand=True)
            self._task = self._bar.add_task("sweep", total=total, completed=skipped)

    def __enter__(self) -> SweepProgress:
        if self._bar:
            self._bar.start()
        else:
            self._line()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()
        else:
            self._line()

    def advance(self, done: int, failed: int, cost: float) -> None:
        """Notes points that ended, `failed` of them as failures, and their expected cost."""
        self.done += done
        self.failed += failed
        self._spent += cost
        if self._bar:
            self._bar.update(self._task, completed=self.skipped + self.done)
        elif self._notebook:
            self._notebook.show(self.skipped + self.done, self.total, self.figures())

    def worker_lost(self, reason: str, again: int) -> None:
        """Tells of a worker that was lost, and how many points are tried again for it."""
        self.lost += 1
        if self.lost <= SHOWN_LOSSES:
            retried = (
                f": {'1 point is' if again == 1 else f'{again} points are'} tried again"
                if again
                else ""
            )
            said = (reason.strip() or "Ray gives no reason").splitlines()[0].strip().rstrip(".")
            self._console.print(f"a worker was lost ({said}){retried}", markup=False)

    def refresh(self, note: str = "") -> None:
        """Shows that the sweep lives; `note` says what keeps it waiting."""
        news, self._note = note != self._note, note
        if not self._bar and (news or time.monotonic() >= self._next_line):
            self._line()

    def _line(self) -> None:
        self._next_line = time.monotonic() + LINE_SECONDS
        if self._notebook:
            points = self.skipped + self.done
            self._notebook.show(points, self.total, self.figures(), last=True)
            return
        self._console.print(f"{self.skipped + self.done}/{self.total} points, {self.figures()}")

    def figures(self) -> str:
        """Skipped, failed, lost, rate and time left."""
        elapsed = time.monotonic() - self._begun
        parts = [f"{self.skipped} skipped", f"{self.failed} failed"]
        if self.lost:
            parts.append("1 worker lost" if self.lost == 1 else f"{self.lost} workers lost")
        if self._note:
            parts.append(self._note)
        if self.done:
            parts.append(f"{self.done / elapsed:.1f} points/s")
            left = elapsed * max(self._cost - self._spent, 0.0) / self._spent
            parts.append(
                f"{duration(left)} left"
                if self.skipped + self.done < self.total
                else f"{duration(elapsed)} in all"
            )
        return ", ".join(parts)


class _Figures(ProgressColumn):
    max_refresh = 0.5

    def __init__(self, progress: SweepProgress) -> None:
        super().__init__()
        self._progress = progress

    def render(self, task: Task) -> Text:
        return Text(self._progress.figures())
