"""Protects the registry of tasks: what an entry refers to is there."""

import pytest
from hydra import compose, initialize_config_dir

from ntk_sweep.settings.tasks import TASKS, resolve
from tests.helpers.places import ROOT


@pytest.mark.parametrize("name", TASKS)
def test_an_entry_refers_to_what_is_there(name):
    task = TASKS[name]
    assert task.name == name == task.settings().name
    assert callable(resolve(task.compute)) and callable(resolve(task.summary))


@pytest.mark.parametrize("name", TASKS)
def test_conf_sets_the_defaults_of_the_class(name):
    with initialize_config_dir(config_dir=str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", overrides=[f"task={name}"])
    assert dict(config.task) == vars(TASKS[name].settings())
