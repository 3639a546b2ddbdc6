"""What a point costs apart from its numerics: composing, checking, sending, storing.

    python -m benchmarks.sweep.dispatch

Beside it the launchers that others offer for Hydra, and Ray Tune, on a function that does nothing,
in an environment of their own (`benchmarks/peers/launchers.txt`), with two workers.

Every figure is a slope: the time of a whole process with many points, less that of one with few,
over the difference in points. Start-up (Python, Ray, the first import of torch in the workers)
cancels. The points are the smallest there are, networks of width 1 on two inputs; the time that
their numerics take, as the rows state it, is taken off and shown beside.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.environments import PEERS, interpreter
from benchmarks.places import ROOT
from docs.tools.pages import fill
from ntk_sweep import load_results

REPEATS = 3


def main() -> None:
    """Prints the table and puts it into docs/reference/performance.md."""
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "tiny.npz", x=np.eye(2), y=np.arange(2))
        data = ["data=npz", f"data.path={folder}/tiny.npz", "width=1"]
        ours = [sys.executable, str(ROOT / "launch.py"), "-m", *data]
        stock = [
            sys.executable,
            str(ROOT / "benchmarks" / "sweep" / "stock_hydra.py"),
            "-m",
            *data,
            "hydra/sweeper=basic",
            "hydra/launcher=basic",
        ]
        stock += [
            "hydra.output_subdir=.hydra",
            "hydra/job_logging=default",
            f"hydra.sweep.dir={folder}/multirun",
        ]
        peer = str(interpreter("launchers"))
        launcher = [peer, str(PEERS / "by_launchers.py"), "-m", f"hydra.sweep.dir={folder}/peers"]
        head = (
            "| how | points | ms a point, median (least, greatest) of 3 | ms of numerics taken off "
            "|"
        )
        lines = [head, "|---|---|---|---|"]
        print("\n".join(lines))
        for name, command, points, workers in (
            (
                "ntk-sweep on Ray, 2 workers",
                [*ours, "compute.num_workers=2", SEEDS, RESULTS],
                (200, 2000),
                2,
            ),
            (
                "ntk-sweep, hydra/launcher=serial",
                [*ours, "hydra/launcher=serial", SEEDS, RESULTS],
                (200, 2000),
                1,
            ),
            ("ntk-sweep, all points in the store already", [*ours, SEEDS, RESULTS], (200, 2000), 0),
            ("stock Hydra, basic launcher, empty job", [*stock, SEEDS, RESULTS], (5, 35), None),
            (
                "hydra-joblib-launcher 1.2.0, empty job",
                [*launcher, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", f"+{SEEDS}"],
                (5, 65),
                None,
            ),
            (
                "hydra-ray-launcher 1.2.2, empty job",
                [
                    *launcher,
                    "hydra/launcher=ray",
                    "+hydra.launcher.ray.init.num_cpus=2",
                    f"+{SEEDS}",
                ],
                (5, 65),
                None,
            ),
            (
                "Ray Tune 2.60, empty function",
                [peer, str(PEERS / "by_ray_tune.py"), "{n}", f"{folder}/tune"],
                (5, 65),
                None,
            ),
        ):
            lines.append(measure(name, command, points, folder, workers))
            print(lines[-1], flush=True)
    fill(ROOT / "docs" / "reference" / "performance.md", "dispatch", "\n".join(lines))


SEEDS, RESULTS = "seed=range(0,{n})", "results={results}"


def measure(
    name: str, command: list[str], points: tuple[int, int], folder: str, workers: int | None
) -> str:
    """A line of the table.

    `workers` is 0 for points computed before, and None for a command without a store.
    """
    few, many = points
    slopes, numerics = [], []
    for _ in range(REPEATS):
        spent, computed = {}, {}
        for n in points:
            results = Path(tempfile.mkdtemp(dir=folder))
            line = [
                part.replace("{n}", str(n)).replace("{results}", str(results)) for part in command
            ]
            if workers == 0:
                seconds(line)
            spent[n] = seconds(line)
            computed[n] = (
                load_results(results / "spectrum")["seconds"].sum() / workers if workers else 0.0
            )
        numerics.append(1000 * (computed[many] - computed[few]) / (many - few))
        slopes.append(1000 * (spent[many] - spent[few]) / (many - few) - numerics[-1])
    shown = f"{statistics.median(slopes):.2f} ({min(slopes):.2f}, {max(slopes):.2f})"
    return f"| {name} | {few} to {many} | {shown} | {statistics.median(numerics):.2f} |"


def seconds(command: list[str]) -> float:
    """Wall-clock time of a command that must succeed."""
    start = time.perf_counter()
    subprocess.run(
        command,
        check=True,
        capture_output=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"},
    )
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
