"""What a point costs apart from its numerics: composing, checking, sending, storing.

    python -m benchmarks.dispatch

Every figure is a slope: the time of a whole process with many points, less that of one with few, over the difference in points.
Start-up (Python, Ray, the first import of torch in the workers) cancels. The points are the smallest there are, networks of
width 1 on two inputs, so that what remains of numerics is well below a millisecond; that remainder is included.
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

from docs.remake import fill

ROOT = Path(__file__).parents[1]
REPEATS = 3


def main() -> None:
    """Prints the table and puts it into docs/performance.md."""
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "tiny.npz", x=np.eye(2), y=np.arange(2))
        data = ["data=npz", f"data.path={folder}/tiny.npz", "width=1"]
        ours = [str(ROOT / "launch.py"), "-m", *data]
        stock = [str(ROOT / "benchmarks" / "stock_hydra.py"), "-m", *data, "hydra/sweeper=basic", "hydra/launcher=basic"]
        stock += ["hydra.output_subdir=.hydra", "hydra/job_logging=default", f"hydra.sweep.dir={folder}/multirun"]
        lines = ["| how | points | ms a point, median (least, greatest) of 3 |", "|---|---|---|"]
        print("\n".join(lines))
        for name, command, points, filled in (
            ("ntk-sweep on Ray, 2 workers", [*ours, "compute.num_workers=2"], (200, 3000), False),
            ("ntk-sweep, hydra/launcher=serial", [*ours, "hydra/launcher=serial"], (200, 3000), False),
            ("ntk-sweep, all points in the store already", ours, (200, 3000), True),
            ("stock Hydra, basic launcher, empty job", stock, (5, 35), False),
        ):
            lines.append(measure(name, command, points, folder, filled))
            print(lines[-1], flush=True)
    fill(ROOT / "docs" / "performance.md", "dispatch", "\n".join(lines))


def measure(name: str, command: list[str], points: tuple[int, int], folder: str, filled: bool) -> str:
    """A line of the table."""
    few, many = points
    slopes = []
    for repeat in range(REPEATS):
        results = f"results={folder}/{abs(hash(name))}-{0 if filled else repeat}"
        if filled:
            seconds([*command, f"seed=range(0,{many})", results])
        spent = {n: seconds([*command, f"seed=range(0,{n})", results if filled else f"{results}-{n}"]) for n in (few, many)}
        slopes.append(1000 * (spent[many] - spent[few]) / (many - few))
    return f"| {name} | {few} to {many} | {statistics.median(slopes):.2f} ({min(slopes):.2f}, {max(slopes):.2f}) |"


def seconds(command: list[str]) -> float:
    """Wall-clock time of a command that must succeed."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *command], check=True, capture_output=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
