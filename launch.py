"""The command line: computes one network, or a sweep of many.

One network is `python launch.py act=relu`, a sweep is `python launch.py -m act=relu,elu`.
"""

from __future__ import annotations

import sys

import hydra
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.ntk_sweep_hydra.messages import plain_errors
from ntk_sweep import __version__
from ntk_sweep.commands.run import compute_one


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> None:
    """Computes one network; a multirun goes to the launcher instead."""
    status = compute_one(OmegaConf.to_container(config, resolve=True))
    if status:
        sys.exit(status)


if __name__ == "__main__":
    # A terminal without Greek letters shows a question mark in their place.
    sys.stdout.reconfigure(errors="replace")
    if "--version" in sys.argv[1:]:
        sys.stdout.write(f"ntk-sweep {__version__}\n")  # Hydra would print its own
        sys.exit()
    with plain_errors():
        main()
