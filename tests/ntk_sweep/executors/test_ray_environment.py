"""Protects what Ray reads from the environment: nothing of the user's for a private Ray, hers for
a cluster that is joined, and nothing of ours afterwards."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ntk_sweep.executors.ray_environment import KEPT, NOWHERE, OURS, ray_environment

USERS = {
    "RAY_ADDRESS": "local",
    "RAY_AUTH_MODE": "disabled",
    "RAY_AUTH_TOKEN": "hers",
    "RAY_AUTH_TOKEN_PATH": "/nowhere",
    "RAY_OVERRIDE_RESOURCES": '{"CPU": 64}',
    "RAY_USAGE_STATS_ENABLED": "1",
    "RAY_memory_usage_threshold": "0.9",
}


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def variables():
    return {name: value for name, value in os.environ.items() if name.startswith("RAY_")}


@pytest.fixture
def users(monkeypatch):
    for name, value in USERS.items():
        monkeypatch.setenv(name, value)


def test_a_private_ray_sees_none_of_the_users_variables_but_those_of_memory(users):
    with ray_environment(private=True):
        seen = variables()
    assert seen.keys() == OURS.keys() | {
        "RAY_AUTH_MODE",
        "RAY_AUTH_TOKEN",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER",
        "RAY_memory_usage_threshold",
    }
    assert seen["RAY_memory_usage_threshold"] in USERS.values()
    assert seen["RAY_USAGE_STATS_ENABLED"] == seen["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert seen["RAY_AUTH_MODE"] == "token"
    assert "RAY_memory_usage_threshold" in KEPT
    assert variables() == USERS


def test_every_private_ray_has_a_token_of_its_own_which_no_file_holds(home):
    tokens = set()
    for _ in range(2):
        with ray_environment(private=True):
            tokens.add(os.environ["RAY_AUTH_TOKEN"])
    assert [len(token) for token in tokens] == [64, 64]
    assert not list(home.iterdir())
    assert not variables()


def test_a_cluster_that_is_joined_sees_all_of_the_users_variables(users):
    with ray_environment(private=False):
        assert variables() == OURS | USERS
    assert variables() == USERS


def in_a_variable(home, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "hers")


def in_a_file(home, monkeypatch):
    (home / "token").write_text("hers")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "token"))


def in_the_home(home, monkeypatch):
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text("hers")


def nowhere(home, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "token"))


@pytest.mark.parametrize(
    ("token", "mode"),
    [(in_a_variable, "token"), (in_a_file, "token"), (in_the_home, "token"), (nowhere, None)],
)
def test_the_users_token_is_shown_to_a_cluster_that_is_joined(home, monkeypatch, token, mode):
    token(home, monkeypatch)
    with ray_environment(private=False):
        assert os.environ.get("RAY_AUTH_MODE") == mode
    assert "RAY_AUTH_MODE" not in os.environ
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with ray_environment(private=False):
        assert os.environ["RAY_AUTH_MODE"] == "disabled"


def test_nothing_is_sent_home(monkeypatch):
    from ray._common.usage import usage_lib

    for private in (True, False):
        with ray_environment(private):
            assert not usage_lib.usage_stats_enabled()
            assert usage_lib._usage_stats_report_url() == NOWHERE


def test_a_ray_that_is_imported_already_reads_again(users, monkeypatch):
    """As in a notebook, or where one process runs several sweeps. At the end it must not read what
    it would abort at: the values of the user's variables may be wrong."""
    read = []
    loader = SimpleNamespace(reset_cache=lambda: read.append(variables()))
    raylet = SimpleNamespace(
        Config=SimpleNamespace(initialize=lambda given: None),
        AuthenticationTokenLoader=SimpleNamespace(instance=lambda: loader),
    )
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(_raylet=raylet))
    with ray_environment(private=True):
        (at_start,) = read
        assert at_start == variables()
    assert read[1:] == [{"RAY_AUTH_MODE": "disabled"}]


def test_a_home_that_does_not_exist_is_no_matter(monkeypatch):
    for home in ("/dev/null/nowhere", None):
        if home is None:
            monkeypatch.delenv("HOME")
            monkeypatch.setattr(Path, "home", lambda: 1 / 0)
        else:
            monkeypatch.setenv("HOME", home)
        for private in (True, False):
            with ray_environment(private):
                assert variables()
