"""What the tests of the executors share."""

import os

import pytest


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """Ray is told things by environment variables, which end with the test."""
    for name in list(os.environ):
        if name.startswith("RAY_"):
            monkeypatch.delenv(name)
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
