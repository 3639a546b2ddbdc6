"""Durations in words."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Seconds as "42 s", "3:05 min" or "2:07 h".

    >>> duration(185)
    '3:05 min'
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02} h"
