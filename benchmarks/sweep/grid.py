"""The thesis's grid as a user runs it, and where its time goes, beside an earlier version.

    python -m benchmarks.sweep.grid [--before COMMIT]

The 720 networks of `+experiment=thesis_grid` on digits and on Fashion-MNIST (read from
`$NTK_SWEEP_DATA` where that is set), the latter with ten seeds too: exact spectra, limit kernels,
Hydra, Ray, Parquet and progress included, each a process of its own from its start to its end. An
earlier version is checked out into a folder of its own and runs in the same environment; it takes
one seed only.

Where the time goes is measured in one process on one thread, over the networks of four widths.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.places import ROOT
from docs.tools.pages import fill
from ntk_sweep.cores import available_cores

DATA = ("digits", "fashion_mnist")

MANY_SEEDS = 10


def main() -> None:
    """Prints the tables and puts them into docs/reference/performance.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", metavar="COMMIT", help="an earlier version of the code")
    before = parser.parse_args().before
    lines = ["| version | data | networks | seconds | workers |", "|---|---|---|---|---|"]
    print("\n".join(lines))
    profiles = {}
    for name, commit in ([(f"before ({before})", before)] if before else []) + [("now", None)]:
        with checkout(commit) as folder:
            runs = [(data, 1) for data in DATA]
            for data, seeds in runs if commit else [*runs, (DATA[-1], MANY_SEEDS)]:
                seconds = sweep(folder, data, seeds)
                lines.append(
                    f"| {name} | {data} | {720 * seeds} | {seconds:.0f} | {available_cores()} |"
                )
                print(lines[-1], flush=True)
            for data in DATA:
                profiles[f"{name}, {data}"] = profile(folder, data)
    shown = len(lines)
    lines += [
        "",
        "| ms a network | " + " | ".join(profiles) + " |",
        "|---" * (len(profiles) + 1) + "|",
    ]
    for part in profiles[f"now, {DATA[0]}"]:
        lines.append(
            f"| {part} | "
            + " | ".join(f"{own.get(part, 0):.1f}" for own in profiles.values())
            + " |"
        )
    print("\n".join(lines[shown:]))
    fill(ROOT / "docs" / "reference" / "performance.md", "grid", "\n".join(lines))


@contextmanager
def checkout(commit: str | None) -> Iterator[Path]:
    """The folder of a version of the code; None for this one."""
    if commit is None:
        yield ROOT
        return
    with tempfile.TemporaryDirectory() as folder:
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", "--quiet", folder, commit], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run([*git, "remove", "--force", folder], check=True)


def sweep(folder: Path, data: str, seeds: int) -> float:
    """Seconds of the whole command."""
    with tempfile.TemporaryDirectory() as results:
        command = [
            sys.executable,
            str(folder / "launch.py"),
            "+experiment=thesis_grid",
            f"seed=range(0,{seeds})",
            f"data={data}",
            f"results={results}",
        ]
        start = time.perf_counter()
        subprocess.run(
            command, check=True, cwd=folder, env=_environment(folder), stdout=subprocess.DEVNULL
        )
        return time.perf_counter() - start


def profile(folder: Path, data: str) -> dict[str, float]:
    """Milliseconds a network of each part of the numerics."""
    command = [sys.executable, str(ROOT / "benchmarks" / "sweep" / "grid_profile.py"), data]
    done = subprocess.run(
        command, check=True, cwd=folder, env=_environment(folder), capture_output=True, text=True
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def _environment(folder: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(folder)}


if __name__ == "__main__":
    main()
