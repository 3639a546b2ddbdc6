"""A Slurm of the tests' own on this machine: munge, the controller, and two node daemons of one
processor each, all in a folder of their own, on ports of their own."""

import getpass
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.helpers.places import ROOT
from tests.helpers.processes import environment, free_port, stop, wait_for

SCRIPT = ROOT / "slurm" / "sweep.sbatch"
DAEMONS = ("munged", "slurmctld", "slurmd")
COMMANDS = ("sbatch", "scancel", "scontrol", "squeue", "srun")
NODES = ("node1", "node2")
PATH = os.pathsep.join(("/usr/sbin", os.environ["PATH"]))

CONFIGURATION = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=10
MpiDefault=none
ReturnToService=2
{nodes}
PartitionName=usual Nodes=ALL Default=YES PriorityTier=1
PartitionName=urgent Nodes=ALL PriorityTier=2 PreemptMode=OFF
"""
"""A job of the partition `urgent` takes the nodes from one of the other, which is queued again."""


class Slurm:
    """What a user of it does.

    Attributes:
        folder: Where jobs write.
    """

    def __init__(self, folder, env):
        self.folder = folder
        self._env = env

    def call(self, *command, **others):
        """What a command of Slurm's prints."""
        ended = subprocess.run(
            command, env=self._env | others, cwd=self.folder, capture_output=True, text=True
        )
        assert ended.returncode == 0, f"{command}: {ended.stderr}"
        return ended.stdout.strip()

    def submit(self, *arguments, **others):
        """Submits a job; its number."""
        output = f"--output={self.folder}/%j.out"
        return self.call("sbatch", "--parsable", output, *arguments, **others)

    def sweep(self, results, *arguments, faults=None, nodes=2, **others):
        """Submits the script of the documentation; the job's number."""
        slow = {"NTK_SWEEP_FAULTS": environment(faults)["NTK_SWEEP_FAULTS"]}
        options = (f"--nodes={nodes}", "--cpus-per-task=1", "--time=10")
        return self.submit(*options, SCRIPT, *arguments, f"results={results}", **slow, **others)

    def output(self, job):
        """What a job has printed, over all its starts."""
        return (self.folder / f"{job}.out").read_text()

    def of(self, job):
        """What Slurm knows of a job, by name."""
        lines = self.call("scontrol", "--oneliner", "show", "job", job)
        return dict(field.split("=", 1) for field in lines.split() if "=" in field)

    def start_again(self, job):
        """Waits for a job that is queued again; it starts at once, without its two minutes."""
        wait_for(lambda: self.of(job)["Reason"] == "BeginTime", f"job {job} in the queue")
        self.call("scontrol", "update", f"JobId={job}", "StartTime=now")

    def wait(self, job, state):
        """Waits until a job is in a state."""
        wait_for(lambda: self.of(job)["JobState"] == state, f"job {job} to be {state}")


@contextmanager
def slurm():
    """Starts it; each daemon is stopped by its own handle. Skips where it is not installed."""
    missing = [name for name in (*DAEMONS, *COMMANDS) if shutil.which(name, path=PATH) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)} (Debian's packages slurm-wlm and munge)")
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="slurm-test-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)  # munge's socket is for everybody
        env = environment(SLURM_CONF=str(folder / "slurm.conf"))
        env["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), PATH))
        _configure(folder)
        _start_munge(stack, folder, env)
        _daemon(stack, folder, env, "slurmctld", "-D")
        for name in NODES:
            _daemon(stack, folder, env, "slurmd", "-D", "-N", name)
        made = Slurm(folder, env)
        idle = ("sinfo", "--noheader", "--Node", "--states=idle", "--partition=usual")
        wait_for(lambda: _lines(made, *idle) == len(NODES), "the nodes")
        yield made
        for job in made.call("squeue", "--noheader", "--format=%A").split():
            made.call("scancel", job)
        wait_for(lambda: _lines(made, "squeue", "--noheader") == 0, "the jobs' end")


def processes_of(job):
    """The processes that a job started, as far as their environment tells."""
    found = []
    for number in psutil.pids():
        with suppress(psutil.Error):
            process = psutil.Process(number)
            if process.environ().get("SLURM_JOB_ID") == job and process.is_running():
                found.append(process)
    return found


def _configure(folder):
    nodes = [
        f"NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={free_port()} CPUs=1"
        for name in NODES
    ]
    (folder / "state").mkdir()
    (folder / "slurm.conf").write_text(
        CONFIGURATION.format(
            folder=folder, port=free_port(), user=getpass.getuser(), nodes="\n".join(nodes)
        )
    )


def _start_munge(stack, folder, env):
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    files = {"socket": "socket", "pid-file": "pid", "seed-file": "seed", "log-file": "log"}
    options = [f"--{option}={folder}/munge.{name}" for option, name in files.items()]
    _daemon(stack, folder, env, "munged", "--foreground", f"--key-file={key}", *options)
    wait_for((folder / "munge.socket").exists, "munge")


def _daemon(stack, folder, env, *command):
    with open(folder / "daemons.log", "ab") as log:
        daemon = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder
        )
    stack.callback(stop, daemon)


def _lines(slurm, *command):
    try:
        return len(slurm.call(*command).splitlines())
    except AssertionError:  # the controller is not there yet
        return None
