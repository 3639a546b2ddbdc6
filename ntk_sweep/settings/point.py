"""A point of a sweep, and its key."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Collection
from dataclasses import MISSING, dataclass, fields, replace
from functools import cache, cached_property
from typing import Any

from ntk_sweep.network.architecture import Architecture, scale_words
from ntk_sweep.settings.schema import SETTING_OF, SweepConfig, TaskConfig

NUMERICS_VERSION = 2
"""Part of every key. Raise it when a change of the code changes the numbers in a row beyond their
stated errors."""

KERNEL, LAYER_KERNELS, EIGENVECTORS = "kernel_file", "layer_kernels_file", "eigenvectors_file"
"""The columns that name a file beside the row."""

BY_PRODUCTS = {
    "save_kernel": KERNEL,
    "save_layer_kernels": LAYER_KERNELS,
    "save_eigenvectors": EIGENVECTORS,
}
"""Settings that ask for a file beside the row, and the column that names it. They change no number
in the row: not part of the key."""

ALWAYS_HASHED = (
    *("activation", "width", "depth", "parametrisation"),
    *("method", "target"),
    *("learning_rate", "learning_rate_unit", "batch_size", "epochs", "shuffle"),
    "record_kernel_every",
)
"""Fields of the architecture and of the tasks' settings that are in a key whatever their value.

No name is added here: a new field is left out of the key at its default, so that the keys of stored
rows stay what they are. The default of such a field must never change."""


_as_json = json.JSONEncoder(sort_keys=True).encode


@dataclass(frozen=True)
class Point:
    """One network on one data set, and what is to be computed of it.

    It holds everything that determines the numbers of a row.

    Attributes:
        settings: The task and its settings.
        architecture: The network without its weights.
        seed: Of the weights.
        dtype: Of the network.
        data_fingerprint: Of the data set.
        test_fingerprint: Of its test inputs, where the task reads them.
    """

    settings: TaskConfig
    architecture: Architecture
    seed: int
    dtype: str
    data_fingerprint: str
    test_fingerprint: str | None = None

    @classmethod
    def of(
        cls, config: SweepConfig, data_fingerprint: str, test_fingerprint: str | None = None
    ) -> Point:
        """The point that `config` describes, on the data with these fingerprints."""
        return cls(
            copy.copy(config.task),
            config.architecture,
            config.seed,
            config.dtype,
            data_fingerprint,
            test_fingerprint if config.task.reads_test_inputs else None,
        )

    @property
    def task(self) -> str:
        """The name of the task."""
        return self.settings.name

    @property
    def files(self) -> frozenset[str]:
        """The columns of the files that are wanted beside the row."""
        wanted = (name for name in BY_PRODUCTS if getattr(self.settings, name, False))
        return frozenset(BY_PRODUCTS[name] for name in wanted)

    def with_files(self, columns: Collection[str]) -> Point:
        """The same point, of which these files are wanted too."""
        if self.files.issuperset(columns):
            return self
        names = [name for name, column in BY_PRODUCTS.items() if column in columns]
        wanted: dict[str, Any] = dict.fromkeys(names, True)
        return replace(self, settings=replace(self.settings, **wanted))

    @property
    def coordinates(self) -> dict[str, Any]:
        """The network and its draw, as settings and columns call them."""
        names = [item.name for item in fields(self.architecture)]
        own = {SETTING_OF.get(name, name): getattr(self.architecture, name) for name in names}
        return own | {"seed": self.seed, "dtype": self.dtype}

    @cached_property
    def key(self) -> str:
        """SHA-256 over the point and the numerics version.

        Not over hosts, paths, devices or launchers.
        """
        own = {"seed": self.seed, "dtype": self.dtype, "data_fingerprint": self.data_fingerprint}
        own |= {"task": self.task, "numerics_version": NUMERICS_VERSION}
        if self.test_fingerprint is not None:
            own["test_fingerprint"] = self.test_fingerprint
        settings = _hashed(self.settings, leave_out=("name", *BY_PRODUCTS))
        network = _hashed(self.architecture)
        architecture = {SETTING_OF.get(name, name): value for name, value in network.items()}
        values = own | architecture | settings
        assert len(values) == len(own) + len(architecture) + len(settings), "a name is used twice"
        return hashlib.sha256(_as_json(values).encode()).hexdigest()

    def __str__(self) -> str:
        network = self.architecture
        scales = scale_words(network.weight_std, network.bias_std)
        kind = ", ".join([network.parametrisation, *scales, self.dtype])
        return (
            f"act={network.activation} width={network.width} depth={network.depth} "
            f"seed={self.seed} ({kind})"
        )


def _hashed(record: Any, leave_out: Collection[str] = ()) -> dict[str, Any]:
    """The fields of a record that are part of the key."""
    return {
        name: value
        for name, default in _defaults(record.__class__)
        if name not in leave_out
        and ((value := getattr(record, name)) != default or name in ALWAYS_HASHED)
    }


@cache
def _defaults(kind: type) -> list[tuple[str, Any]]:
    """The fields of a record, with their defaults."""
    return [
        (item.name, item.default if item.default_factory is MISSING else item.default_factory())
        for item in fields(kind)
    ]
