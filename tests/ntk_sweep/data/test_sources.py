"""Protects the registry of data sources: an entry is complete, and `conf/data` has its defaults."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from ntk_sweep.data import digits
from ntk_sweep.data.sources import SOURCES
from ntk_sweep.settings.schema import DataConfig
from ntk_sweep.settings.validation import validate
from tests.helpers.places import ROOT
from tests.helpers.settings import settings

FIELDS = {item.name for item in dataclasses.fields(DataConfig)}


@pytest.mark.parametrize("name", SOURCES)
def test_an_entry_is_complete(name):
    source = SOURCES[name]
    assert source.name == name
    assert source.place is None or source.place in FIELDS - {"name", "classes", "n_per_class"}
    assert source.example is None or source.place is not None, "which setting must be given?"


@pytest.mark.parametrize("name", SOURCES)
def test_conf_has_defaults_that_are_valid(name):
    given = [f"data.{SOURCES[name].place}=somewhere"] if SOURCES[name].example else []
    with initialize_config_dir(config_dir=str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", overrides=[f"data={name}", *given])
    data = DataConfig(**config.data)
    assert data.name == name
    data.classes = list(data.classes) if data.classes else None
    validate(settings(data=data))


def test_conf_has_no_data_set_without_a_source():
    assert {path.stem for path in (ROOT / "conf" / "data").glob("*.yaml")} == set(SOURCES)


def test_the_digits_are_those_of_scikit_learn(monkeypatch):
    from sklearn.datasets import load_digits

    own = load_digits()
    for file in (digits._FILE, Path("moved")):
        monkeypatch.setattr(digits, "_FILE", file)
        inputs, labels = digits.load()
        assert np.array_equal(inputs, own.data) and np.array_equal(labels, own.target)
