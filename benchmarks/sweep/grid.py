"""The thesis's grid as a user runs it, and where its time goes, beside an earlier version.

    python -m benchmarks.sweep.grid [--before COMMIT]

The 720 networks of `+experiment=thesis_grid` on Fashion-MNIST (read from `$NTK_SWEEP_DATA` where
that is set), with one seed and with ten: exact spectra, limit kernels, Hydra, Ray, Parquet and
progress included, each a process of its own from its start to its end. An earlier version is
checked out into a folder of its own and runs in the same environment; it takes one seed only.

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

SEEDS = (1, 10)


def main() -> None:
    """Prints the tables and puts them into docs/reference/performance.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", metavar="COMMIT", help="an earlier version of the code")
    before = parser.parse_args().before
    lines = ["| version | networks | seconds | workers |", "|---|---|---|---|"]
    print("\n".join(lines))
    profiles = {}
    for name, commit in ([(f"before ({before})", before)] if before else []) + [("now", None)]:
        with checkout(commit) as folder:
            for seeds in SEEDS if commit is None else SEEDS[:1]:
                lines.append(
                    f"| {name} | {720 * seeds} | {sweep(folder, seeds):.0f} | {available_cores()} |"
                )
                print(lines[-1], flush=True)
            profiles[name] = profile(folder)
    lines += [
        "",
        "| ms a network | " + " | ".join(profiles) + " |",
        "|---" * (len(profiles) + 1) + "|",
    ]
    for part in profiles["now"]:
        lines.append(
            f"| {part} | "
            + " | ".join(f"{own.get(part, 0):.1f}" for own in profiles.values())
            + " |"
        )
    print("\n".join(lines[len(SEEDS) + 3 :]))
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


def sweep(folder: Path, seeds: int) -> float:
    """Seconds of the whole command."""
    with tempfile.TemporaryDirectory() as results:
        command = [
            sys.executable,
            str(folder / "launch.py"),
            "+experiment=thesis_grid",
            f"seed=range(0,{seeds})",
            f"results={results}",
        ]
        start = time.perf_counter()
        subprocess.run(
            command, check=True, cwd=folder, env=_environment(folder), stdout=subprocess.DEVNULL
        )
        return time.perf_counter() - start


def profile(folder: Path) -> dict[str, float]:
    """Milliseconds a network of each part of the numerics."""
    command = [sys.executable, str(ROOT / "benchmarks" / "sweep" / "grid_profile.py")]
    done = subprocess.run(
        command, check=True, cwd=folder, env=_environment(folder), capture_output=True, text=True
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def _environment(folder: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(folder)}


if __name__ == "__main__":
    main()
