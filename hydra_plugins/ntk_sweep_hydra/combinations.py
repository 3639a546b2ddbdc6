"""All combinations of the values of a sweep, where zipped settings advance together."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain, islice, product
from math import prod
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override

from ntk_sweep.errors import ConfigError
from ntk_sweep.settings.validation import ZIP, ZIP_USE

MOST_POINTS = 500_000
"""Of a sweep: its plan holds some 2 kB a point, 1 GB for as many, and is made in half a minute."""

COUNTED = 20 * MOST_POINTS
"""More values of a setting are not counted, which takes seconds."""


def combinations(overrides: Sequence[Override], zips: Sequence[Any] = ()) -> list[list[str]]:
    """The overrides of each job, as Hydra's basic sweeper makes them where nothing is zipped.

    Args:
        overrides: Settings with one value or several, and ``zip=NAME,NAME``; of equal settings the
            last counts.
        zips: Further zips, each the names of its settings; or the names of one.

    Raises:
        ConfigError: What is zipped has no values here, or not as many; or there are too many jobs.
        HydraException: The values of a setting cannot be listed.
    """
    axes: dict[str, list[list[str]]] = {}
    elements: dict[str, str] = {}
    # One zip alone may go without brackets of its own.
    groups = [list(zips)] if any(isinstance(names, str) for names in zips) else list(zips)
    for override in overrides:
        if override.key_or_group == ZIP:
            groups.append(list(override.sweep_string_iterator()))
            continue
        element = override.get_key_element()
        if override.is_discrete_sweep():
            values = islice(override.sweep_iterator(), COUNTED)
            refuse_too_many(sum(1 for _ in values), str(override.input_line))
        (axes[element],) = BasicSweeper.split_arguments([override], max_batch_size=None)
        elements[override.key_or_group] = element
    zipped: set[str] = set()
    several = [name for name, element in elements.items() if len(axes[element]) > 1]
    for names in groups:
        _check_names(names, elements, several, zipped)
        _advance_together(names, [elements[name] for name in names], axes)
        zipped.update(names)
    refuse_too_many(prod(map(len, axes.values())))
    return [list(chain(*steps)) for steps in product(*axes.values())]


def refuse_too_many(points: int, what: str = "the sweep") -> None:
    """Raises a ConfigError for more points than a sweep may have."""
    if points > MOST_POINTS:
        number = f"{points:,} or more" if points == COUNTED else f"{points:,}"
        raise ConfigError(
            f"{what} has {number} points, but a plan holds {MOST_POINTS:,} at the most: sweep over "
            "one part after the other, such as seed=range(0,100) and then seed=range(100,200); "
            "their rows may lie in one results folder"
        )


def _check_names(
    names: Any, known: Collection[str], several: Sequence[str], zipped: Collection[str]
) -> None:
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise ConfigError(f"{ZIP}={names}: {ZIP_USE}")
    line = f"{ZIP}={','.join(names)}"
    if len(names) < 2:
        raise ConfigError(f"{line}: {ZIP_USE}")
    for number, name in enumerate(names):
        if name in zipped or name in names[:number]:
            raise ConfigError(f"{line}: {name} is zipped twice; a setting can advance only once")
        if name not in known:
            raise ConfigError(
                f"{line}: {name} has no values in this sweep; those that have several are "
                f"{', '.join(several) or 'none'}"
            )


def _advance_together(
    names: Sequence[str], elements: Sequence[str], axes: dict[str, list[list[str]]]
) -> None:
    """Puts one axis in the place of several."""
    sizes = [len(axes[element]) for element in elements]
    if len(set(sizes)) > 1:
        counts = ", ".join(f"{name} has {size}" for name, size in zip(names, sizes, strict=True))
        raise ConfigError(
            f"{ZIP}={','.join(names)}: the first value goes with the first, the second with the "
            f"second, so each needs as many, but {counts}"
        )
    steps = zip(*(axes[element] for element in elements), strict=True)
    together = [list(chain(*step)) for step in steps]
    first = next(element for element in axes if element in elements)
    for element in elements:
        axes[element] = together if element == first else [[]]
