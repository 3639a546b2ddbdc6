"""Standard output and error whose loss stops no command: the rows are what counts."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

from ntk_sweep import exit_status


class Streams:
    """Puts streams that never fail in the place of this process' standard output and error.

    A reader that has seen enough, as `head`, closes the pipe: nothing is lost that anybody wants.
    A full disk is noted. A stream that was closed from the start leads nowhere, so that no file
    opened later gets its number. Streams that someone else put in place stay as they are.
    """

    def __init__(self) -> None:
        # A terminal without Greek letters shows a question mark in their place.
        self._all = [_put("stdout", 1, "replace"), _put("stderr", 2, "backslashreplace")]

    def status(self, status: int) -> int:
        """The exit status: 3 in place of 0 if output was lost, of which standard error tells."""
        sys.stdout.flush()
        sys.stderr.flush()
        lost = [stream.lost for stream in self._all if stream.lost]
        for error in lost:
            sys.stderr.write(f"error: output was lost: {error.strerror}\n")
        sys.stderr.flush()
        return status or (exit_status.LOST if lost else 0)


class _Forgiving(io.FileIO):
    """Drops what it cannot write, and notes why unless the reader has closed the pipe."""

    lost: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes
        except OSError as error:
            self.lost = error
            return memoryview(data).nbytes


def _put(name: str, number: int, errors: str) -> _Forgiving:
    try:
        os.fstat(number)
    except OSError:
        _lead_nowhere(number)
    raw, before = _Forgiving(number, "w", closefd=False), getattr(sys, name)
    if before is getattr(sys, f"__{name}__"):
        stream = io.TextIOWrapper(
            io.BufferedWriter(raw),
            encoding=before.encoding if before else "utf-8",
            errors=errors,
            line_buffering=before is not None and (before.line_buffering or before.write_through),
        )
        setattr(sys, name, stream)
    return raw


def _lead_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere == number:
        os.set_inheritable(number, True)
    else:
        os.dup2(nowhere, number)
        os.close(nowhere)
