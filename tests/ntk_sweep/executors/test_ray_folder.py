"""Protects the temporary folders of Ray: none stays, none of another process is touched, and they
lie where they can."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from ntk_sweep.errors import ClusterError
from ntk_sweep.executors import ray_folder
from ntk_sweep.executors.ray_folder import (
    PREFIX,
    SOCKET_PATH,
    SOCKETS,
    remove_left_behind,
    temporary_folder,
)
from tests.helpers.processes import is_alive, kill, stop, wait_for

HOLDS = """
import os, sys, subprocess
from ntk_sweep.executors import ray_folder
ray_folder._places = lambda: [{place!r}]
with ray_folder.temporary_folder() as folder:
    open(folder + "/file", "w").close()
    sleep = sys.executable + " -c 'import time; time.sleep(600)'"
    agent = [
        "exec -a ray::Agent sleep 600 > {place}/agent.log 2> " + folder + "/agent.log",
        "exec -a ray::Agent sleep 600 > {place}/agent.log",
        "exec sleep 600 2> " + folder + "/agent.log",
        "exec -a /lib/ray/server " + sleep + " --log_dir=" + folder + "/x",
        "exec " + sleep + " " + folder + "/x",
    ]
    agents = [subprocess.Popen(["bash", "-c", line], start_new_session=True) for line in agent]
    print(folder, *(agent.pid for agent in agents), flush=True)
    sys.stdin.read()
"""
"""A process with a folder; an agent that writes to it, one elsewhere, a stranger; a server that
names it, and a stranger that does."""


@pytest.fixture
def place(monkeypatch):
    """The one place where folders are made."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        monkeypatch.setattr(ray_folder, "_places", lambda: [place])
        yield place


@pytest.fixture
def owner(place):
    """A process that has a folder, with its path and its agents."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS.format(place=place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    agents = []
    try:
        folder, *numbers = process.stdout.readline().split()
        agents = [psutil.Process(int(number)) for number in numbers]
        wait_for(lambda: all(a.cmdline()[:1] not in ([], ["bash"]) for a in agents), "the agents")
        process.folder, process.agents = folder, agents
        yield process
    finally:
        stop(process)
        process.stdin.close()
        kill(agents)


def test_a_folder_is_there_while_it_is_used_and_for_this_user_alone(place):
    with temporary_folder() as folder:
        assert Path(folder).is_dir()
        # Ray opens its folder to all users.
        assert os.stat(Path(folder).parent).st_mode & 0o777 == 0o700
        (Path(folder) / "file").touch()
        remove_left_behind()
        assert (Path(folder) / "file").exists()
    assert not os.listdir(place)
    with pytest.raises(KeyError), temporary_folder():
        raise KeyError
    assert not os.listdir(place)


def test_the_folder_of_a_living_process_stays(owner):
    remove_left_behind()
    assert (Path(owner.folder) / "file").exists()
    assert all(is_alive(agent) for agent in owner.agents)


def test_what_a_killed_process_leaves_is_removed_and_nothing_else(owner, place):
    others = [Path(place, name) for name in (f"{PREFIX}checkout", f"{PREFIX}1", "ntk-sweep")]
    for other in others:
        (other / "r").mkdir(parents=True)
    elsewhere = Path(place, "elsewhere")
    (elsewhere / "r").mkdir(parents=True)
    (elsewhere / "lock").touch()
    link = Path(place, f"{PREFIX}linklink")
    link.symlink_to(elsewhere)
    owner.kill()
    owner.wait()
    remove_left_behind()
    assert not Path(owner.folder).parent.exists()
    assert [is_alive(agent) for agent in owner.agents] == [False, True, True, False, True]
    assert all((other / "r").is_dir() for other in [*others, elsewhere, link])


def test_a_process_that_got_the_number_of_an_earlier_one_is_known(owner, monkeypatch):
    server = owner.agents[3]
    for earlier in psutil.process_iter():
        if earlier.pid == server.pid:
            monkeypatch.setattr(earlier, "_ident", (server.pid, 1.0))
    owner.kill()
    owner.wait()
    remove_left_behind()
    assert not is_alive(server)


def test_another_users_folder_stays(owner, monkeypatch):
    owner.kill()
    owner.wait()
    monkeypatch.setattr(ray_folder.os, "geteuid", lambda: 4321)
    remove_left_behind()
    assert Path(owner.folder).is_dir()


@pytest.mark.parametrize("moment", ["open", "flock", "mkdir"])
def test_a_folder_that_is_cleaned_up_before_it_is_locked_is_made_again(place, monkeypatch, moment):
    module = ray_folder.fcntl if moment == "flock" else ray_folder.os
    plain, calls = getattr(module, moment), []

    def cleaned_up_first(*arguments):
        if not calls:
            calls.append(arguments)
            monkeypatch.setattr(module, moment, plain)
            for folder in Path(place).iterdir():
                if moment != "mkdir":
                    (folder / "lock").touch()
                    remove_left_behind()
                else:
                    ray_folder._remove(str(folder))
        return plain(*arguments)

    monkeypatch.setattr(module, moment, cleaned_up_first)
    with temporary_folder() as folder:
        assert calls
        assert Path(folder).is_dir()
        remove_left_behind()
        assert Path(folder).is_dir()
    assert not os.listdir(place)


def read_only(monkeypatch, *places):
    plain = tempfile.mkdtemp

    def mkdtemp(**given):
        if given["dir"] in places:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return plain(**given)

    monkeypatch.setattr(ray_folder.tempfile, "mkdtemp", mkdtemp)


def long_enough(place, more=0):
    """A folder whose path has as many characters as Ray's sockets allow, and some more."""
    used = len(f"{place}/") + len(f"/{PREFIX}12345678/r" + SOCKETS.format(process=os.getpid()))
    folder = Path(place, "a" * (SOCKET_PATH - used + more))
    folder.mkdir()
    return folder


def test_tmpdir_is_used_where_tmp_cannot_be_written(place, monkeypatch):
    monkeypatch.undo()
    wanted = long_enough(place)
    monkeypatch.setenv("TMPDIR", str(wanted))
    with temporary_folder(for_sockets=True) as folder:
        assert folder.startswith(f"/tmp/{PREFIX}")
    read_only(monkeypatch, "/tmp")
    with temporary_folder(for_sockets=True) as folder:
        assert folder.startswith(f"{wanted}/{PREFIX}")
        assert len(folder + SOCKETS.format(process=os.getpid())) == SOCKET_PATH
    assert not os.listdir(wanted)


def test_where_no_place_will_do_each_is_told_of(place, monkeypatch):
    monkeypatch.undo()
    wanted = long_enough(place, more=1)
    monkeypatch.setenv("TMPDIR", str(wanted))
    read_only(monkeypatch, "/tmp")
    message = (
        rf"/tmp cannot be used \(Read-only file system\); {wanted} has more than "
        rf"{len(str(wanted)) - 1} characters, too many for Ray's sockets. Set TMPDIR"
    )
    with pytest.raises(ClusterError, match=message), temporary_folder(for_sockets=True):
        pass
    with temporary_folder() as folder:
        assert folder.startswith(f"{wanted}/")
    monkeypatch.delenv("TMPDIR")
    with pytest.raises(ClusterError, match="/tmp cannot be used"), temporary_folder():
        pass
