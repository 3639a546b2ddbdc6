"""The settings: dataclasses that are the schema of `conf/`, and their validation.

Nothing here imports torch or ray: every mistake in the settings is found before either is loaded.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from ntk_sweep.errors import ConfigError
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.parametrisations import PARAMETRISATIONS

LARGEST_INTEGER = 2**63 - 1
"""What an integer column of the results holds."""

DATA_NAMES = ("fashion_mnist", "digits", "npz")
DTYPES = ("float64", "float32")
DEVICES = ("auto", "cpu", "cuda")
METHODS = ("auto", "eigh", "compensated", "double-double", "jacobian", "extreme")
LEARNING_RATE_UNITS = ("absolute", "inverse_lambda_max")
CHOICES = {
    "act": tuple(ACTIVATIONS),
    "parametrisation": tuple(PARAMETRISATIONS),
    "dtype": DTYPES,
    "device": DEVICES,
}
"""Of the settings that every task has."""


@dataclass
class DataConfig:
    """Which labelled inputs the kernel is evaluated on.

    Attributes:
        name: One of `DATA_NAMES`.
        root: Fashion-MNIST only: the folder that holds ``FashionMNIST/raw``.
        path: npz only: a file with the arrays ``x`` (N, ...) and ``y`` (N,).
        classes: The two labels to keep, which become the targets 0 and 1 in this order; for npz,
            None keeps all rows and takes ``y`` as the targets.
        n_per_class: How many inputs of each class, from the beginning of the file; None takes all.
    """

    name: str = "fashion_mnist"
    root: str | None = None
    path: str | None = None
    classes: list[int] | None = None
    n_per_class: int | None = None


@dataclass
class TaskConfig:
    """What is computed for a point; each task has settings of its own.

    Attributes:
        name: One of `TASKS`.
    """

    name: str


@dataclass
class SpectrumConfig(TaskConfig):
    """The spectrum of the kernel at initialisation.

    Attributes:
        method: How eigenvalues are computed, one of `METHODS`; "auto" takes the cheapest that meets
            the target, "extreme" computes only the smallest and the greatest.
        target: The relative error that "auto" asks of every eigenvalue.
        save_kernel: Whether the kernel matrix is stored beside the row.
    """

    name: str = "spectrum"
    method: str = "auto"
    target: float = 1e-9
    save_kernel: bool = False


@dataclass
class TrainingConfig(TaskConfig):
    """Training by stochastic gradient descent on the squared error, and what the kernel at
    initialisation predicts of it.

    The defaults are the thesis's.

    Attributes:
        learning_rate: η, or with another unit a multiple of it.
        learning_rate_unit: One of `LEARNING_RATE_UNITS`: "absolute", or "inverse_lambda_max",
            1/λ_max of the kernel at initialisation.
        batch_size: Samples a step; None (or more than there are) takes all of them, which is
            gradient descent.
        epochs: Passes through the data.
        shuffle: Whether the samples take their turns in a new random order every epoch.
        record_kernel_every: After how many epochs the kernel and its spectrum are computed anew;
            None never does.
    """

    name: str = "training"
    learning_rate: float = 1e-3
    learning_rate_unit: str = "absolute"
    batch_size: int | None = 1
    epochs: int = 100
    shuffle: bool = True
    record_kernel_every: int | None = None


TASKS: dict[str, type[TaskConfig]] = {"spectrum": SpectrumConfig, "training": TrainingConfig}


@dataclass
class ComputeConfig:
    """Where a multirun is computed, and with what.

    Attributes:
        address: The Ray cluster to join; "auto" requires one; None joins `$RAY_ADDRESS` if set and
            otherwise starts a private one.
        num_workers: How many workers at once; None for as many as the resources allow.
        num_cpus: CPU cores, and BLAS threads, of a worker.
        num_gpus: GPUs of a worker; a fraction shares a GPU between workers.
        chunk_seconds: Aimed-at time between two reports of a worker.
        object_store_mb: Cap of a private Ray's object store, which holds data sets and limit
            kernels.
    """

    address: str | None = None
    num_workers: int | None = None
    num_cpus: float = 1
    num_gpus: float = 0
    chunk_seconds: float = 3
    object_store_mb: int = 200

    @property
    def num_threads(self) -> int:
        """BLAS threads of a worker, whichever way it runs, since rounding depends on it."""
        return max(int(self.num_cpus), 1)


@dataclass
class SweepConfig:
    """All settings of one point and of the sweep it belongs to."""

    act: str = "relu"
    width: int = 100
    depth: int = 3
    seed: int = 0
    parametrisation: str = "thesis"
    dtype: str = "float64"
    task: TaskConfig = field(default_factory=SpectrumConfig)
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
        task = values.get("task", {}).get("name", "spectrum")
        _one_of("task.name", task, TASKS)
        own, given = list(setting_names(task)), list(_flat_names(values))
        for name in given:
            if name not in own:
                raise ConfigError(unknown_setting(name, task))
        if missing := [name for name in own if name not in given]:
            raise ConfigError(
                f"the settings {', '.join(missing)} are missing: they can be changed, but not "
                "removed"
            )
        parts = {"task": TASKS[task], "data": DataConfig, "compute": ComputeConfig}
        config = cls(
            **{key: parts[key](**value) if key in parts else value for key, value in values.items()}
        )
        validate(config)
        return config


def setting_names(task: str | None = None) -> list[str]:
    """The dotted names of all settings; with a task, without those of other tasks."""
    names = []
    for item in fields(SweepConfig):
        if item.name == "task":
            schemas = TASKS.values() if task is None else [TASKS[task]]
        else:
            schemas = [item.default_factory] if isinstance(item.default_factory, type) else []
        names += [
            f"{item.name}.{inner.name}" for schema in schemas for inner in fields(schema)
        ] or [item.name]
    return list(dict.fromkeys(names))


def unknown_setting(name: str, task: str | None = None) -> str:
    """The message for a setting that does not exist, or that the task does not have."""
    owners = [other for other in TASKS if name in setting_names(other)]
    if owners:
        return f"{name} is a setting of {' and '.join(f'task={owner}' for owner in owners)} only"
    known = setting_names(task)
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
    _integer(
        "depth",
        config.depth,
        2,
        "with fewer than two weight layers the activation would not appear",
    )
    _integer("seed", config.seed, 0)
    _validate_task(config.task)
    if not config.results or not config.results.strip():
        raise ConfigError("results is empty: give a folder, or a URI such as s3://bucket/prefix")
    _validate_data(config.data)
    _validate_compute(config.compute)


def _validate_task(task: TaskConfig) -> None:
    if TASKS.get(task.name) is not type(task):
        raise ConfigError(
            f"task.name={task.name} cannot be set: choose one of "
            f"{', '.join(f'task={name}' for name in TASKS)}"
        )
    if isinstance(task, SpectrumConfig):
        _one_of("task.method", task.method, METHODS)
        if not 0 < task.target < 1:
            raise ConfigError(
                f"task.target={task.target} must be a relative error between 0 and 1, such as 1e-9"
            )
    elif isinstance(task, TrainingConfig):
        _one_of("task.learning_rate_unit", task.learning_rate_unit, LEARNING_RATE_UNITS)
        _positive("task.learning_rate", task.learning_rate)
        _integer("task.epochs", task.epochs, 1)
        for name in ("batch_size", "record_kernel_every"):
            if getattr(task, name) is not None:
                _integer(f"task.{name}", getattr(task, name), 1)


def _validate_data(data: DataConfig) -> None:
    _one_of("data.name", data.name, DATA_NAMES)
    if data.classes is not None:
        if len(data.classes) != 2 or data.classes[0] == data.classes[1]:
            raise ConfigError(
                f"data.classes={data.classes} must be two different labels, such as [0,9]"
            )
    elif data.name != "npz":
        raise ConfigError(
            "data.classes must be two different labels, such as [0,9]; only data=npz can go "
            f"without (data={data.name})"
        )
    if data.n_per_class is not None:
        _integer("data.n_per_class", data.n_per_class, 1)
        if data.classes is None:
            raise ConfigError(
                "data.n_per_class needs data.classes: which two labels should be taken?"
            )
    if data.name == "npz" and not data.path:
        raise ConfigError("data=npz needs data.path=FILE.npz, a file with the arrays x and y")


def validate_data_files(configs: Sequence[SweepConfig]) -> None:
    """Checks over a whole sweep that data.root and data.path are read by one of its data sets.

    Raises:
        ConfigError: One of them is read by none, so that the data computed on would not be the data
            meant.
    """
    names = {config.data.name for config in configs}
    for setting, owner in (("root", "fashion_mnist"), ("path", "npz")):
        values = {getattr(config.data, setting) for config in configs} - {None}
        if values and owner not in names:
            raise ConfigError(
                f"data.{setting}={values.pop()} belongs to data={owner}, but data is "
                f"{', '.join(sorted(names))}"
            )


def _validate_compute(compute: ComputeConfig) -> None:
    if compute.num_workers is not None:
        _integer("compute.num_workers", compute.num_workers, 1)
    _integer("compute.object_store_mb", compute.object_store_mb, 80, "Ray needs 78 MB at least")
    for name in ("num_cpus", "chunk_seconds"):
        _positive(f"compute.{name}", getattr(compute, name))
    if not (math.isfinite(compute.num_gpus) and compute.num_gpus >= 0):
        raise ConfigError(
            f"compute.num_gpus={compute.num_gpus} must be 0 or a positive number, such as 0.25"
        )
    if compute.num_gpus > 1 and compute.num_gpus != int(compute.num_gpus):
        raise ConfigError(
            f"compute.num_gpus={compute.num_gpus} must be whole above 1: only one GPU can be shared"
        )


def _one_of(name: str, value: str, choices: Any) -> None:
    if value not in choices:
        raise ConfigError(f"{name}={value} is unknown: choose one of {', '.join(choices)}")


def _positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"{name}={value} must be a positive number")


def _integer(name: str, value: Any, least: int, why: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(
            f"{name}={value} must be an integer of at least {least}" + (f": {why}" if why else "")
        )
    if value > LARGEST_INTEGER:
        raise ConfigError(
            f"{name}={value} must be an integer of at most {LARGEST_INTEGER}: the results store 64 "
            "bits"
        )


def absolute_results(results: str) -> str:
    """`results` as a URI unchanged, or as an absolute path, so that it means the same in every
    process."""
    return results if "://" in results else os.path.abspath(os.path.expanduser(results))
