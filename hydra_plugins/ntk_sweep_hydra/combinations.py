"""All combinations of the values of a sweep, where zipped settings advance together."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain, product
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override

from ntk_sweep.errors import ConfigError
from ntk_sweep.settings.validation import ZIP, ZIP_USE


def combinations(overrides: Sequence[Override], zips: Sequence[Any] = ()) -> list[list[str]]:
    """The overrides of each job, as Hydra's basic sweeper makes them where nothing is zipped.

    Args:
        overrides: Settings with one value or several, and ``zip=NAME,NAME``; of equal settings the
            last counts.
        zips: Further zips, each the names of its settings; or the names of one.

    Raises:
        ConfigError: What is zipped has no values here, or not as many.
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
        (axes[element],) = BasicSweeper.split_arguments([override], max_batch_size=None)
        elements[override.key_or_group] = element
    zipped: set[str] = set()
    several = [name for name, element in elements.items() if len(axes[element]) > 1]
    for names in groups:
        _check_names(names, elements, several, zipped)
        _advance_together(names, [elements[name] for name in names], axes)
        zipped.update(names)
    return [list(chain(*steps)) for steps in product(*axes.values())]


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
