"""What a single setting may hold: each check says what is wrong with a value, or None.

A setting of `ntk_sweep.settings.schema` carries its check, `ntk_sweep.settings.validation` asks it.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

from ntk_sweep.network.integers import integer_fault

LARGEST_INTEGER = 2**63 - 1
"""What an integer column of the results holds."""

LARGEST_NULLABLE = 2**53
"""What it holds where some rows have none: pandas reads such a column as float64."""


class Check(Protocol):
    """What a value must be."""

    def __call__(self, value: Any) -> str | None:
        """What is wrong with the value, to be read after ``name=value``; None if nothing is."""
        ...


@dataclass(frozen=True)
class OneOf:
    """One of some names; a registry may grow after this was made."""

    choices: Collection[str]

    def __call__(self, value: Any) -> str | None:
        """Names the choices."""
        if value in tuple(self.choices):
            return None
        return f"is unknown: choose one of {', '.join(self.choices)}"


@dataclass(frozen=True)
class IntegerFrom:
    """An integer of at least `least`, and `why`; at most `most`."""

    least: int
    why: str = ""
    most: int = LARGEST_INTEGER

    def __call__(self, value: Any) -> str | None:
        """Names the bound that is passed."""
        # Not NumPy's integers: a key hashes plain ones.
        if fault := integer_fault(value if isinstance(value, int) else None, self.least):
            return f"{fault}: {self.why}" if self.why else fault
        if value > self.most:
            return f"must be an integer of at most {self.most}: the results store no greater one"
        return None


@dataclass(frozen=True)
class Optional:
    """None, or what another check accepts."""

    check: Check

    def __call__(self, value: Any) -> str | None:
        """Asks the other check."""
        return None if value is None else self.check(value)


def positive(value: float) -> str | None:
    """A finite number above zero."""
    return None if math.isfinite(value) and value > 0 else "must be a positive number"


def not_negative(value: float) -> str | None:
    """A finite number from zero on."""
    return None if math.isfinite(value) and value >= 0 else "must be 0 or a positive number"


def relative_error(value: float) -> str | None:
    """A number between zero and one."""
    return None if 0 < value < 1 else "must be a relative error between 0 and 1, such as 1e-9"


def proportion(value: float) -> str | None:
    """A number from zero to one."""
    return None if 0 <= value <= 1 else "must be a share from 0 to 1, such as 0.2"


def share_of_gpus(value: float) -> str | None:
    """A whole number of GPUs, or a part of one."""
    if not (math.isfinite(value) and value >= 0):
        return "must be 0 or a positive number, such as 0.25"
    if value > 1 and value != int(value):
        return "must be whole above 1: only one GPU can be shared"
    return None


def two_labels(value: Any) -> str | None:
    """None, or a pair."""
    if value is None or (len(value) == 2 and value[0] != value[1]):
        return None
    return "must be two different labels, such as [0,9]"


def two_targets(value: Any) -> str | None:
    """A pair of finite numbers."""
    if len(value) == 2 and all(map(math.isfinite, value)) and value[0] != value[1]:
        return None
    return "must be two different finite numbers, such as [-1,1]"
