"""Processes that draw figures beside this one."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from threadpoolctl import threadpool_limits

from ntk_sweep.cores import available_cores

MOST_FORKED = 16
"""Each is forked whether there are figures for it or not, which takes 6 ms."""

_LOADED = (
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "matplotlib.backends.backend_pdf",
)
"""What draws a figure in all formats."""


class Helpers:
    """Processes beside this one, which take what was handed over first while it takes the last.

    A pool of processes would have its next tasks sent ahead, and this one would wait for them.

    Args:
        number: How many, each started when there is work for it.
        method: Of `multiprocessing`, by which they are started.
    """

    def __init__(self, number: int, method: str) -> None:
        context = multiprocessing.get_context(method)
        self._turns = context.Semaphore(0)
        self._pool = ProcessPoolExecutor(
            number,
            mp_context=context,
            initializer=_begin,
            initargs=(self._turns, *gc.get_threshold()),
        )

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Hands work over; its result is None where `takes_last` came before it."""
        self._turns.release()
        with signals_left_to_parent():
            return self._pool.submit(_in_turn, work, *arguments)

    def takes_last(self) -> bool:
        """Whether the last of the work that nobody has taken is left to this process."""
        return self._turns.acquire(block=False)

    def end(self) -> None:
        """Waits for work that has begun; no other is begun."""
        self._pool.shutdown(cancel_futures=True)


_forked: list[Helpers] = []

_turns: Any = None
"""In a helper, the semaphore of its parent: one for each piece of work that nobody has taken."""


def _in_turn(work: Callable[..., Any], *arguments: Any) -> Any:
    return work(*arguments) if _turns.acquire(block=False) else None


@contextmanager
def forked_early() -> Iterator[None]:
    """Forks processes that draw the figures of this command, where that is safe.

    Those that nobody took end with the context: Python may complain if it ends before them.

    A fork has what this process has loaded, and a process that is started must load it again. But
    it also has the locks that threads of Arrow hold at that moment, for ever; so it is made before
    Arrow reads anything. The threads that libraries start when they are loaded (of OpenBLAS, and of
    Arrow's allocator) are known to their libraries' handlers of forks.

    Nothing is drawn before: a font that is open has one place in its file for all processes.
    """
    others = min(available_cores() - 1, MOST_FORKED)
    # On macOS, libraries of the system do not survive a fork.
    if _forked or not others or sys.platform != "linux" or threading.active_count() > 1:
        yield
        return
    for name in _LOADED:
        import_module(name)
    gc.freeze()  # what was loaded stays, and is not looked through for garbage
    # On cores that helpers keep busy, threads of BLAS wait for one another: a small matrix takes
    # 0.1 s in place of a millisecond.
    with threadpool_limits(1, user_api="blas"):
        helpers = Helpers(others, "fork")
        with warnings.catch_warnings():
            # Python warns of forks beside threads.
            warnings.simplefilter("ignore", DeprecationWarning)
            helpers.submit(gc.isenabled)
        _forked.append(helpers)
        try:
            yield
        finally:
            with forked_before():
                pass


@contextmanager
def forked_before() -> Iterator[Helpers | None]:
    """The processes of `forked_early`, if there are any; they end with the context."""
    helpers = _forked.pop() if _forked else None
    try:
        yield helpers
    finally:
        if helpers is not None:
            helpers.end()


@contextmanager
def spawned(number: int) -> Iterator[Helpers]:
    """Processes that are each started when there is a figure for it; they end with the context."""
    helpers = Helpers(number, "spawn")
    try:
        yield helpers
    finally:
        helpers.end()


def _begin(turns: Any, *young_objects: int) -> None:
    """Garbage is looked for as seldom as in the parent."""
    global _turns
    _turns = turns
    gc.set_threshold(*young_objects)
    # What matplotlib warns of when it is loaded, the parent was told already.
    logging.disable(logging.WARNING)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Nobody else ends a process whose parent was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def signals_left_to_parent() -> Iterator[None]:
    """Processes started in here wait for this one to end them, also at Ctrl-C.

    A terminal sends it to all processes of a command, and each would say so.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Not every system knows SIGHUP.
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    ends = {getattr(signal, name) for name in names if hasattr(signal, name)}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
