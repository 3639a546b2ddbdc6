"""A Hydra job that does nothing, for the launchers that others offer."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path=None)
def main(config: DictConfig) -> None:
    """Does nothing."""


if __name__ == "__main__":
    main()
