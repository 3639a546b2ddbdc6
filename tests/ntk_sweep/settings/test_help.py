"""Protects the help page: it names every setting, and a choice with the names to choose from."""

from hydra import compose, initialize_config_dir

from ntk_sweep.settings.help import settings_help
from ntk_sweep.settings.validation import choices, setting_names
from tests.helpers.places import ROOT


def test_every_setting_has_a_line():
    lines = [line.split()[0] for line in settings_help().splitlines()]
    chosen_with_their_group = {"task.name", "data.name"}
    assert set(lines) == set(setting_names()) - chosen_with_their_group | {
        "task",
        "data",
        "compute",
    }
    assert len(lines) == len(set(lines))


def test_a_line_names_the_choices_and_whose_setting_it_is():
    lines = {line.split()[0]: line for line in settings_help().splitlines()}
    for name, names in choices().items():
        assert name.endswith(".name") or f": {', '.join(names)}" in lines[name]
    assert lines["task.epochs"].endswith("(task=training)")
    assert lines["data.path"].endswith("(data=npz)")
    assert lines["width"].split(maxsplit=1)[1] == "width of every hidden layer, 1 or more"


def test_the_page_shows_the_lines():
    with initialize_config_dir(config_dir=str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", return_hydra_config=True)
    assert settings_help() in config.hydra.help.template
