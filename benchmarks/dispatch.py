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

ROOT = Path(__file__).parents[1]
REPEATS = 3


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "tiny.npz", x=np.eye(2), y=np.arange(2))
        data = ["data=npz", f"data.path={folder}/tiny.npz", "width=1"]
        ours = [str(ROOT / "launch.py"), "-m", *data]
        stock = [str(ROOT / "benchmarks" / "stock_hydra.py"), "-m", *data, "hydra/sweeper=basic", "hydra/launcher=basic"]
        stock += ["hydra.output_subdir=.hydra", "hydra/job_logging=default", f"hydra.sweep.dir={folder}/multirun"]
        print("time a point apart from start-up, median (least, greatest) of 3\n")
        print("| how | points | ms a point |")
        print("|---|---|---|")
        report("ntk-sweep on Ray, 2 workers", [*ours, "compute.num_workers=2"], (200, 3000), folder)
        report("ntk-sweep, hydra/launcher=serial", [*ours, "hydra/launcher=serial"], (200, 3000), folder)
        report("ntk-sweep, all points in the store already", ours, (200, 3000), folder, filled=True)
        report("stock Hydra, basic launcher, empty job", stock, (5, 35), folder)


def report(name: str, command: list[str], points: tuple[int, int], folder: str, filled: bool = False) -> None:
    """Prints a line of the table."""
    few, many = points
    slopes = []
    for repeat in range(REPEATS):
        results = f"results={folder}/{abs(hash(name))}-{0 if filled else repeat}"
        if filled:
            seconds([*command, f"seed=range(0,{many})", results])
        spent = {n: seconds([*command, f"seed=range(0,{n})", results if filled else f"{results}-{n}"]) for n in (few, many)}
        slopes.append(1000 * (spent[many] - spent[few]) / (many - few))
    print(f"| {name} | {few} to {many} | {statistics.median(slopes):.2f} ({min(slopes):.2f}, {max(slopes):.2f}) |", flush=True)


def seconds(command: list[str]) -> float:
    """Wall-clock time of a command that must succeed."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *command], check=True, capture_output=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
