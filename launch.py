"""Computes one network (`launch.py act=relu`) or a sweep (`launch.py -m act=relu,elu`)."""

from __future__ import annotations

import sys

import hydra
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.ntk_sweep_hydra.messages import plain_errors
from ntk_sweep.commands.run import compute_one


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> None:
    """Computes one network; a multirun goes to the launcher instead."""
    status = compute_one(OmegaConf.to_container(config, resolve=True))
    if status:
        sys.exit(status)


if __name__ == "__main__":
    sys.stdout.reconfigure(
        errors="replace"
    )  # a terminal without Greek letters shows a question mark in their place
    with plain_errors():
        main()
