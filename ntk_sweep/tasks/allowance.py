"""What a point may take: part of a GPU, and time.

Time is watched twice. An alarm raises `Overtime` in the main thread, so the process goes on with
the next point. Python handles signals between its own instructions only, so a long call into BLAS
or LAPACK returns first. Where the process may be ended, a second watch runs in a thread: it ends a
process whose point still computes `GRACE_SECONDS` after the alarm.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeVar

GRACE_SECONDS = 10.0
"""How long after the alarm a process is ended: about what a new one takes to start."""

REPEAT_SECONDS = 1.0
"""After which the alarm rings again, in case that what it raised was lost, as in a destructor."""

T = TypeVar("T")


class Overtime(BaseException):
    """A point took too long; no handler of ordinary exceptions may swallow it."""


def overtime(seconds: float) -> str:
    """What the row of a point says that took longer than this."""
    return f"the point took longer than compute.time_limit={seconds:g} s"


def has_alarm() -> bool:
    """Whether this thread can be interrupted: Python sends signals to the main thread alone."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


@dataclass(frozen=True)
class Allowance:
    """What each point of a chunk may take.

    Attributes:
        share: The part of a GPU's memory, from 0 to 1.
        seconds: The time; None sets no limit.
        give_up: Ends the process for want of another way, given the point's key. It is called in
            another thread. None lets a point end late.
    """

    share: float = 1.0
    seconds: float | None = None
    give_up: Callable[[str], None] | None = None

    def within(self, compute: Callable[[], T], key: str | None = None) -> T:
        """What `compute` returns, if it does so in time.

        Args:
            compute: Computes a point.
            key: The point's; None never ends the process.

        Raises:
            Overtime: It takes too long.
        """
        if self.seconds is None:
            return compute()
        watch = _Watch(self.seconds, self.give_up, key)
        # An alarm may ring in the inner `finally` itself, before `stop` has begun.
        try:
            try:
                watch.start()
                return compute()
            finally:
                watch.stop()
        except Overtime:
            watch.stop()
            raise


UNLIMITED = Allowance()
"""All of a GPU, and as long as it takes."""


class _Watch:
    def __init__(
        self, seconds: float, give_up: Callable[[str], None] | None, key: str | None
    ) -> None:
        self._seconds = seconds
        self._armed = False
        self._before: Any = None
        self._timer: threading.Timer | None = None
        if give_up is not None and key is not None:
            self._timer = threading.Timer(seconds + GRACE_SECONDS, give_up, [key])
            self._timer.daemon = True

    def start(self) -> None:
        if self._timer:
            self._timer.start()
        if has_alarm():
            self._armed = True
            self._before = signal.signal(signal.SIGALRM, self._ring)
            signal.setitimer(signal.ITIMER_REAL, self._seconds, REPEAT_SECONDS)

    def stop(self) -> None:
        """Ends the watch; an alarm on its way here does nothing any more."""
        if self._timer:
            self._timer.cancel()
        if self._armed:
            self._armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._before)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if self._armed:
            raise Overtime(overtime(self._seconds))
