"""Composes the configs of a whole sweep.

Hydra composes once a choice of config groups, and OmegaConf sets plain values on the result, each
once where no interpolation depends on it. Hydra's own way composes the config of each job from the
files, at some 75 ms each. A test holds both to the same result, for every kind of override.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import Enum, auto
from functools import cache
from typing import Any, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, IntegerNode, OmegaConf

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)
"""Integers as `range` and users write them: Hydra reads each as itself."""


def compose_all(
    loader: ConfigLoader, master: DictConfig, job_overrides: Sequence[Sequence[str]]
) -> Iterator[dict[str, Any]]:
    """The resolved config of each job as plain containers, without the node `hydra`.

    Args:
        loader: Hydra's config loader.
        master: The config of the multirun.
        job_overrides: The overrides of each job, as Hydra's sweepers make them.

    Raises:
        HydraException: An override does not fit the config.
    """
    splitter = Splitter(loader)
    bases: dict[tuple[tuple[str, ...], tuple[str, ...]], _Base] = {}
    for overrides in job_overrides:
        composed, values = splitter.split(overrides)
        # Setting values changes the base, so jobs share one only if they set the same keys and thus
        # all that the last one set.
        keys = tuple(override.key_or_group for override in values)
        if (composed, keys) not in bases:
            config = loader.load_sweep_config(master, list(composed))
            bases[composed, keys] = _Base(config, keys)
        yield bases[composed, keys].with_values(values)


class _Base:
    """A composed config, on which jobs set values of the same keys.

    Args:
        config: What Hydra composed.
        keys: What jobs set.
    """

    def __init__(self, config: DictConfig, keys: Sequence[str]) -> None:
        self._config = config
        self._paths = [tuple(key.split(".")) for key in keys]
        self._known: dict[str, Any] = {}
        self._groups: dict[tuple[str, ...], dict[str, Any]] = {}
        self._plain = cast(dict[str, Any], OmegaConf.to_container(config))
        del self._plain["hydra"]
        self._independent = "${" not in repr(self._plain) and all(
            map(self._stands_alone, self._paths)
        )
        # What an integer stays itself in.
        self._integers = {
            path for path in self._paths if self._independent and _is_integer(config, path)
        }

    def with_values(self, overrides: Sequence[Override]) -> dict[str, Any]:
        """The config as plain containers, with these values; equal groups are shared."""
        lines = [str(override.input_line) for override in overrides]
        if not self._independent or any("${" in line for line in lines):
            ConfigLoaderImpl._apply_overrides_to_config(list(overrides), self._config)
            return self._resolved()
        values = dict(self._plain)
        groups: dict[str, list[int]] = {}
        for place, path in enumerate(self._paths):
            if len(path) == 1:
                values[path[0]] = self._value(overrides[place], path)
            else:
                groups.setdefault(path[0], []).append(place)
        for name, places in groups.items():
            given = tuple(lines[place] for place in places)
            if given not in self._groups:
                own = {self._paths[k][1]: self._value(overrides[k], self._paths[k]) for k in places}
                self._groups[given] = self._plain[name] | own
            values[name] = self._groups[given]
        return values

    def _value(self, override: Override, path: tuple[str, ...]) -> Any:
        """What a value becomes in the config."""
        value, line = override.value(), str(override.input_line)
        if type(value) is int and path in self._integers:
            return value
        if line not in self._known:
            ConfigLoaderImpl._apply_overrides_to_config([override], self._config)
            self._known[line] = OmegaConf.select(self._config, override.key_or_group)
        return self._known[line]

    def _stands_alone(self, path: tuple[str, ...]) -> bool:
        """Whether a key names a single value, of the config or of a group, and is set once."""
        node = self._plain if len(path) == 1 else self._plain.get(path[0])
        return (
            len(path) <= 2
            and self._paths.count(path) == 1
            and isinstance(node, dict)
            and path[-1] in node
            and not isinstance(node[path[-1]], dict | list)
        )

    def _resolved(self) -> dict[str, Any]:
        nodes = {str(key): self._config[key] for key in self._config if key != "hydra"}
        return {
            key: OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
            for key, node in nodes.items()
        }


def _is_integer(config: DictConfig, path: Sequence[str]) -> bool:
    """Whether the schema says that a value is an integer."""
    node: Any = config
    for name in path:
        node = node._get_node(name)
    return isinstance(node, IntegerNode)


class Splitter:
    """Splits the overrides of jobs into those that Hydra composes and plain values."""

    def __init__(self, loader: ConfigLoader) -> None:
        self._parser = OverridesParser.create(config_loader=loader)
        self._is_group = cache(lambda key: bool(loader.get_group_options(key)))
        self._parsed: dict[str, tuple[Override, _Kind]] = {}
        self._integers: dict[str, Override] = {}

    def split(self, overrides: Sequence[str]) -> tuple[tuple[str, ...], list[Override]]:
        """What Hydra composes, and the values to be set on the result in their order."""
        parsed = [self._parse(line) for line in overrides]
        # Hydra makes all choices first and then applies the other overrides in their order. Where
        # one of these is more than a plain value, it may meet another on the same node, so Hydra
        # composes the whole job itself.
        if any(kind is _Kind.OTHER for _, kind in parsed):
            return tuple(overrides), []
        composed = [str(own.input_line) for own, kind in parsed if kind is _Kind.CHOICE]
        return tuple(composed), [own for own, kind in parsed if kind is _Kind.VALUE]

    def parse(self, line: str) -> Override:
        """An override."""
        return self._parse(line)[0]

    def _parse(self, line: str) -> tuple[Override, _Kind]:
        if line in self._parsed:
            return self._parsed[line]
        # A sweep may hold a hundred thousand seeds; Hydra's parser takes a millisecond for each.
        name, _, text = line.partition("=")
        is_integer = _INTEGER.fullmatch(text) is not None
        if is_integer and name in self._integers:
            override = replace(self._integers[name], _value=int(text), input_line=line)
            self._parsed[line] = (override, _Kind.VALUE)
            return self._parsed[line]
        override = self._parser.parse_override(line)
        chooses = self._is_group(override.key_or_group)
        chooses = chooses and not isinstance(override.value(), dict)
        kind = _Kind.CHOICE if chooses else _kind(override)
        if is_integer and kind is _Kind.VALUE and type(override.value()) is int:
            self._integers[name] = override
        self._parsed[line] = (override, kind)
        return self._parsed[line]


class _Kind(Enum):
    CHOICE = auto()  # of a config group
    VALUE = auto()  # replaces one value by a scalar
    OTHER = auto()  # adds, deletes, merges, or concerns Hydra itself


def _kind(override: Override) -> _Kind:
    """What an override whose key is no group does."""
    changes_more = override.is_add() or override.is_delete() or override.package is not None
    if (
        changes_more
        or override.key_or_group.startswith("hydra.")
        or isinstance(override.value(), dict | list)
    ):
        return _Kind.OTHER
    return _Kind.VALUE
