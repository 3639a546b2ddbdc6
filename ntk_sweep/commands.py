"""The two commands behind `launch.py`, one network and many, and what they print when they are done."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from ntk_sweep.activations import ACTIVATIONS
from ntk_sweep.config import SweepConfig
from ntk_sweep.dispatch import SweepResult, run_sweep
from ntk_sweep.errors import SweepError
from ntk_sweep.executors import Executor, SerialExecutor
from ntk_sweep.plan import git_commit
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
        wanted = values["data"]["name"]
        name = "" if row.data == wanted else f", where these data are called {row.data}"
        console.print(f"already in the store{name}; force=true computes it again")
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
    # Without a terminal there is no width to keep to, and nothing should be cut.
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)


SHOWN = [
    *("key", "status", "finished_at", "git_commit", "act", "width", "depth", "seed", "parametrisation", "dtype", "data"),
    *("data_fingerprint", "n_samples", "lambda_min", "lambda_min_error", "lambda_min_resolved", "lambda_max", "lambda_max_error"),
    *("condition_number", "method", "meets_target", "target", "limit_lambda_min", "limit_lambda_min_error", "seconds"),
]
"""The columns read for what is printed: those with a list a row would fill the memory with a large store."""


def _rows(result: SweepResult) -> pd.DataFrame:
    """The rows of the sweep's points that are in the stores, one a point."""
    frames = []
    for (_, task), store in result.plan.stores.items():
        keys = pa.array(sorted({point.key for point in result.plan.points if point.task == task}), pa.string())
        table = store.read(SHOWN)
        table = table.filter(pc.is_in(table["key"], value_set=keys))
        frames.append(latest_good(table).to_pandas().assign(location=store.location))
    return pd.concat(frames, ignore_index=True)


def _figures(row: pd.Series) -> list[tuple[str, str]]:
    limit_resolved = row.limit_lambda_min > row.limit_lambda_min_error
    condition = f"{row.condition_number:.6g}" if row.lambda_min_resolved else "unknown, since lambda_min is unresolved"
    return [
        ("lambda_min", _with_error(row.lambda_min, row.lambda_min_error, row.lambda_min_resolved)),
        ("lambda_max", _with_error(row.lambda_max, row.lambda_max_error, True)),
        ("condition_number", condition),
        ("infinite width", f"lambda_min {_with_error(row.limit_lambda_min, row.limit_lambda_min_error, limit_resolved)}"),
        ("method", row.method + ("" if row.meets_target else f", whose bounds miss the target of {row.target:g} somewhere")),
        ("seconds", f"{row.seconds:.3f}"),
        ("row", row.location),
    ]


def _with_error(value: float, error: float, resolved: bool) -> str:
    if not resolved:
        return f"unresolved: at most {value + error:.2g}, which is the rounding error of this method"
    return f"{value:.10g} ± {error:.1g}"


KIND = ["data", "data_fingerprint", "parametrisation", "dtype", "act"]
"""Only rows that agree in these may be compared."""


def _print_summary(result: SweepResult, console: Console) -> None:
    frame = _rows(result)
    good = frame[frame["status"] == "ok"]
    kinds = dict(sorted(good.groupby(KIND), key=lambda item: [*item[0][:-1], list(ACTIVATIONS).index(item[0][-1])]))
    varying = [name for name in KIND if name == "act" or good[name].nunique() > 1]
    columns = [*varying, "lambda_min", "width", "depth", "seed", "points", "unresolved"]
    table = Table(title="greatest lambda_min of this sweep", title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column in KIND else "right")
    for kind, rows in kinds.items():
        named = dict(zip(KIND, kind, strict=True))
        resolved = rows[rows["lambda_min_resolved"].astype(bool)]
        cells = [str(named[name])[:12] if name == "data_fingerprint" else str(named[name]) for name in varying]
        if resolved.empty:
            cells += ["unresolved", "", "", ""]
        else:
            best = resolved.loc[resolved["lambda_min"].idxmax()]
            cells += [f"{best.lambda_min:.6g}", *(str(best[name]) for name in ("width", "depth", "seed"))]
        table.add_row(*cells, str(len(rows)), str(len(rows) - len(resolved)))
    if kinds:
        console.print(table)
    if missed := int((~good["meets_target"].astype(bool)).sum()):
        console.print(f"in {missed} of {len(good)} points an error bound misses task.target; the column meets_target says in which")
    _print_counts(result, frame, console)
    for store in result.plan.stores.values():
        console.print(f"rows: {store.location}")


def _print_counts(result: SweepResult, frame: pd.DataFrame, console: Console) -> None:
    computed = {job.point.key for job in result.plan.jobs}
    others = frame[~frame["key"].isin(computed)]
    foreign = int((others["git_commit"].fillna("") != (git_commit() or "")).sum())
    there = f"{result.plan.skipped} were there"
    if foreign:
        there += f" ({foreign} from another commit of the code; force=true computes them anew)"
    done = len(result.plan.jobs) - len(result.failed)
    console.print(f"{done} points computed in {duration(result.seconds)}, {there}, {len(result.failed)} failed")


def _print_failures(result: SweepResult, console: Console) -> None:
    points = {point.key: point for point in result.plan.points}
    points_failed = "1 point" if len(result.failed) == 1 else f"{len(result.failed)} points"
    console.print(f"{points_failed} failed; the column `error` of the row holds the traceback:")
    for key, error in list(result.failed.items())[:SHOWN_FAILURES]:
        console.print(f"  {points[key]}: {error.strip().splitlines()[-1]}", markup=False)
    if len(result.failed) > SHOWN_FAILURES:
        console.print(f"  … and {len(result.failed) - SHOWN_FAILURES} more")
