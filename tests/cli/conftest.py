"""What tests of the command line share: Hydra with the settings of the package."""

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from tests.helpers.places import ROOT


class Composer(tuple):
    """Hydra's config loader and the config of a multirun; too long to print in full with every
    failure."""

    def __repr__(self):
        return "composer"


@pytest.fixture(scope="module")
def composer():
    with initialize_config_dir(config_dir=str(ROOT / "conf"), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        yield Composer(
            (loader, loader.load_configuration("config", overrides=[], run_mode=RunMode.MULTIRUN))
        )
