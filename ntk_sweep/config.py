"""The settings: dataclasses that are the schema of `conf/`, their validation, and the key of a point.

Nothing here imports torch or ray: every mistake in the settings is found before either is loaded.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import cached_property
from typing import Any

from ntk_sweep.activations import ACTIVATIONS
from ntk_sweep.errors import ConfigError
from ntk_sweep.parametrisations import PARAMETRISATIONS

NUMERICS_VERSION = 2
"""Part of every key. Raise it when a change of the code changes the numbers in a row beyond their stated errors."""

LARGEST_INTEGER = 2**63 - 1
"""What an integer column of the results holds."""

DATA_NAMES = ("fashion_mnist", "digits", "npz")
DTYPES = ("float64", "float32")
DEVICES = ("auto", "cpu", "cuda")
TASKS = ("spectrum",)
METHODS = ("auto", "eigh", "double-double", "jacobian")
CHOICES = {"act": tuple(ACTIVATIONS), "parametrisation": tuple(PARAMETRISATIONS), "dtype": DTYPES, "device": DEVICES}


@dataclass
class DataConfig:
    """Which labelled inputs the kernel is evaluated on.

    Attributes:
        name: One of `DATA_NAMES`.
        root: Fashion-MNIST only: the folder that holds ``FashionMNIST/raw``.
        path: npz only: a file with the arrays ``x`` (N, ...) and ``y`` (N,).
        classes: The two labels to keep, which become the targets 0 and 1 in this order; for npz, None keeps all rows and takes
            ``y`` as the targets.
        n_per_class: How many inputs of each class, from the beginning of the file; None takes all.
    """

    name: str = "fashion_mnist"
    root: str | None = None
    path: str | None = None
    classes: list[int] | None = None
    n_per_class: int | None = None


@dataclass
class TaskConfig:
    """What is computed for a point.

    Attributes:
        name: One of `TASKS`.
        method: How eigenvalues are computed, one of `METHODS`; "auto" takes the cheapest that meets the target.
        target: The relative error that "auto" asks of every eigenvalue.
        save_kernel: Whether the kernel matrix is stored beside the row.
    """

    name: str = "spectrum"
    method: str = "auto"
    target: float = 1e-9
    save_kernel: bool = False


@dataclass
class ComputeConfig:
    """Where a multirun is computed, and with what.

    Attributes:
        address: The Ray cluster to join; "auto" requires one; None joins `$RAY_ADDRESS` if set and otherwise starts a private one.
        num_workers: How many workers at once; None for as many as the resources allow.
        num_cpus: CPU cores, and BLAS threads, of a worker.
        num_gpus: GPUs of a worker; a fraction shares a GPU between workers.
        chunk_seconds: Aimed-at time between two reports of a worker.
        object_store_mb: Cap of a private Ray's object store, which holds nothing but the data sets.
    """

    address: str | None = None
    num_workers: int | None = None
    num_cpus: float = 1
    num_gpus: float = 0
    chunk_seconds: float = 3
    object_store_mb: int = 200


@dataclass
class SweepConfig:
    """All settings of one point and of the sweep it belongs to."""

    act: str = "relu"
    width: int = 100
    depth: int = 3
    seed: int = 0
    parametrisation: str = "thesis"
    dtype: str = "float64"
    task: TaskConfig = field(default_factory=TaskConfig)
    data: DataConfig = field(default_factory=DataConfig)
    results: str = "results"
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    device: str = "auto"
    force: bool = False

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SweepConfig:
        """Builds the settings from plain containers and validates them.

        Raises:
            ConfigError: A key is unknown or a value out of range.
        """
        known, given = list(setting_names(cls)), list(_flat_names(values))
        for name in given:
            if name not in known:
                raise ConfigError(unknown_setting(name))
        if missing := [name for name in known if name not in given]:
            raise ConfigError(f"the settings {', '.join(missing)} are missing: they can be changed, but not removed")
        parts = {"task": TaskConfig, "data": DataConfig, "compute": ComputeConfig}
        config = cls(**{key: parts[key](**value) if key in parts else value for key, value in values.items()})
        validate(config)
        return config


def setting_names(schema: type = SweepConfig, prefix: str = "") -> Iterator[str]:
    """The dotted names of all settings."""
    for item in fields(schema):
        nested = item.default_factory if isinstance(item.default_factory, type) else None
        if nested and is_dataclass(nested):
            yield from setting_names(nested, f"{prefix}{item.name}.")
        else:
            yield prefix + item.name


def unknown_setting(name: str) -> str:
    """The message for a setting that does not exist."""
    known = list(setting_names())
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"unknown setting '{name}'.{hint}\nThe settings are: {', '.join(known)}"


def _flat_names(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat_names(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def validate(config: SweepConfig) -> None:
    """Checks every value that can be checked without loading the data.

    Raises:
        ConfigError: With what was seen, why it is wrong and the valid choices.
    """
    for name, choices in CHOICES.items():
        _one_of(name, getattr(config, name), choices)
    _integer("width", config.width, 1)
    _integer("depth", config.depth, 2, "with fewer than two weight layers the activation would not appear")
    _integer("seed", config.seed, 0)
    _one_of("task.name", config.task.name, TASKS)
    _one_of("task.method", config.task.method, METHODS)
    if not 0 < config.task.target < 1:
        raise ConfigError(f"task.target={config.task.target} must be a relative error between 0 and 1, such as 1e-9")
    if not config.results or not config.results.strip():
        raise ConfigError("results is empty: give a folder, or a URI such as s3://bucket/prefix")
    _validate_data(config.data)
    _validate_compute(config.compute)


def _validate_data(data: DataConfig) -> None:
    _one_of("data.name", data.name, DATA_NAMES)
    if data.classes is not None:
        if len(data.classes) != 2 or data.classes[0] == data.classes[1]:
            raise ConfigError(f"data.classes={data.classes} must be two different labels, such as [0,9]")
    elif data.name != "npz":
        raise ConfigError(
            f"data.classes must be two different labels, such as [0,9]; only data=npz can go without (data={data.name})"
        )
    if data.n_per_class is not None:
        _integer("data.n_per_class", data.n_per_class, 1)
        if data.classes is None:
            raise ConfigError("data.n_per_class needs data.classes: which two labels should be taken?")
    if data.name == "npz" and not data.path:
        raise ConfigError("data=npz needs data.path=FILE.npz, a file with the arrays x and y")


def validate_data_files(configs: Sequence[SweepConfig]) -> None:
    """Checks over a whole sweep that data.root and data.path are read by one of its data sets.

    Raises:
        ConfigError: One of them is read by none, so that the data computed on would not be the data meant.
    """
    names = {config.data.name for config in configs}
    for setting, owner in (("root", "fashion_mnist"), ("path", "npz")):
        values = {getattr(config.data, setting) for config in configs} - {None}
        if values and owner not in names:
            raise ConfigError(f"data.{setting}={values.pop()} belongs to data={owner}, but data is {', '.join(sorted(names))}")


def _validate_compute(compute: ComputeConfig) -> None:
    if compute.num_workers is not None:
        _integer("compute.num_workers", compute.num_workers, 1)
    _integer("compute.object_store_mb", compute.object_store_mb, 80, "Ray needs 78 MB at least")
    for name in ("num_cpus", "chunk_seconds"):
        value = getattr(compute, name)
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(f"compute.{name}={value} must be a positive number")
    if not (math.isfinite(compute.num_gpus) and compute.num_gpus >= 0):
        raise ConfigError(f"compute.num_gpus={compute.num_gpus} must be 0 or a positive number, such as 0.25")
    if compute.num_gpus > 1 and compute.num_gpus != int(compute.num_gpus):
        raise ConfigError(f"compute.num_gpus={compute.num_gpus} must be whole above 1: only one GPU can be shared")


def _one_of(name: str, value: str, choices: Any) -> None:
    if value not in choices:
        raise ConfigError(f"{name}={value} is unknown: choose one of {', '.join(choices)}")


def _integer(name: str, value: Any, least: int, why: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{name}={value} must be an integer of at least {least}" + (f": {why}" if why else ""))
    if value > LARGEST_INTEGER:
        raise ConfigError(f"{name}={value} must be an integer of at most {LARGEST_INTEGER}: the results store 64 bits")


@dataclass(frozen=True)
class Point:
    """One network on one data set, and what is to be computed of it: everything that determines the numbers of a row.

    `save_kernel` asks for a by-product and changes no number, so it is not part of the key.
    """

    task: str
    act: str
    width: int
    depth: int
    seed: int
    parametrisation: str
    dtype: str
    data_fingerprint: str
    method: str = "auto"
    target: float = 1e-9
    save_kernel: bool = field(default=False, compare=False)

    @classmethod
    def of(cls, config: SweepConfig, data_fingerprint: str) -> Point:
        """The point that `config` describes, on the data with this fingerprint."""
        return cls(
            task=config.task.name,
            act=config.act,
            width=config.width,
            depth=config.depth,
            seed=config.seed,
            parametrisation=config.parametrisation,
            dtype=config.dtype,
            data_fingerprint=data_fingerprint,
            method=config.task.method,
            target=config.task.target,
            save_kernel=config.task.save_kernel,
        )

    @cached_property
    def key(self) -> str:
        """SHA-256 over the point and the numerics version; not over hosts, paths, devices or launchers."""
        values = {name: value for name, value in asdict(self).items() if name != "save_kernel"}
        values["numerics_version"] = NUMERICS_VERSION
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def __str__(self) -> str:
        return f"act={self.act} width={self.width} depth={self.depth} seed={self.seed} ({self.parametrisation}, {self.dtype})"


def absolute_results(results: str) -> str:
    """`results` as a URI unchanged, or as an absolute path, so that it means the same in every process."""
    return results if "://" in results else os.path.abspath(os.path.expanduser(results))
