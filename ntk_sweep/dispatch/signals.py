"""SIGINT, SIGTERM and SIGHUP (a closed terminal) as an orderly end of a sweep."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
"""Those that the system knows: Windows has no SIGHUP."""


class Interrupted(BaseException):
    """A signal ended the sweep; no handler of ordinary exceptions may swallow it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.signal_number = signal_number


class SignalGuard:
    """Notes the first of these signals while it is entered, and ignores further ones.

    A signal raises at once only inside `immediate`. Elsewhere it waits for `check`: raising in the
    middle of Ray's compiled code ends in a SystemError. Outside the main thread, where Python
    allows no handlers, the guard does nothing. A signal that was ignored before stays ignored:
    that is what `nohup` is for.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._immediate = False
        self._before: dict[int, Any] = {}
        self._guarded = [
            number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN
        ]

    def __enter__(self) -> SignalGuard:
        self.install()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def install(self) -> None:
        """Sets the handlers; once more after others, such as Ray at its start, have set theirs."""
        if threading.current_thread() is threading.main_thread():
            for number in self._guarded:
                before = signal.signal(number, self._handle)
                self._before.setdefault(number, before)

    def check(self) -> None:
        """Raises Interrupted if a signal came."""
        if self._number is not None:
            raise Interrupted(self._number)

    @contextmanager
    def immediate(self) -> Iterator[None]:
        """Signals raise at once in here; one that came before raises on entry."""
        self.check()
        self._immediate = True
        try:
            yield
        finally:
            self._immediate = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._number is None:
            self._number = number
            if self._immediate:
                self._immediate = False
                raise Interrupted(number)
