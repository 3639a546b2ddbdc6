"""Seconds of calls."""

from __future__ import annotations

import time
from collections.abc import Callable


def least_seconds(compute: Callable[[], object], repeats: int) -> float:
    """The least of several calls: what disturbs a call only makes it longer."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        compute()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
