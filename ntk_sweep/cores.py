"""How many cores this process may use, which on shared machines are fewer than there are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def available_cores(system: Path = Path("/")) -> int:
    """The smallest of machine, affinity, control groups and ``SLURM_CPUS_PER_TASK``; at least 1.

    Args:
        system: The root of the file system, with ``proc`` and ``sys``.
    """
    bounds = [os.cpu_count() or 1, *map(int, _quotas(system))]
    if hasattr(os, "sched_getaffinity"):
        bounds.append(len(os.sched_getaffinity(0)))
    slurm = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if slurm.isdecimal():
        bounds.append(int(slurm))
    return max(min(bounds), 1)


def _quotas(system: Path) -> Iterator[float]:
    """Cores' worth of time that the process's control groups get, from within to without.

    A container may see a path of its host that does not exist inside it: there the root is its own
    group. See the kernel's documentation of `cpu.max` (version 2) and of the CFS bandwidth control
    (version 1).
    """
    try:
        lines = (system / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    mounts = system / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        inside = Path(path.lstrip("/"))
        for name in (controllers, "cpu") if controllers else (".", "unified"):
            for group in (inside, *inside.parents):
                yield from _quota(mounts / name / group)


def _quota(group: Path) -> Iterator[float]:
    """Of one control group, if it has any."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = " ".join((group / name).read_text() for name in names).split()
            if float(quota) > 0:
                yield float(quota) / float(period)
        except (OSError, ValueError, ZeroDivisionError):
            continue  # not there, or "max": no bound
