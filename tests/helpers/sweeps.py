"""Small sweeps in this process, and executors that misbehave on purpose."""

import dataclasses

from rich.console import Console

from ntk_sweep.executors.serial import SerialExecutor
from ntk_sweep.store.reading import load_results

QUIET = Console(quiet=True)


def grid(base, widths, **changes):
    return [dataclasses.replace(base, width=width, **changes) for width in widths]


def rows(base):
    return load_results(base.results + "/spectrum")


def unreliable(loses):
    """An executor class that asks `loses(spec)` for a `Lost`, or None to compute the chunk."""

    class Unreliable(SerialExecutor):
        def wait(self, seconds):
            number, spec, _ = self._queue[0]
            lost = loses(spec)
            if lost is None:
                return super().wait(seconds)
            self._queue.popleft()
            return [(number, lost)]

    return Unreliable
