"""What the terminal shows of finished points: the figures of one row, and a table of a sweep."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table

from ntk_sweep.data.labelling import COLUMNS as LABELLING
from ntk_sweep.digits import known, ratio_bound, with_bound
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.numerics.thresholds import LIMIT_SAMPLES
from ntk_sweep.settings.point import BY_PRODUCTS
from ntk_sweep.settings.schema import SGD
from ntk_sweep.settings.tasks import TASKS, resolve
from ntk_sweep.store.columns import GROUP, TRAINING_SETTING

Rows = list[dict[str, Any]]
"""Rows of one task. No frame: pandas takes a tenth of the time of a small sweep to load."""

SHOWN = 6
"""Digits of an eigenvalue in a table, and of a condition number, at the most."""

KIND = [*GROUP, "act"]
"""Only rows that agree in these may be compared."""

FILES = tuple(BY_PRODUCTS.values())

RATE_UNITS = {"inverse_lambda_max": "/lambda_max", "inverse_max_diagonal": "/max Theta_ii"}

_COMMON = [
    "key",
    "status",
    "finished_at",
    "host",
    "git_commit",
    *KIND,
    "width",
    "depth",
    "seed",
    "n_samples",
    "data_classes",
    *LABELLING,
    "lambda_min",
    "lambda_min_error",
    "lambda_min_resolved",
    "lambda_max",
    "lambda_max_error",
    "condition_number",
    "method",
    "meets_target",
    "target",
    "limit_lambda_min",
    "limit_lambda_min_error",
    "seconds",
]


@dataclass(frozen=True)
class Summary:
    """How the terminal shows the rows of a task.

    Attributes:
        columns: What is read of the store; columns of lists would fill the memory.
        figures: The lines of one row, whose columns are its attributes, NaN where it lacks a
            number: name and value.
        table: A short table of the rows of a sweep.
        remark: A sentence below the table, or none.
    """

    columns: list[str]
    figures: Callable[[Any], list[tuple[str, str]]]
    table: Callable[[Rows], Table]
    remark: Callable[[Rows], str | None]


def _kernel_figures(row: Any) -> list[tuple[str, str]]:
    limit = f"not computed for more than {LIMIT_SAMPLES} inputs"
    if not math.isnan(row.limit_lambda_min):
        resolved = row.limit_lambda_min > row.limit_lambda_min_error
        limit = (
            f"lambda_min {_with_error(row.limit_lambda_min, row.limit_lambda_min_error, resolved)}"
        )
    condition = (
        _condition_number(row)
        if row.lambda_min_resolved
        else "unknown, since lambda_min is unresolved"
    )
    return [
        ("lambda_min", _with_error(row.lambda_min, row.lambda_min_error, row.lambda_min_resolved)),
        ("lambda_max", _with_error(row.lambda_max, row.lambda_max_error, True)),
        ("condition_number", condition),
        ("infinite width", limit),
    ]


def _spectrum_figures(row: Any) -> list[tuple[str, str]]:
    missed = (
        "" if row.meets_target else f", whose bounds miss the target of {row.target:g} somewhere"
    )
    return [
        *_kernel_figures(row),
        ("method", row.method + missed),
        ("seconds", f"{row.seconds:.3f}"),
        *(
            (name, getattr(row, name))
            for name in BY_PRODUCTS.values()
            if isinstance(getattr(row, name), str)
        ),
    ]


def _training_figures(row: Any) -> list[tuple[str, str]]:
    step = f"gradient flow, {row.steps} steps to a tolerance of {row.flow_tolerance:g}"
    if row.optimiser == SGD:
        step = f"{row.step_size:g}{_rate_unit(row)}, batch size {row.batch_size}"
    outcome = (
        f"{row.initial_loss:.6g} before training, {row.final_loss:.6g} after {row.steps} steps"
    )
    if row.status == "diverged":
        outcome = (
            f"{row.initial_loss:.6g} before training; overflowed within {row.steps} steps: the "
            "learning rate is too large"
        )
    return [
        *_kernel_figures(row),
        ("step size", step),
        ("loss", outcome),
        ("accuracy", f"{row.final_accuracy:.3f}"),
        ("seconds", f"{row.seconds:.3f}, of which training {row.training_seconds:.3f}"),
    ]


def _rate_unit(row: Any) -> str:
    unit = RATE_UNITS.get(row.learning_rate_unit, "")
    return f" ({row.learning_rate:g}{unit})" if unit else ""


def _with_error(value: float, error: float, resolved: bool) -> str:
    if not resolved:
        return (
            f"unresolved: at most {value + error:.2g}, which is the rounding error of this method"
        )
    return with_bound(value, error)


def _condition_number(row: Any) -> str:
    bound = ratio_bound(row.lambda_max, row.lambda_max_error, row.lambda_min, row.lambda_min_error)
    return known(row.condition_number, bound, SHOWN)


def _spectrum_table(good: Rows) -> Table:
    table, kinds, varying = _kinds(good, KIND, "greatest lambda_min of this sweep")
    for column in ("lambda_min", "width", "depth", "seed", "points", "unresolved"):
        table.add_column(column, justify="right")
    for names, rows in kinds:
        resolved = [row for row in rows if row["lambda_min_resolved"]]
        cells = ["unresolved", "", "", ""]
        if resolved:
            best = max(resolved, key=lambda row: row["lambda_min"])
            cells = [
                known(best["lambda_min"], best["lambda_min_error"], SHOWN),
                *(str(best[name]) for name in ("width", "depth", "seed")),
            ]
        table.add_row(
            *(names[name] for name in varying),
            *cells,
            str(len(rows)),
            str(len(rows) - len(resolved)),
        )
    return table


def _training_table(good: Rows) -> Table:
    table, kinds, varying = _kinds(good, KIND + TRAINING_SETTING, "smallest loss of this sweep")
    for column in ("final_loss", "width", "depth", "seed", "median loss", "points", "diverged"):
        table.add_column(column, justify="right")
    for names, rows in kinds:
        finished = [row for row in rows if row["status"] == "ok"]
        cells = ["diverged", "", "", "", ""]
        if finished:
            best = min(finished, key=lambda row: row["final_loss"])
            cells = [
                f"{best['final_loss']:.6g}",
                *(str(best[name]) for name in ("width", "depth", "seed")),
            ]
            cells.append(f"{np.median([row['final_loss'] for row in finished]):.6g}")
        table.add_row(
            *(names[name] for name in varying),
            *cells,
            str(len(rows)),
            str(len(rows) - len(finished)),
        )
    return table


def _kinds(
    rows: Rows, kind: list[str], title: str
) -> tuple[Table, list[tuple[dict[str, str], Rows]], list[str]]:
    """Splits rows into kinds that may be compared, activations in their usual order.

    Returns:
        A table with a column for each part of the kind that varies, the parts and the rows of each
        kind, and the names of the parts that vary.
    """
    groups: dict[tuple[Any, ...], Rows] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in kind), []).append(row)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    parts = dict(zip(kind, map(set, zip(*groups, strict=True)), strict=True))
    varying = [name for name in kind if name == "act" or len(parts[name]) > 1]
    for name in varying:
        table.add_column(name, justify="left")
    several_classes = len({classes_text(own[0]) for own in groups.values()}) > 1
    kinds = []
    for values in sorted(groups, key=lambda values: _order(dict(zip(kind, values, strict=True)))):
        names = {
            name: "—" if value is None else str(value)[: 12 if name == "data_fingerprint" else None]
            for name, value in zip(kind, values, strict=True)
        }
        if several_classes and (classes := classes_text(groups[values][0])):
            names["data_fingerprint"] += f" (classes {classes})"
        kinds.append((names, groups[values]))
    return table, kinds, varying


def _order(kind: dict[str, Any]) -> tuple[Any, ...]:
    """The place of a kind: the activation decides last, and what is missing comes last."""
    others = [(value is None, value) for name, value in kind.items() if name != "act"]
    return (*others, list(ACTIVATIONS).index(kind["act"]))


def classes_text(row: dict[str, Any]) -> str:
    """The two labels that a row's data keep; nothing where they are not labels."""
    classes = row["data_classes"]
    return "" if classes is None else " and ".join(map(str, classes))


def _missed_targets(good: Rows) -> str | None:
    missed = sum(not row["meets_target"] for row in good)
    if not missed:
        return None
    return (
        f"{missed} of {len(good)} spectra miss the error target task.target (column meets_target)"
    )


def _divergences(good: Rows) -> str | None:
    diverged = sum(row["status"] == "diverged" for row in good)
    return (
        f"{diverged} of {len(good)} runs diverged: their rows hold the history until the loss "
        "overflowed"
        if diverged
        else None
    )


def spectrum_summary() -> Summary:
    """How spectra are shown: the greatest λ_min of each kind."""
    return Summary([*_COMMON, *FILES], _spectrum_figures, _spectrum_table, _missed_targets)


def training_summary() -> Summary:
    """How runs are shown: the smallest loss of each kind."""
    own = [
        "step_size",
        "steps",
        "initial_loss",
        "final_loss",
        "final_accuracy",
        "training_seconds",
    ]
    columns = [*_COMMON, *TRAINING_SETTING, *own]
    return Summary(columns, _training_figures, _training_table, _divergences)


def summary_of(task: str) -> Summary:
    """How the terminal shows the rows of this task."""
    return resolve(TASKS[task].summary)()
