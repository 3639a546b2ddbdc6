"""Protects the count of cores: the smallest of what machine, affinity, control groups and Slurm
allow."""

import os
import subprocess
import sys

import pytest

from ntk_sweep import cores
from ntk_sweep.cores import available_cores


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Makes a machine of 16 cores, 12 for this process, with these files; returns its root."""
    monkeypatch.setattr(cores.os, "cpu_count", lambda: 16)
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda pid: range(12), raising=False)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)

    def make(group="", **files):
        for name, content in {"proc/self/cgroup": group, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path

    return make


V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/cpu"


def v1(group, quota):
    return {f"{group}/cpu.cfs_quota_us": f"{quota}\n", f"{group}/cpu.cfs_period_us": "50000\n"}


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        ("0::/\n", {}, 12),
        ("0::/\n", {f"{V2}/cpu.max": "max 100000\n"}, 12),
        ("0::/\n", {f"{V2}/cpu.max": "300000 100000\n"}, 3),
        ("0::/\n", {f"{V2}/cpu.max": "350000 100000\n"}, 3),
        ("0::/\n", {f"{V2}/cpu.max": "20000 100000\n"}, 1),
        ("0::/\n", {f"{V2}/unified/cpu.max": "300000 100000\n"}, 3),
        ("0::/a/b\n", {f"{V2}/a/b/cpu.max": "200000 100000\n"}, 2),
        ("0::/a/b\n", {f"{V2}/a/cpu.max": "200000 100000\n", f"{V2}/a/b/cpu.max": "max 1\n"}, 2),
        ("0::/not/in/here\n", {f"{V2}/cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {f"{V2}/cpu.max": "nonsense\n"}, 12),
        ("3:cpu:/\n", v1(V1, -1), 12),
        ("3:cpu:/\n", v1(V1, 100000), 2),
        ("3:cpu:/a/b\n0::/\n", v1(f"{V1}/a", 200000), 4),
        ("3:cpu,cpuacct:/a\n", v1(f"{V2}/cpu,cpuacct/a", 200000), 4),
        ("3:cpu,cpuacct:/of/the/host\n", v1(V1, 200000), 4),
        ("3:cpuset,cpuacct:/\n", v1(V1, 200000), 12),
    ],
)
def test_quotas_of_control_groups_bound_the_cores(machine, group, files, expected):
    assert available_cores(machine(group, **files)) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("2", 2), ("64", 12), ("0", 1), ("", 12), ("many", 12), ("-1", 12)]
)
def test_slurm_bounds_the_cores(machine, monkeypatch, value, expected):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", value)
    assert available_cores(machine()) == expected


def test_a_system_without_affinity_and_control_groups_has_its_cores(monkeypatch, tmp_path):
    monkeypatch.delattr(cores.os, "sched_getaffinity", raising=False)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    monkeypatch.setattr(cores.os, "cpu_count", lambda: 8)
    assert available_cores(tmp_path) == 8
    monkeypatch.setattr(cores.os, "cpu_count", lambda: None)
    assert available_cores(tmp_path) == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_a_process_bound_to_one_core_has_one():
    code = (
        "import os; os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1]); "
        "from ntk_sweep.cores import available_cores; print(available_cores())"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert asked.stdout == "1\n", asked.stderr
