"""What the numbers say of a statement."""

from __future__ import annotations

import math

AGREES, DIFFERS = "agrees", "differs"


def verdict(agrees: bool) -> str:
    """The word for it."""
    return AGREES if agrees else DIFFERS


def below(value: float) -> str:
    """The power of ten above an error, in which rounding does not show."""
    return f"< 1e{max(-13, math.floor(math.log10(value)) + 1) if value else -13}"
