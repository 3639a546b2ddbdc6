"""Processes that have little memory between them."""

import os
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from tests.helpers.processes import wait_for


@contextmanager
def memory_limit(size):
    """A control group of processes that have so many bytes between them, with what starts a command
    in it; None if none can be made."""
    folder = _control_group()
    try:
        folder.mkdir()
        limit, total = folder / "memory.limit_in_bytes", folder / "memory.max"
        (limit if limit.exists() else total).write_text(str(size))
    except (OSError, AttributeError):
        yield None
        return
    try:
        enter = f'echo $$ > {folder}/cgroup.procs && exec "$@"'
        yield SimpleNamespace(prefix=("sh", "-c", enter, "sh"), kills=lambda: _kills(folder))
    finally:
        wait_for(
            lambda: not (folder / "cgroup.procs").read_text().strip(),
            "the end of all that was started in the control group",
        )
        folder.rmdir()


def _control_group():
    """Where this process may make one."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        root = Path("/sys/fs/cgroup", "memory" if controllers else "")
        if (controllers in ("memory", "")) and (root / path.lstrip("/") / "cgroup.procs").exists():
            return root / path.lstrip("/") / f"ntk-sweep-{os.getpid()}"
    return None


def _kills(folder):
    """How many processes in a control group were killed for want of memory."""
    for name in ("memory.events", "memory.oom_control"):
        if (folder / name).exists():
            return int(
                dict(line.split() for line in (folder / name).read_text().splitlines())["oom_kill"]
            )
    return 0
