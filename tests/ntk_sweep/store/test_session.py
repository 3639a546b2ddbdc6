import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ntk_sweep.errors import StoreError
from ntk_sweep.store.lease import Permit
from ntk_sweep.store.session import OLD_SECONDS, Owner
from ntk_sweep.store.store import Store

DEAD = """
import os, sys
from ntk_sweep.store.store import Store
store = Store(sys.argv[1], "spectrum").opened_for_writing()
print(store.__enter__(), flush=True)
os._exit(1)
"""


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "results"), "spectrum")


def leave_mark(store, owner, age=0.0):
    """What a sweep of `owner` that began `age` seconds ago leaves when it is killed."""
    mark = store.write(f".sweep-{'0' * 32}", owner.content)
    os.mkdir(store.workshop(mark))
    for path in (os.path.join(store.folder, mark), store.workshop(mark)):
        os.utime(path, (time.time() - age,) * 2)
    return Path(store.folder, mark)


def test_what_a_killed_sweep_left_is_removed_by_the_next_and_its_workers_store_nothing_more(store):
    mark = subprocess.run(
        [sys.executable, "-c", DEAD, store.results], capture_output=True, text=True
    ).stdout.strip()
    with Permit(store, mark, 0).claimed() as permit:
        with store.opened_for_writing() as own:
            assert store.other_sweeps(own) == []
            assert sorted(os.listdir(store.results)) == sorted([own, "spectrum"])
        with pytest.raises(StoreError, match="was removed, or is not the one"):
            permit.write("part-late.parquet", b"")
    assert store.parts() == []


def test_the_number_of_a_dead_process_given_to_another_does_not_mislead(store):
    mark = leave_mark(store, dataclasses.replace(Owner.this(), born=1))
    with store.opened_for_writing():
        assert not mark.exists()


def test_a_sweep_on_another_machine_is_told_of_and_left_alone_for_a_week(store):
    mark = leave_mark(
        store,
        dataclasses.replace(Owner.this(), host="elsewhere", machine="another"),
        OLD_SECONDS - 60,
    )
    with store.opened_for_writing() as own:
        (said,) = store.other_sweeps(own)
        assert said.startswith(f"process {os.getpid()} on elsewhere, since 20")
        assert mark.exists()
    os.utime(mark, (0, 0))
    with store.opened_for_writing() as own:
        assert store.other_sweeps(own) == []
        assert not mark.exists()


def test_a_sweep_that_lasts_longer_than_a_week_keeps_its_mark(store):
    mark = leave_mark(store, Owner.this(), 2 * OLD_SECONDS)
    with store.opened_for_writing():
        assert mark.exists()


@pytest.mark.parametrize("content", [b"", b"x", b"[]", b"{}", b'{"host": 1}', b"null"])
def test_a_mark_that_says_nothing_is_nobodys(content):
    assert Owner.parse(content) is None


def test_a_mark_says_who_owns_it():
    owner = Owner.this()
    assert Owner.parse(owner.content) == owner
    assert owner.is_alive
