"""The settings as they are read: names and values are checked before anything is loaded."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, fields, replace
from functools import cache
from typing import Any

from ntk_sweep.data.sources import SOURCES
from ntk_sweep.errors import ConfigError
from ntk_sweep.settings.checks import Check, OneOf
from ntk_sweep.settings.schema import (
    FLOAT64,
    FLOW,
    ComputeConfig,
    DataConfig,
    SweepConfig,
    TaskConfig,
    TrainingConfig,
)
from ntk_sweep.settings.tasks import TASKS

ZIP = "zip"
"""What the sweeper takes, beside the settings: the names of those that advance together."""

ZIP_USE = "zip takes two settings or more that advance together, such as zip=width,depth"

GROUPS = ("task", "data", "compute")

_ELSEWHERE = {
    "activation": "act",
    "dataset": "data",
    "gpus": "compute.num_gpus",
    "layers": "depth",
    "lr": "task.learning_rate",
    "output": "results",
    "precision": "dtype",
    "workers": "compute.num_workers",
}
"""What settings are called in other programs, where no name of ours is close."""

_SINGLE = [item.name for item in fields(SweepConfig) if item.name not in GROUPS]


def from_dict(values: Mapping[str, Any]) -> SweepConfig:
    """Builds the settings from plain containers and validates them.

    Raises:
        ConfigError: A key is unknown or missing, or a value out of range.
    """
    task = values.get("task", {}).get("name", "spectrum")
    _refuse("task.name", task, OneOf(TASKS))
    own, given = setting_names(task), list(_flat_names(values))
    for name in given:
        if name not in own:
            raise ConfigError(unknown_setting(name, task))
    if missing := [name for name in own if name not in given]:
        raise ConfigError(
            f"the settings {', '.join(missing)} are missing: they can be changed, but not removed"
        )
    parts = {"task": TASKS[task].settings, "data": DataConfig, "compute": ComputeConfig}
    config = SweepConfig(
        **{key: parts[key](**value) if key in parts else value for key, value in values.items()}
    )
    validate(config)
    return config


class Reader:
    """Reads the settings of point after point; what the points share is built and checked once."""

    def __init__(self) -> None:
        self._groups: dict[int, tuple[Mapping[str, Any], Any]] = {}
        self._last: tuple[Mapping[str, Any], SweepConfig] | None = None

    def read(self, values: Mapping[str, Any]) -> SweepConfig:
        """What `from_dict` makes of them; points with one mapping for a group share its settings.

        Raises:
            ConfigError: As `from_dict`.
        """
        known = {name: self._groups.get(id(values.get(name))) for name in GROUPS}
        if self._last is None or values.keys() != self._last[0].keys() or None in known.values():
            config = from_dict(values)
            # With the mapping, whose id is its own only as long as it is there.
            self._groups |= {
                id(values[name]): (values[name], getattr(config, name)) for name in GROUPS
            }
        else:
            before, config = self._last
            groups = {name: pair[1] for name, pair in known.items() if pair}
            changed = {name: values[name] for name in _SINGLE if values[name] is not before[name]}
            config = replace(config, **groups, **changed)
            for name, check in checks_of(SweepConfig):
                if name in changed:
                    _refuse(name, changed[name], check)
            _validate_together(config)
        self._last = values, config
        return config


def setting_fields(task: str | None = None) -> dict[str, Field]:
    """All settings by their dotted names; with a task, without those of other tasks."""
    found: dict[str, Field] = {}
    for item in fields(SweepConfig):
        if item.name == "task":
            entries = TASKS.values() if task is None else [TASKS[task]]
            schemas: list[type] = [entry.settings for entry in entries]
        else:
            schemas = [item.default_factory] if isinstance(item.default_factory, type) else []
        for schema in schemas:
            for inner in fields(schema):
                found.setdefault(f"{item.name}.{inner.name}", inner)
        if not schemas:
            found[item.name] = item
    return found


def setting_names(task: str | None = None) -> list[str]:
    """The dotted names of all settings; with a task, without those of other tasks."""
    return list(setting_fields(task))


def choices() -> dict[str, tuple[str, ...]]:
    """The settings whose value is one of some names, and these."""
    checks = {name: check_of(item) for name, item in setting_fields().items()}
    return {
        name: tuple(check.choices) for name, check in checks.items() if isinstance(check, OneOf)
    }


def unknown_setting(name: str, task: str | None = None) -> str:
    """The message for a setting that does not exist, or that the task does not have."""
    if name == ZIP:
        return f"{ZIP_USE}; for several zips, repeat it"
    owners = [other for other in TASKS if name in setting_names(other)]
    if owners:
        tasks = " and ".join(f"task={owner}" for owner in owners)
        return f"{name} is a setting of {tasks} only: leave it out, or choose that task"
    known = setting_names(task)
    usual = _ELSEWHERE.get(name)
    close = [usual] if usual else difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"unknown setting '{name}'.{hint}\nThe settings are: {', '.join(known)}"


def validate(config: SweepConfig) -> None:
    """Checks every value that can be checked without loading the data.

    Raises:
        ConfigError: With what was seen, why it is wrong and the valid choices.
    """
    _validate_fields(config)
    _validate_task_name(config.task)
    for part in GROUPS:
        _validate_fields(getattr(config, part), f"{part}.")
    _validate_data(config.data)
    if config.task.fault:
        raise ConfigError(config.task.fault)
    _validate_together(config)


def _validate_together(config: SweepConfig) -> None:
    """Checks settings outside of groups beyond their own value."""
    if not config.results or not config.results.strip():
        raise ConfigError("results is empty: give a folder, or a URI such as s3://bucket/prefix")
    if isinstance(config.task, TrainingConfig) and config.task.is_flow and config.dtype != FLOAT64:
        raise ConfigError(
            f"dtype={config.dtype} is too coarse for task.optimiser={FLOW}: set dtype={FLOAT64}"
        )


def validate_data_files(configs: Sequence[SweepConfig]) -> None:
    """Checks over a whole sweep that the files named are read by one of its data sets.

    Raises:
        ConfigError: They are read by none, so that the data computed on would not be those meant;
            or there are test inputs that no task reads.
    """
    names = {config.data.name for config in configs}
    places = [place for source in SOURCES.values() for place in (source.place, source.test_place)]
    for place in dict.fromkeys(filter(None, places)):
        owners = [one.name for one in SOURCES.values() if place in (one.place, one.test_place)]
        values = {getattr(config.data, place) for config in configs} - {None}
        if values and not names.intersection(owners):
            raise ConfigError(
                f"data.{place}={values.pop()} belongs to data={' or data='.join(owners)}, but data "
                f"is {', '.join(sorted(names))}"
            )
    held_out = any(config.data.holds_out for config in configs)
    if held_out and not any(config.task.reads_test_inputs for config in configs):
        tasks = {name: TASKS[name].settings for name in TASKS}
        readers = [f"task={name}" for name, own in tasks.items() if own.reads_test_inputs]
        given = ", ".join(sorted({config.task.name for config in configs}))
        raise ConfigError(
            f"data.n_test_per_class and data.test_path are read by {' and '.join(readers)} only, "
            f"but task is {given}: leave them out, or train"
        )


def check_of(item: Field) -> Check | None:
    """The check that a setting carries."""
    return item.metadata.get("check")


@cache
def checks_of(settings: type) -> list[tuple[str, Check]]:
    """The checks of a class of settings, by name."""
    return [(item.name, check) for item in fields(settings) if (check := check_of(item))]


def _validate_fields(values: Any, prefix: str = "") -> None:
    for name, check in checks_of(values.__class__):
        _refuse(f"{prefix}{name}", getattr(values, name), check)


def _refuse(name: str, value: Any, check: Check) -> None:
    if fault := check(value):
        raise ConfigError(f"{name}={value} {fault}")


def _validate_task_name(task: TaskConfig) -> None:
    if task.name not in TASKS or TASKS[task.name].settings is not type(task):
        raise ConfigError(
            f"task.name={task.name} cannot be set: choose one of "
            f"{', '.join(f'task={name}' for name in TASKS)}"
        )


def _validate_data(data: DataConfig) -> None:
    source = SOURCES[data.name]
    if data.classes is None and not source.free_targets:
        free = [other.name for other in SOURCES.values() if other.free_targets]
        raise ConfigError(
            "data.classes must be two different labels, such as [0,9]; only "
            f"data={' and data='.join(free)} can go without (data={data.name})"
        )
    if data.n_per_class is not None and data.classes is None:
        raise ConfigError("data.n_per_class needs data.classes: which two labels should be taken?")
    if data.n_test_per_class and data.classes is None:
        raise ConfigError(
            "data.n_test_per_class needs data.classes: without them data.test_path gives the test "
            "inputs"
        )
    if data.n_test_per_class and data.n_per_class is None and data.test_path is None:
        raise ConfigError(
            "data.n_test_per_class takes the inputs after those trained on, but data.n_per_class="
            "null takes all: say how many are trained on"
        )
    if fault := data.labelling.fault(data.classes is not None):
        raise ConfigError(fault)
    if source.example and not data.place:
        raise ConfigError(f"data={data.name} needs data.{source.place}={source.example}")


def _flat_names(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat_names(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
