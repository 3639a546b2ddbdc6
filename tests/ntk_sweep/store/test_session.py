"""Protects session files: who owns them, who sees them, and that they go in the end."""

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ntk_sweep.errors import StoreError
from ntk_sweep.store import session as sessions
from ntk_sweep.store.lease import Lease
from ntk_sweep.store.reading import load_results
from ntk_sweep.store.session import OLD_SECONDS, Owner
from ntk_sweep.store.store import Store

KILLED = """
import os, sys
from ntk_sweep.store.store import Store
session = Store(sys.argv[1], "spectrum").open_session()
print(session.__enter__(), flush=True)
os._exit(1)
"""

THIS = Owner.this()
ELSEWHERE = dataclasses.replace(THIS, host="elsewhere", machine="another")
KILLED_HERE = dataclasses.replace(THIS, born=1)
"""Its number is that of a younger process."""


def leave_session(store, owner):
    """The session file that a sweep of `owner` left; its name."""
    return store.write_hidden(f".sweep-{'0' * 32}", owner.content)


def leave_staging(store, owner, age=0.0):
    """The same with a staging folder, on a disk, both untouched for `age` seconds."""
    session = leave_session(store, owner)
    os.mkdir(store.staging_folder(session))
    for path in (os.path.join(store.hidden_folder, session), store.staging_folder(session)):
        os.utime(path, (time.time() - age,) * 2)
    return Path(store.hidden_folder, session)


def test_a_session_shows_that_workers_see_the_same_results(any_store, tmp_path):
    with any_store.open_session() as session:
        Store(any_store.results, "spectrum").check_session(session)
        assert len(load_results(any_store.location)) == 0
        with pytest.raises(StoreError, match="is not the one that the sweep was started with"):
            Store(str(tmp_path / "other"), "spectrum").check_session(session)
    with pytest.raises(StoreError, match="is not the one that the sweep was started with"):
        any_store.check_session(session)


def test_a_session_leaves_nothing_also_after_an_error(store):
    with store.open_session() as session:
        assert os.listdir(store.folder) == []
        assert session in os.listdir(store.results)
    with pytest.raises(KeyError), store.open_session():
        raise KeyError
    assert os.listdir(store.folder) == []
    assert os.listdir(store.results) == ["spectrum"]


def test_sessions_know_of_each_other(any_store):
    with any_store.open_session() as first, any_store.open_session() as second:
        for session in (first, second):
            (said,) = any_store.other_sessions(session)
            assert said.startswith(f"process {os.getpid()} on ")
        any_store.check_session(first)
    assert not any_store.has_hidden(first)


def test_a_session_of_a_killed_process_is_removed_at_once(any_store):
    old = leave_session(any_store, KILLED_HERE)
    any_store.write_hidden(f"{old}-3", b"")
    with any_store.open_session() as session:
        assert not any_store.has_hidden(old)
        assert not any_store.has_hidden(f"{old}-3")
        assert any_store.other_sessions(session) == []


def test_a_session_on_another_machine_is_left_alone_for_a_week(any_store, monkeypatch):
    other = leave_session(any_store, ELSEWHERE)
    any_store.write_hidden(f".{'1' * 32}.tmp", b"")
    any_store.write_hidden(".mine", b"")
    with any_store.open_session() as session:
        (said,) = any_store.other_sessions(session)
        assert said.startswith(f"process {os.getpid()} on elsewhere, since 20")
        assert any_store.has_hidden(f".{'1' * 32}.tmp")
    assert sessions.OLD_SECONDS == 7 * 24 * 3600
    monkeypatch.setattr(sessions, "OLD_SECONDS", -60)
    with any_store.open_session() as session:
        assert any_store.other_sessions(session) == []
    assert not any_store.has_hidden(other)
    assert not any_store.has_hidden(f".{'1' * 32}.tmp")
    assert any_store.has_hidden(".mine")


