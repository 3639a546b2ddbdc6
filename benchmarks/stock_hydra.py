"""The same configuration under stock Hydra, with a job that does nothing; run by
`benchmarks.dispatch`.
"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def main(config: DictConfig) -> None:
    """Does nothing."""


if __name__ == "__main__":
    main()
