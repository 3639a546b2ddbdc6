"""The same configuration under stock Hydra; `benchmarks.sweep.dispatch` runs its empty job."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path="../../conf", config_name="config")
def main(config: DictConfig) -> None:
    """Does nothing."""


if __name__ == "__main__":
    main()
