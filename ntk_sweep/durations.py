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


def rough_duration(seconds: float) -> str:
    """Seconds as "42 s", "3 min" or "2 h 7 min": no finer than a reader of a summary wants.

    >>> rough_duration(7620)
    '2 h 7 min'
    """
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h {whole % 3600 // 60} min"
