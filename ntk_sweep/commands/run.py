"""The two commands behind `ntk-sweep run`, one network and many, and what they print at the end."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from itertools import chain
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
from rich.console import Console

from ntk_sweep import exit_status
from ntk_sweep.commands.dry_run import print_estimate
from ntk_sweep.commands.terminal_tables import Rows, classes_text, summary_of
from ntk_sweep.data.labelling import Labelling
from ntk_sweep.dispatch.driver import Observer, SweepResult
from ntk_sweep.dispatch.estimate import estimate
from ntk_sweep.dispatch.progress import sign_of_life
from ntk_sweep.dispatch.provenance import git_commit
from ntk_sweep.dispatch.signals import Interrupted, SignalGuard
from ntk_sweep.dispatch.sweep import run_sweep
from ntk_sweep.durations import duration
from ntk_sweep.errors import SweepError
from ntk_sweep.executors.protocol import Executor
from ntk_sweep.executors.serial import SerialExecutor
from ntk_sweep.settings.validation import Reader
from ntk_sweep.store.columns import schema
from ntk_sweep.store.reading import latest_good, row_of, rows_at, ticks

SHOWN_FAILURES = 10
"""How many failed points the terminal names; all of them stand in the store."""

CLOCK_TOLERANCE = 60
"""Seconds. Clocks that are kept in step differ by less than a second."""


def compute_one(
    values: dict[str, Any], take_row: Callable[[dict[str, Any]], None] | None = None
) -> int:
    """Computes one network in this process and prints its row; returns the exit status.

    Args:
        values: The settings, as plain containers.
        take_row: Is given the whole row, of a failed point too.
    """
    console = _console()
    observer = (lambda _, row: take_row(row)) if take_row else None
    with console.status("computing") if console.is_terminal else nullcontext():
        status, result = _run([values], SerialExecutor, Console(quiet=True), console, observer)
    if result is None:
        return status
    if result.failed:
        _print_failures(result, console)
        return exit_status.FAILED
    (point,), (store,) = result.plan.points, result.plan.stores.values()
    summary = summary_of(point.task)
    # Arrow would import pandas for a time.
    columns = [name for name in summary.columns if name != "finished_at"]
    row = row_of(store, point.key, columns)
    classes = classes_text(row)
    known = [f"classes {classes}" if classes else "", Labelling.of_row(row).title]
    data = ", ".join([f"{row['n_samples']} inputs", *filter(None, known)])
    console.print(f"{point} on data={row['data']} ({data})")
    kinds = schema(point.task)
    shown = SimpleNamespace(
        **{
            name: math.nan if value is None and _is_number(kinds.field(name).type) else value
            for name, value in row.items()
        }
    )
    for name, value in [*summary.figures(shown), ("row", store.location)]:
        console.print(f"  {name:<17} {value}")
    if result.plan.skipped:
        if take_row:
            take_row(row_of(store, point.key))
        wanted = values["data"]["name"]
        name = "" if row["data"] == wanted else f", where these data are called {row['data']}"
        console.print(f"already in the store{name}; force=true computes it again")
    return 0


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def compute_many(
    values: Iterable[dict[str, Any]],
    executor_class: type[Executor],
    observer: Observer | None = None,
    total: int | None = None,
) -> tuple[int, SweepResult | None]:
    """Computes a sweep and prints a short table.

    Args:
        values: The settings of each point, as plain containers.
        executor_class: Where to compute.
        observer: Is told of each computed point, with its row.
        total: How many points there are, if that is known.

    Returns:
        The exit status, and the result unless the sweep was refused, interrupted or a dry run.
    """
    console = _console()
    status, result = _run(values, executor_class, console, console, observer, total)
    if result is None:
        return status, None
    _print_summary(result, console)
    if result.failed:
        _print_failures(result, console)
        return exit_status.FAILED, result
    return 0, result


def _run(
    values: Iterable[dict[str, Any]],
    executor_class: type[Executor],
    progress: Console,
    announcements: Console,
    observer: Observer | None,
    total: int | None = None,
) -> tuple[int, SweepResult | None]:
    """Runs a sweep; a user's mistake or an interruption becomes a message and an exit status."""
    try:
        configs, reader = [], Reader()
        composed = sign_of_life("composed and checked", total, progress)
        with SignalGuard() as guard, guard.immediate(), composed as tick:
            for point in values:
                configs.append(reader.read(point))
                tick()
        if any(config.dry_run for config in configs):
            print_estimate(estimate(configs, executor_class), announcements)
            return 0, None
        return 0, run_sweep(configs, executor_class, progress, announcements, observer)
    except SweepError as error:
        print(f"error: {error}", file=sys.stderr)
        return exit_status.MISTAKE, None
    except Interrupted as interrupt:
        message = (
            f"{interrupt}: stopped. Finished points are in the store; the same command again goes "
            "on from there."
        )
        print(f"\n{message}", file=sys.stderr)
        return exit_status.SIGNAL + interrupt.signal_number, None


