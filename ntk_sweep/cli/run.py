"""`ntk-sweep run`: Hydra composes the settings, and one network or a sweep is computed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast
from unittest import mock

import hydra
from omegaconf import DictConfig, OmegaConf

from ntk_sweep.cli.messages import plain_errors
from ntk_sweep.commands.run import compute_one

CONF = Path(__file__).parents[1] / "conf"
"""The settings and experiments of the package; `--config-dir` adds a folder of one's own."""


def run(arguments: Sequence[str]) -> int:
    """Computes one network, or with ``-m`` a sweep of many; returns the exit status.

    Args:
        arguments: Settings and flags as typed.
    """
    # Hydra reads its arguments, and the name to show in usage, from here alone.
    with mock.patch.object(sys, "argv", ["ntk-sweep run", *arguments]), plain_errors():
        _main()
    return 0


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def _main(config: DictConfig) -> None:
    """Computes one network; a multirun goes to the launcher instead."""
    status = compute_one(cast(dict[str, Any], OmegaConf.to_container(config, resolve=True)))
    if status:
        sys.exit(status)
