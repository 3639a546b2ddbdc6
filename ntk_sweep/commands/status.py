"""How far sweeps are, as their results tell: what is done, what is left, and who computes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ntk_sweep import exit_status
from ntk_sweep.dispatch.cost import SIZES, TRAINING, seconds_of
from ntk_sweep.dispatch.signals import Interrupted, SignalGuard
from ntk_sweep.durations import duration
from ntk_sweep.errors import ConfigError, SweepError
from ntk_sweep.settings.tasks import TASKS
from ntk_sweep.store.columns import schema
from ntk_sweep.store.filesystems import split_location, without_credentials
from ntk_sweep.store.reading import latest_good
from ntk_sweep.store.session import KEY_DIGITS, Owner
from ntk_sweep.store.watched import WatchedStore

if TYPE_CHECKING:
    import pandas as pd

REDRAW_SECONDS = 2.0
"""Between two looks on a terminal; a sweep reports about as often."""

LINE_SECONDS = 10.0
"""Between two looks where there is no terminal, as in the progress of a sweep."""

LOOK_PAUSES = 4
"""The pause is at least this many times as long as the look, which may take long on a network."""

COSTS = (*SIZES, *TRAINING)
"""The columns that tell the expected cost of a row."""


@dataclass(frozen=True)
class SweepStatus:
    """How far a sweep is.

    Attributes:
        owner: Its process.
        done: Points with a result.
        failed: Points without.
        last: When its last row was finished; None without rows.
        spent: Expected cost of the points that have ended.
        elapsed: Seconds since it began.
    """

    owner: Owner
    done: int
    failed: int
    last: datetime | None
    spent: float
    elapsed: float

    @property
    def wanted(self) -> int:
        """How many points it computes."""
        return len(self.owner.keys) // KEY_DIGITS

    @property
    def left(self) -> int:
        """How many it has yet to compute."""
        return self.wanted - self.done - self.failed

    @property
    def seconds_left(self) -> float:
        """Expected, by the cost of what is left; the largest points come first."""
        cost = max((self.owner.cost or 0.0) - self.spent, 0.0)
        return self.elapsed * cost / self.spent

    def describe(self) -> str:
        """The sweep in one line."""
        if self.owner.cost is None:
            return f"{self.owner}: it does not say (yet) which points it computes{self._doubt()}"
        said = f"{self.done} of {self.wanted} points done, {self.failed} failed, {self.left} left"
        if self.owner.is_alive is not False and (ended := self.done + self.failed):
            said += f", {ended / self.elapsed:.3g} points/s"
            said += f", {duration(self.seconds_left)} left" if self.left else ""
        return f"{self.owner}: {said}{self._doubt()}"

    def _doubt(self) -> str:
        """What is known of the process, unless it runs."""
        if self.owner.is_alive is False:
            return "; it was killed, and the same command again goes on"
        if self.owner.is_alive:
            return ""
        last = ""
        if self.last is not None:
            age = max(time.time() - self.last.timestamp(), 0.0)
            last = f"; its last row is {duration(age)} old"
        return f"; only its machine can tell whether it still runs{last}"


class Status:
    """How far the sweeps under a results folder or URI are.

    Args:
        results: The folder or URI.

    Raises:
        StoreError: It is a URI that cannot be opened.
    """

    def __init__(self, results: str) -> None:
        self._results = results
        self._stores = []
        for task in TASKS:
            costs = [name for name in COSTS if name in schema(task).names]
            columns = ["key", "status", "finished_at", *costs]
            self._stores.append(WatchedStore(results, task, columns))

    def lines(self) -> list[str]:
        """What there is to say, task by task.

        Raises:
            ConfigError: There is nothing.
            StoreError: A part, or the place, cannot be read.
        """
        lines = [line for store in self._stores if store.exists() for line in _task_lines(store)]
        if not lines:
            shown = without_credentials(self._results)
            parent, last = split_location(shown)
            hint = f"give the results folder itself, {parent}, or " if last in TASKS else ""
            raise ConfigError(
                f"{shown} holds no rows, and no sweep is at work there: {hint}start one with "
                f"`ntk-sweep run … results={shown}`"
            )
        return lines


def show_status(results: str, console: Console) -> int:
    """Prints how far the sweeps of a results folder or URI are; returns the exit status.

    Raises:
        ConfigError, StoreError: As `Status.lines`.
    """
    for line in Status(results).lines():
        console.print(line, markup=False)
    return 0


def watch_status(results: str, console: Console) -> int:
    """The same again and again, until a signal comes; returns the exit status.

    On a terminal the lines are replaced. What cannot be read after the first look is told of and
    looked for again.

    Raises:
        ConfigError, StoreError: As `Status.lines`, at the first look.
    """
    status, pause = Status(results), REDRAW_SECONDS if console.is_terminal else LINE_SECONDS
    try:
        with SignalGuard() as guard, guard.immediate(), _canvas(console) as draw:
            look = status.lines
            while True:
                began = time.monotonic()
                draw(look())
                time.sleep(max(pause, LOOK_PAUSES * (time.monotonic() - began)))
                look = partial(_lines_or_fault, status)
    except Interrupted as interrupt:
        return exit_status.SIGNAL + interrupt.signal_number


def _lines_or_fault(status: Status) -> list[str]:
    try:
        return status.lines()
    except SweepError as error:
        return [f"{error}", "looking again; Ctrl-C ends"]


@contextmanager
def _canvas(console: Console) -> Iterator[Callable[[list[str]], None]]:
    """What draws lines: in the place of the last ones on a terminal, below them elsewhere."""
    if not console.is_terminal:
        yield lambda lines: console.print(time.strftime("%H:%M:%S"), *lines, sep="\n", markup=False)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda lines: live.update(Text("\n".join(lines)), refresh=True)


def _task_lines(store: WatchedStore) -> list[str]:
    """What there is to say of a task; nothing if it has neither rows nor sessions."""
    owners = store.owners()
    rows = store.rows()
    if not (owners or rows.num_rows):
        return []
    good = [status != "failed" for status in latest_good(rows)["status"].to_pylist()]
    first = f"{store.location}: {_points(sum(good))} done, {len(good) - sum(good)} failed"
    frame = rows.to_pandas() if owners else None
    sweeps = [f"  {_sweep(owner, frame).describe()}" for owner in owners if frame is not None]
    return [first, *(sweeps or ["  no sweep is at work"])]


def _sweep(owner: Owner, rows: pd.DataFrame) -> SweepStatus:
    """How far the sweep of an owner is, by the rows of its store."""
    import pandas as pd

    began = pd.Timestamp(owner.since, unit="s", tz="UTC")
    own = rows["key"].str[:KEY_DIGITS].isin(owner.wanted) & (rows["finished_at"] >= began)
    ended = rows[own].sort_values("finished_at").drop_duplicates("key", keep="last")
    failed = int((ended["status"] == "failed").sum())
    costs = seconds_of({name: ended[name].astype(float) for name in ended if name in COSTS})
    return SweepStatus(
        owner,
        done=len(ended) - failed,
        failed=failed,
        last=None if ended.empty else ended["finished_at"].iloc[-1],
        spent=float(costs.sum()),
        elapsed=time.time() - owner.since,
    )


def _points(number: int) -> str:
    return "1 point" if number == 1 else f"{number} points"
