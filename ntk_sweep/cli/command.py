"""The words of `ntk-sweep`: `run` computes; all others read what was computed."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from types import FrameType
from typing import cast

from ntk_sweep import exit_status
from ntk_sweep._version import __version__
from ntk_sweep.cli.streams import Streams
from ntk_sweep.deferred import UNDRAWN, defer_modules, defer_parts_of_torch
from ntk_sweep.dispatch.signals import SIGNALS

RUN, STATUS = "run", "status"

OTHERS = {
    RUN: "compute one network, or with -m a sweep; `ntk-sweep run --help` lists its settings",
    STATUS: "how far sweeps are: done, failed, left, points a second, who computes them",
}
"""The commands beside those of the analysis."""

YOUNG_OBJECTS = 10_000
"""So many new objects are looked through for cycles, instead of Python's 700: imports make hundreds
of thousands and no garbage. More gain little."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command as this process; returns the exit status.

    It takes over the process' signals and standard streams for good.

    Args:
        arguments: As typed behind `ntk-sweep`; by default those of this process.
    """
    _end_plainly_on_signals()
    _speak_utf8()
    gc.set_threshold(YOUNG_OBJECTS)
    defer_parts_of_torch()
    streams = Streams()
    try:
        status = _run(list(sys.argv[1:] if arguments is None else arguments))
    except SystemExit as ended:
        status = cast(int, ended.code or 0)
    gc.freeze()  # or Python would look through all that torch made before it ends
    return streams.status(status)


def _run(words: list[str]) -> int:
    if fault := _fault_of_names(words):
        sys.stderr.write(f"error: {fault}\n")
        return exit_status.MISTAKE
    if "--version" in words:
        sys.stdout.write(f"ntk-sweep {__version__}\n")  # Hydra would print its own
        return 0
    # Each loads only what it needs: torch-free, and without drawing where nothing is drawn.
    if words[:1] == [RUN]:
        from ntk_sweep.cli.run import run

        return run(words[1:])
    if words[:1] == [STATUS]:
        from ntk_sweep.cli.status import status

        return status(words[1:])
    from ntk_sweep.analysis.cli import main as analyse

    with ExitStack() as ended_with_command:

        def get_ready_to_draw(files: bool) -> None:
            from ntk_sweep.cli.matplotlib_settings import load_matplotlib

            defer_modules(UNDRAWN)
            load_matplotlib()
            if files:
                from ntk_sweep.analysis.drawing.processes import forked_early

                ended_with_command.enter_context(forked_early())

        return analyse(words, OTHERS, get_ready_to_draw)


def _fault_of_names(words: list[str]) -> str | None:
    """What is wrong with the names of files in a command, or with the working folder."""
    try:
        names = [*words, os.getcwd()]
    except FileNotFoundError:
        return "the working folder was removed: change to another"
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            seen = name.encode(errors="surrogateescape")
            return f"{seen!r} is not UTF-8, as names of files must be: rename what it names"
    return None


def _end_plainly_on_signals() -> None:
    """Signals end the process at once and without a word, where no sweep has to be closed first.

    As SignalGuard does, it leaves signals that are ignored, and threads that are not the main one.
    """
    with suppress(ValueError):
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    if "multiprocessing" in sys.modules and _kill_helpers():
        # On the way out their pool removes its semaphores; that it is broken is no news.
        threading.excepthook = lambda _: None
        sys.exit(exit_status.SIGNAL + number)
    with suppress(Exception):
        sys.stdout.flush()
    os._exit(exit_status.SIGNAL + number)


def _kill_helpers() -> bool:
    """Ends the processes of a pool; whether some were spawned, which have semaphores to remove.

    `multiprocessing.active_children` knows those that were forked. One that is being spawned it
    does not know, which would tell of its end in a traceback.
    """
    import multiprocessing

    import psutil

    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if any("spawn_main" in word for word in child.cmdline()):
                child.kill()
                found.append(child)
    for forked in multiprocessing.active_children():
        forked.kill()
    return bool(found)


def _speak_utf8() -> None:
    """Starts the program anew in Python's UTF-8 mode, where the locale has another encoding.

    Arrow and Ray take names of files as UTF-8 whatever the locale.
    """
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
