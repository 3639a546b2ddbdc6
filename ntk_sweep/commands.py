"""The two commands behind `launch.py`, one network and many, and what they print when they are done."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from ntk_sweep.config import SweepConfig
from ntk_sweep.dispatch import SweepResult, run_sweep
from ntk_sweep.errors import SweepError
from ntk_sweep.executors import Executor, SerialExecutor
from ntk_sweep.progress import duration
from ntk_sweep.signals import Interrupted
from ntk_sweep.store import latest_good

SHOWN_FAILURES = 10
"""How many failed points the terminal names; all of them stand in the store."""

EXIT_FAILED = 1
"""A point failed."""

EXIT_MISTAKE = 2
"""Nothing was computed, or the results could not be kept: the message says what to mend."""

EXIT_SIGNAL = 128
"""Plus the signal's number: the shell's convention."""


def compute_one(values: dict[str, Any]) -> int:
    """Computes one network in this process and prints its row; returns the exit status.

    Args:
        values: The settings, as plain containers.
    """
    console = _console()
    with console.status("computing") if console.is_terminal else nullcontext():
        status, result = _run([values], SerialExecutor, Console(quiet=True))
    if result is None:
        return status
    if result.failed:
        _print_failures(result, console)
        return EXIT_FAILED
    row = _rows(result).iloc[0]
    console.print(f"{result.plan.points[0]} on data={row.data} ({row.n_samples} inputs)")
    for name, value in _figures(row):
        console.print(f"  {name:<17} {value}")
    if result.plan.skipped:
        console.print("already in the store; force=true computes it again")
    return 0


def compute_many(values: Iterable[dict[str, Any]], executor_class: type[Executor]) -> tuple[int, SweepResult | None]:
    """Computes a sweep and prints a short table.

    Args:
        values: The settings of each point, as plain containers.
        executor_class: Where to compute.

    Returns:
        The exit status, and the result unless the sweep was refused or interrupted.
    """
    console = _console()
    status, result = _run(values, executor_class, console)
    if result is None:
        return status, None
    _print_summary(result, console)
    if result.failed:
        _print_failures(result, console)
        return EXIT_FAILED, result
    return 0, result


def _run(values: Iterable[dict[str, Any]], executor_class: type[Executor], console: Console) -> tuple[int, SweepResult | None]:
    """Runs a sweep; a user's mistake or an interruption becomes a message and an exit status."""
    try:
        return 0, run_sweep([SweepConfig.from_dict(point) for point in values], executor_class, console)
    except SweepError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_MISTAKE, None
    except Interrupted as interrupt:
        print(
            f"\n{interrupt}: stopped. Finished points are in the store; the same command again goes on from there.", file=sys.stderr
        )
        return EXIT_SIGNAL + interrupt.signal_number, None


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def _rows(result: SweepResult) -> pd.DataFrame:
    """The rows of the sweep's points that are in the stores, one a point."""
    frames = []
    for (_, task), store in result.plan.stores.items():
        keys = {point.key for point in result.plan.points if point.task == task}
        frame = latest_good(store.read()).to_pandas()
        frames.append(frame[frame["key"].isin(keys)].assign(location=store.location))
    return pd.concat(frames, ignore_index=True)


def _figures(row: pd.Series) -> list[tuple[str, str]]:
    condition = f"{row.condition_number:.6g}" if row.lambda_min_resolved else "unknown, since lambda_min is unresolved"
    return [
        ("lambda_min", _with_error(row.lambda_min, row.lambda_min_error, row.lambda_min_resolved)),
        ("lambda_max", _with_error(row.lambda_max, row.lambda_max_error, True)),
        ("condition_number", condition),
        ("seconds", f"{row.seconds:.3f}"),
        ("row", row.location),
    ]


def _with_error(value: float, error: float, resolved: bool) -> str:
    if not resolved:
        return f"unresolved: at most {value + error:.2g}, which is the rounding error of this method"
    return f"{value:.10g} ± {error:.1g}"


def _print_summary(result: SweepResult, console: Console) -> None:
    jobs, skipped = len(result.plan.jobs), result.plan.skipped
    frame = _rows(result)
    good = frame[frame["status"] == "ok"]
    table = Table(title="greatest lambda_min of this sweep, by activation", title_justify="left", box=None, pad_edge=False)
    for column in ("act", "lambda_min", "width", "depth", "seed", "data", "points", "unresolved"):
        table.add_column(column, justify="left" if column in ("act", "data") else "right")
    for (data, act), rows in good.groupby(["data", "act"]):
        resolved = rows[rows["lambda_min_resolved"].astype(bool)]
        counts = [str(len(rows)), str(len(rows) - len(resolved))]
        if resolved.empty:
            table.add_row(act, "unresolved", "", "", "", data, *counts)
        else:
            best = resolved.loc[resolved["lambda_min"].idxmax()]
            table.add_row(act, f"{best.lambda_min:.6g}", *(str(best[name]) for name in ("width", "depth", "seed")), data, *counts)
    if len(good):
        console.print(table)
    console.print(
        f"{jobs - len(result.failed)} points computed in {duration(result.seconds)}, {skipped} were there, {len(result.failed)} failed"
    )
    for store in result.plan.stores.values():
        console.print(f"rows: {store.location}")


def _print_failures(result: SweepResult, console: Console) -> None:
    points = {point.key: point for point in result.plan.points}
    console.print(f"{len(result.failed)} failed points; the column `error` of their rows holds the tracebacks:")
    for key, error in list(result.failed.items())[:SHOWN_FAILURES]:
        console.print(f"  {points[key]}: {error.strip().splitlines()[-1]}", markup=False)
    if len(result.failed) > SHOWN_FAILURES:
        console.print(f"  … and {len(result.failed) - SHOWN_FAILURES} more")
