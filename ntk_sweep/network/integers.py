"""What an integer argument must be: one check for networks, limit kernels and settings."""

from __future__ import annotations

from numbers import Integral
from typing import Any


def integer_fault(value: Any, least: int) -> str | None:
    """What is wrong with a value that must be an integer of at least `least`; None if nothing is.

    >>> integer_fault(0, least=1)
    'must be an integer of at least 1'
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        return f"must be an integer of at least {least}"
    return None
