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
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module

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

_forked: list[ProcessPoolExecutor] = []


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
    pool = _pool(others, "fork")
    with signals_left_to_parent(), warnings.catch_warnings():
        # Python warns of forks beside threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        pool.submit(gc.isenabled)
    _forked.append(pool)
    try:
        yield
    finally:
        with forked_before():
            pass


@contextmanager
def forked_before() -> Iterator[ProcessPoolExecutor | None]:
    """The processes of `forked_early`, if there are any; they end with the context."""
    pool = _forked.pop() if _forked else None
    try:
        yield pool
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


@contextmanager
def spawned(number: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that are each started when there is a figure for it; they end with the context."""
    pool = _pool(number, "spawn")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(number: int, method: str) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        number,
        mp_context=multiprocessing.get_context(method),
        initializer=_begin,
        initargs=gc.get_threshold(),
    )


def _begin(*young_objects: int) -> None:
    """Garbage is looked for as seldom as in the parent."""
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
