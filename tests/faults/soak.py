"""``make soak``: a sweep on a cluster of three nodes while workers, nodes and its driver are killed
at random; then the comparison.

``SOAK_SECONDS`` (600) bounds the time of the kills, ``SOAK_POINTS`` (3000) the points,
``SOAK_SEED`` chooses the kills. When the time is over, the same command runs to its end
undisturbed. The last output goes into docs/guide/reliability.md.
"""

import os
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from docs.tools.pages import fill
from ntk_sweep.store.reading import load_results
from tests.helpers.places import ROOT
from tests.helpers.processes import (
    TIME_LIMIT,
    ray_head,
    ray_node,
    raylet_of,
    run,
    start,
    stop,
    wait_for,
    workers_at,
)

SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
POINTS = int(os.environ.get("SOAK_POINTS", "3000"))
SEED = int(os.environ.get("SOAK_SEED", "0"))
NODES = 2
"""Besides the head, which no cluster survives."""

PAUSE = (2.0, 8.0)
"""Seconds between two kills."""

NOT_NUMBERS = ["finished_at", "seconds", "host", "device", "error", "status"]
WIDTHS = range(3, 23)


def grid(folder):
    """The sweep: 4 activations × 20 widths × as many seeds as make up the points."""
    seeds = max(POINTS // (4 * len(WIDTHS)), 1)
    widths = f"width=range({WIDTHS.start},{WIDTHS.stop})"
    return (
        "data=npz",
        f"data.path={folder}/data.npz",
        "act=relu,elu,lrelu,sigmoid",
        widths,
        "depth=2",
        f"seed=range(0,{seeds})",
    )


class Soak:
    """A sweep under fire.

    Args:
        folder: Where data and results lie.
        stack: Ends what is started.
    """

    def __init__(self, folder, stack):
        self.folder, self.stack, self.results = folder, stack, folder / "results"
        self.kills, self.random, self.seen = Counter(), random.Random(SEED), 0
        # So slow that the kills meet a sweep at work for most of the time.
        slow = dict.fromkeys(WIDTHS, SECONDS * (NODES + 1) / (2 * POINTS))
        self.cluster = stack.enter_context(ray_head(cpus=1, faults=slow))
        self.nodes = [self.new_node() for _ in range(NODES)]
        self.driver = self.new_driver()

    def new_node(self):
        return self.stack.enter_context(ray_node(self.cluster))

    def new_driver(self):
        driver = start(
            *(self.results, *grid(self.folder), "compute=cluster", "compute.chunk_seconds=0.5"),
            RAY_ADDRESS=self.cluster.address,
            **self.cluster.token,
        )
        self.stack.callback(stop, driver)
        return driver

    def workers(self):
        return [
            worker for node in (self.cluster.process, *self.nodes) for worker in workers_at(node)
        ]

    def strike(self):
        """Kills something."""
        what = self.random.choices(["worker", "node", "driver"], [6, 2, 1])[0]
        if what == "worker" and (workers := self.workers()):
            try:
                self.random.choice(workers).kill()
            except psutil.NoSuchProcess:
                return
        elif what == "node":
            node = self.nodes.pop(self.random.randrange(NODES))
            if raylet := raylet_of(node):
                raylet.kill()
            stop(node)
            self.nodes.append(self.new_node())
        elif what == "driver":
            self.driver.kill()
            self.driver.wait(TIME_LIMIT)
            self.driver = self.new_driver()
        else:
            return
        self.kills[what] += 1

    def look(self):
        """Reads as a user does: no row may vanish, none may be there twice."""
        if not list((self.results / "spectrum").glob("part-*.parquet")):
            return
        rows = load_results(self.results / "spectrum")
        pd.read_parquet(self.results / "spectrum")
        assert len(rows) >= self.seen, f"{self.seen} rows were there, now {len(rows)}"
        self.seen = len(rows)

    def rage(self):
        """Kills until the time is over or the sweep is done."""
        end = time.monotonic() + SECONDS
        following = time.monotonic() + PAUSE[1]
        while time.monotonic() < end and self.driver.poll() is None:
            self.look()
            if time.monotonic() > following:
                self.strike()
                following = time.monotonic() + self.random.uniform(*PAUSE)
            time.sleep(0.2)
        self.driver.kill()
        self.driver.wait(TIME_LIMIT)


def differences(results, undisturbed):
    """How many rows are missing, too many, or hold another number."""
    ours, others = (
        load_results(folder / "spectrum").set_index("key").sort_index()
        for folder in (results, undisturbed)
    )
    missing = len(others.index.symmetric_difference(ours.index))
    both = others.index.intersection(ours.index)
    numbers = [
        name
        for name in ours.columns
        if name not in NOT_NUMBERS and not name.endswith(("version", "commit"))
    ]
    wrong = sum(
        repr(_plain(a)) != repr(_plain(b))
        for a, b in zip(*(f.loc[both, numbers].itertuples() for f in (ours, others)), strict=True)
    )
    return missing + wrong + int((ours["status"] != "ok").sum())


def _plain(row):
    return [value.tolist() if isinstance(value, np.ndarray) else value for value in row]


def main():
    """Runs the soak; the exit status is 1 if a row differs."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as name, ExitStack() as stack:
        folder = Path(name)
        np.savez(folder / "data.npz", x=np.random.default_rng(1).random((20, 5)), y=np.arange(20))
        done = run(
            folder / "undisturbed",
            *grid(folder),
            "hydra/launcher=serial",
            limit=SECONDS + 10 * TIME_LIMIT,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        soak = Soak(folder, stack)
        wait_for(lambda: soak.workers(), "the first worker", soak.driver)
        under_fire = time.monotonic()
        soak.rage()
        under_fire = time.monotonic() - under_fire
        last = run(
            soak.results, *grid(folder), "hydra/launcher=serial", limit=SECONDS + 10 * TIME_LIMIT
        )
        assert last.returncode == 0, last.stdout + last.stderr
        rows, stored = (
            load_results(soak.results / "spectrum"),
            pd.read_parquet(soak.results / "spectrum"),
        )
        wrong = differences(soak.results, folder / "undisturbed")
        struck = ", ".join(f"{count} {what}s" for what, count in sorted(soak.kills.items()))
        lines = [
            f"kills survived: {soak.kills.total()} ({struck}) in {under_fire:.0f} s",
            (
                f"rows: {len(rows)} of {len(load_results(folder / 'undisturbed' / 'spectrum'))}, "
                f"{soak.seen} of them under fire"
            ),
            (
                "rows stored a second time, with the same numbers: "
                f"{len(stored) - stored.key.nunique()}"
            ),
            f"differences from the undisturbed sweep: {wrong}",
            f"in all {time.monotonic() - begun:.0f} s",
        ]
    output = "\n".join(lines)
    sys.stdout.write(output + "\n")
    if "--docs" in sys.argv:
        fill(ROOT / "docs" / "guide" / "reliability.md", "soak", f"```\n{output}\n```")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
