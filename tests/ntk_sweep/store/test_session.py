"""Protects session files: who owns them, who sees them, and that they go in the end."""

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ntk_sweep.errors import StoreError
from ntk_sweep.store.lease import Lease
from ntk_sweep.store.reading import load_results
from ntk_sweep.store.session import OLD_SECONDS, Owner
from ntk_sweep.store.store import Store

DEAD = """
import os, sys
from ntk_sweep.store.store import Store
store = Store(sys.argv[1], "spectrum").open_session()
print(store.__enter__(), flush=True)
os._exit(1)
"""


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "results"), "spectrum")


def leave_mark(store, owner, age=0.0):
    """What a sweep of `owner` that began `age` seconds ago leaves when it is killed."""
    session = store.write(f".sweep-{'0' * 32}", owner.content)
    os.mkdir(store.staging(session))
    for path in (os.path.join(store.folder, session), store.staging(session)):
        os.utime(path, (time.time() - age,) * 2)
    return Path(store.folder, session)


def test_what_a_killed_sweep_left_is_removed_by_the_next_and_its_workers_store_nothing_more(store):
    session = subprocess.run(
        [sys.executable, "-c", DEAD, store.results], capture_output=True, text=True
    ).stdout.strip()
    with Lease(store, session, 0).acquired() as lease:
        with store.open_session() as own:
            assert store.other_sessions(own) == []
            assert sorted(os.listdir(store.results)) == sorted([own, "spectrum"])
        with pytest.raises(StoreError, match="was removed, or is not the one"):
            lease.write("part-late.parquet", b"")
    assert store.parts() == []


def test_the_number_of_a_dead_process_given_to_another_does_not_mislead(store):
    session = leave_mark(store, dataclasses.replace(Owner.this(), born=1))
    with store.open_session():
        assert not session.exists()


def test_a_sweep_on_another_machine_is_told_of_and_left_alone_for_a_week(store):
    session = leave_mark(
        store,
        dataclasses.replace(Owner.this(), host="elsewhere", machine="another"),
        OLD_SECONDS - 60,
    )
    with store.open_session() as own:
        (said,) = store.other_sessions(own)
        assert said.startswith(f"process {os.getpid()} on elsewhere, since 20")
        assert session.exists()
    os.utime(session, (0, 0))
    with store.open_session() as own:
        assert store.other_sessions(own) == []
        assert not session.exists()


def test_a_sweep_that_lasts_longer_than_a_week_keeps_its_mark(store):
    session = leave_mark(store, Owner.this(), 2 * OLD_SECONDS)
    with store.open_session():
        assert session.exists()


@pytest.mark.parametrize("content", [b"", b"x", b"[]", b"{}", b'{"host": 1}', b"null"])
def test_a_mark_that_says_nothing_is_nobodys(content):
    assert Owner.parse(content) is None


def test_a_mark_says_who_owns_it():
    owner = Owner.this()
    assert Owner.parse(owner.content) == owner
    assert owner.is_alive


def test_sessions_are_seen_by_the_same_folder_only_and_go_in_the_end(store, tmp_path):
    with store.open_session() as session:
        Store(store.results, "spectrum").check_session(session)
        assert session in os.listdir(store.folder)
        assert len(load_results(store.folder)) == 0
        with pytest.raises(StoreError, match="is not the one that the sweep was started with"):
            Store(str(tmp_path / "other"), "spectrum").check_session(session)
    assert os.listdir(store.folder) == []


def test_a_session_goes_also_after_an_error(store):
    with pytest.raises(KeyError), store.open_session():
        raise KeyError
    assert os.listdir(store.folder) == []


def test_sessions_and_halves_of_killed_sweeps_are_removed_in_the_end(store):
    folder = Path(store.folder)
    with store.open_session():
        old = [folder / f".sweep-{'0' * 32}", folder / f".{'1' * 32}.tmp"]
        young, foreign = folder / f".sweep-{'2' * 32}", folder / ".mine"
        for path in (*old, young, foreign):
            path.touch()
        for path in (*old, foreign):
            os.utime(path, (0, 0))
    with store.open_session():
        assert not any(path.exists() for path in old)
        assert young.exists()
        assert foreign.exists()
