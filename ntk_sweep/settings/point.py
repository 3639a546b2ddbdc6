"""A point of a sweep, and its key."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property

from ntk_sweep.settings.schema import SweepConfig, TaskConfig

NUMERICS_VERSION = 2
"""Part of every key. Raise it when a change of the code changes the numbers in a row beyond their
stated errors."""

BY_PRODUCTS = ("save_kernel",)
"""Settings that ask for more than a row and change no number in it: not part of the key."""


@dataclass(frozen=True)
class Point:
    """One network on one data set, and what is to be computed of it: everything that determines the
    numbers of a row.

    Attributes:
        settings: The task and its settings.
    """

    settings: TaskConfig
    act: str
    width: int
    depth: int
    seed: int
    parametrisation: str
    dtype: str
    data_fingerprint: str

    @classmethod
    def of(cls, config: SweepConfig, data_fingerprint: str) -> Point:
        """The point that `config` describes, on the data with this fingerprint."""
        return cls(
            settings=copy.copy(config.task),
            act=config.act,
            width=config.width,
            depth=config.depth,
            seed=config.seed,
            parametrisation=config.parametrisation,
            dtype=config.dtype,
            data_fingerprint=data_fingerprint,
        )

    @property
    def task(self) -> str:
        """The name of the task."""
        return self.settings.name

    @property
    def save_kernel(self) -> bool:
        """Whether the kernel matrix is wanted beside the row."""
        return getattr(self.settings, "save_kernel", False)

    @cached_property
    def key(self) -> str:
        """SHA-256 over the point and the numerics version; not over hosts, paths, devices or
        launchers."""
        values = asdict(self)
        settings = values.pop("settings")
        values |= {
            name: value for name, value in settings.items() if name not in ("name", *BY_PRODUCTS)
        }
        values |= {"task": self.task, "numerics_version": NUMERICS_VERSION}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def __str__(self) -> str:
        return (
            f"act={self.act} width={self.width} depth={self.depth} seed={self.seed} "
            f"({self.parametrisation}, {self.dtype})"
        )