def _console() -> Console:
    # Without a terminal there is no width to keep to, and nothing should be cut.
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)


def _rows(result: SweepResult) -> dict[str, Rows]:
    """By task, the rows of the sweep's points that are in the stores, one a point.

    Their times are in microseconds since 1970.
    """
    found: dict[str, Rows] = {}
    for (_, task), store in result.plan.stores.items():
        wanted = {point.key for point in result.plan.points if point.task == task}
        table = store.read(summary_of(task).columns)
        keys = table["key"].to_pylist()
        own = [place for place, key in enumerate(keys) if key in wanted]
        table = latest_good(table if len(own) == len(keys) else rows_at(table, own))
        times = ticks(table["finished_at"])
        rows = table.drop_columns("finished_at").to_pylist()
        found.setdefault(task, []).extend(
            row | {"finished_at": tick} for row, tick in zip(rows, times, strict=True)
        )
    return found


def _print_summary(result: SweepResult, console: Console) -> None:
    """The best points, what the rows say against them, how many were computed, and where."""
    found = _rows(result)
    for task, rows in found.items():
        summary, good = summary_of(task), [row for row in rows if row["status"] != "failed"]
        if good:
            console.print(summary.table(good))
        if remark := summary.remark(good):
            console.print(remark)
    everything = list(chain.from_iterable(found.values()))
    _print_counts(result, everything, console)
    _print_clocks(everything, console)
    for store in result.plan.stores.values():
        console.print(f"rows: {store.location}")


def _print_counts(result: SweepResult, rows: Rows, console: Console) -> None:
    computed = {job.point.key for job in result.plan.jobs}
    own = git_commit()
    # A submitted job does not know its commit, and of rows without one nothing can be said.
    others = (row["git_commit"] for row in rows if row["key"] not in computed)
    foreign = sum(commit not in (None, own) for commit in others) if own else 0
    there = f"{result.plan.skipped} were there"
    if foreign:
        there += f" ({foreign} from another commit of the code; force=true computes them anew)"
    done = len(result.plan.jobs) - len(result.failed) - len(result.left)
    points = "1 point" if done == 1 else f"{done} points"
    console.print(
        f"{points} computed in {duration(result.seconds)}, {there}, {len(result.failed)} failed"
    )


def _print_clocks(rows: Rows, console: Console) -> None:
    """Warns if rows come from the future: of equal keys the latest is read."""
    now = time.time() * 1e6
    ahead = [row for row in rows if row["finished_at"] > now + CLOCK_TOLERANCE * 1e6]
    if not ahead:
        return
    last = max(ahead, key=lambda row: row["finished_at"])
    bearing = "1 row bears" if len(ahead) == 1 else f"{len(ahead)} rows bear"
    console.print(
        f"{bearing} a time in the future, up to {duration((last['finished_at'] - now) / 1e6)} "
        f"from now: the clock of {last['host']}, or that of this machine, is wrong; until then "
        "what force=true computes is taken for older"
    )


def _print_failures(result: SweepResult, console: Console) -> None:
    points = {point.key: point for point in result.plan.points}
    points_failed = "1 point" if len(result.failed) == 1 else f"{len(result.failed)} points"
    console.print(f"{points_failed} failed; the column `error` of the row holds the traceback:")
    for key, error in list(result.failed.items())[:SHOWN_FAILURES]:
        console.print(f"  {points[key]}: {error.strip().splitlines()[-1]}", markup=False)
    if len(result.failed) > SHOWN_FAILURES:
        console.print(f"  … and {len(result.failed) - SHOWN_FAILURES} more")
    if result.left:
        left = "1 point is" if len(result.left) == 1 else f"{len(result.left)} points are"
        console.print(
            f"{left} left, since compute.fail_fast ended the sweep; the same command goes on, and "
            "tries what failed again"
        )
