"""`ntk-sweep run`: Hydra composes the settings, and one network or a sweep is computed."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, cast

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from ntk_sweep._version import __version__
from ntk_sweep.cli.composed_once import ComposedOnce
from ntk_sweep.cli.messages import plain_errors
from ntk_sweep.cli.typed import as_typed
from ntk_sweep.commands.run import compute_one
from ntk_sweep.errors import ConfigError, PointFailed

CONF = Path(__file__).parents[1] / "conf"
"""The settings and experiments of the package; `--config-dir` adds a folder of one's own."""


def run(arguments: Sequence[str]) -> int:
    """Computes one network, or with ``-m`` a sweep of many; returns the exit status.

    Args:
        arguments: Settings and flags as typed.
    """
    # Hydra reads its arguments, and the name to show in usage, from here alone.
    with (
        _in_place_of(sys, "argv", ["ntk-sweep run", *arguments]),
        _in_place_of(sys.modules["hydra.main"], "get_args_parser", _parser),
        _in_place_of(sys.modules["hydra._internal.hydra"], "ConfigLoaderImpl", ComposedOnce),
        plain_errors(),
    ):
        _main()
    return 0


@contextmanager
def _in_place_of(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Another value of an attribute, for the time being."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _parser() -> ArgumentParser:
    """Hydra's parser of flags, which takes them between settings, and texts as they are typed."""
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise ConfigError(
            f"{message}. Settings are typed name=value, such as act=relu; `ntk-sweep run --help` "
            "lists them, and the flags"
        )

    def parse_args() -> Namespace:
        given = parser.parse_intermixed_args()
        given.overrides = as_typed(given.overrides)
        return given

    parser.parse_args = parse_args  # type: ignore[method-assign, assignment]
    parser.error = refuse  # type: ignore[method-assign]
    for action in parser._actions:
        if "--version" in action.option_strings:
            action.help = f"The version of ntk-sweep ({__version__})"
    return parser


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def _main(config: DictConfig) -> dict[str, Any] | None:
    """Computes one network; a multirun goes to the launcher instead.

    Returns:
        The row, for Hydra's callbacks; None if there are none.

    Raises:
        PointFailed: The same, of a failed point.
    """
    rows: list[dict[str, Any]] = []
    take_row = rows.append if HydraConfig.get().callbacks else None
    values = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
    status = compute_one(values, take_row)
    if status and rows:
        raise PointFailed(rows[0])
    if status:
        sys.exit(status)
    return rows[0] if rows else None