def test_the_workers_of_a_killed_sweep_store_nothing_more(store):
    session = subprocess.run(
        [sys.executable, "-c", KILLED, store.results], capture_output=True, text=True
    ).stdout.strip()
    with Lease(store, session, 0).acquired() as lease:
        with store.open_session() as own:
            assert store.other_sessions(own) == []
            assert sorted(os.listdir(store.results)) == sorted([own, f"{own}-staging", "spectrum"])
        with pytest.raises(StoreError, match="was removed, or is not the one"):
            lease.write("part-late.parquet", b"")
    assert store.parts() == []


@pytest.mark.parametrize(
    ("owner", "age", "stays"),
    [
        (KILLED_HERE, 0, False),
        (ELSEWHERE, OLD_SECONDS - 60, True),
        (ELSEWHERE, OLD_SECONDS + 60, False),
        (THIS, 2 * OLD_SECONDS, True),
    ],
    ids=["killed", "elsewhere for a week", "elsewhere for longer", "alive for longer"],
)
def test_the_age_of_a_session_counts_where_nothing_is_known_of_its_process(
    store, owner, age, stays
):
    session = leave_staging(store, owner, age)
    with store.open_session():
        assert session.exists() == stays
        assert Path(store.staging_folder(session.name)).exists() == stays


def test_sessions_of_other_tasks_are_judged_by_their_process(store):
    """Their staging folders lie beside those of this task, however long nothing changed there."""
    long_ago = time.time() - 2 * OLD_SECONDS
    other = Store(store.results, "training")
    with other.open_session() as session:
        os.utime(other.staging_folder(session), (long_ago, long_ago))
        with store.open_session() as own:
            assert os.path.isdir(other.staging_folder(session))
            assert store.other_sessions(own) == other.other_sessions(session) == []
    killed = leave_staging(other, dataclasses.replace(KILLED_HERE, task="training"))
    with store.open_session():
        assert not killed.exists()
        assert not os.path.exists(other.staging_folder(killed.name))


def test_what_earlier_versions_left_among_the_rows_is_removed(store):
    """Session files, half-written parts and locks lay in the task's folder."""
    session = f".sweep-{'0' * 32}"
    Path(store.folder, session).write_bytes(KILLED_HERE.content.replace(b', "task": ""', b""))
    Path(store.results, session).mkdir()
    for name in (f".{'1' * 32}.tmp", ".merge"):
        Path(store.folder, name).touch()
        os.utime(Path(store.folder, name), (0, 0))
    with store.open_session() as own:
        assert store.other_sessions(own) == []
        assert os.listdir(store.folder) == []
        assert not Path(store.results, session).exists()


def test_a_session_of_an_earlier_version_is_announced(store):
    content = THIS.content.replace(b', "task": ""', b"")
    Path(store.folder, f".sweep-{'0' * 32}").write_bytes(content)
    with store.open_session() as own:
        assert len(store.other_sessions(own)) == 1


def test_half_written_kernels_are_removed(store):
    store.save_kernel("k", np.eye(2))
    half = Path(store.results, "_kernels", "spectrum", f".{'1' * 32}.tmp")
    half.touch()
    os.utime(half, (0, 0))
    with store.open_session():
        assert os.listdir(half.parent) == ["k.npy"]


@pytest.mark.parametrize("error", [-2 * OLD_SECONDS, 2 * OLD_SECONDS])
def test_ages_are_told_by_the_clock_of_the_files(store, monkeypatch, error):
    session = leave_staging(store, ELSEWHERE)
    now = time.time() + error
    monkeypatch.setattr(time, "time", lambda: now)
    with store.open_session():
        assert session.exists()


def test_a_sweep_under_way_in_an_object_store_has_an_empty_folder(s3_results):
    store = Store(s3_results, "spectrum")
    with pytest.raises(FileNotFoundError, match="run a sweep first"):
        load_results(store.location)
    with store.open_session():
        assert len(load_results(store.location)) == 0


@pytest.mark.parametrize("content", [b"", b"x", b"[]", b"{}", b'{"host": 1}', b"null"])
def test_a_session_file_that_cannot_be_read_has_no_owner(content):
    assert Owner.parse(content) is None


def test_a_session_file_names_its_owner():
    assert Owner.parse(THIS.content) == THIS
    assert THIS.is_alive
    assert KILLED_HERE.is_alive is False
    assert ELSEWHERE.is_alive is None
