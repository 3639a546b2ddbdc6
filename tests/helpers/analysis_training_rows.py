"""Hand-made training rows for the tests of the analysis."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.grouping import groups
from ntk_sweep.analysis.rows.runs import Runs, runs
from ntk_sweep.store.columns import GROUP, schema
from ntk_sweep.store.store import Store
from ntk_sweep.store.writer import PartWriter
from tests.helpers.analysis_rows import row

SETTING = (
    "learning_rate",
    "learning_rate_unit",
    "batch_size",
    "epochs",
    "shuffle",
    "record_kernel_every",
    "optimiser",
    "centre_outputs",
    "stop_at_loss",
    "flow_time",
    "flow_tolerance",
)


def run(
    act: str = "relu",
    width: int = 100,
    depth: int = 3,
    seed: int = 0,
    losses: list[float] | np.ndarray = (1.0, 0.5, 0.25),
    **changes: Any,
) -> dict[str, Any]:
    """A run with the given losses; it diverged where they are not finite. Predictions equal the
    losses unless given."""
    history = [float(loss) for loss in losses]
    diverged = not np.isfinite(history).all()
    epochs = changes.pop("epochs", len(history) - 1)
    predicted = history if not diverged else [1.0] * (epochs + 1)
    good = row(act, width, depth, seed, **changes)
    rate, unit = good.get("learning_rate", 1e-3), good.get("learning_rate_unit", "absolute")
    batch = good.get("batch_size", 1)
    per_epoch = -(-good["n_samples"] // batch)
    values = {
        "task": "training",
        "learning_rate": rate,
        "learning_rate_unit": unit,
        "step_size": rate if unit == "absolute" else rate / good["lambda_max"],
        "batch_size": batch,
        "epochs": epochs,
        "shuffle": True,
        "steps": per_epoch * (len(history) - 1),
        "steps_per_epoch": per_epoch,
        "losses": history,
        "running_losses": history[1:],
        "accuracies": [0.5 + 0.5 * place / max(epochs, 1) for place in range(len(history))],
        "initial_loss": history[0],
        "final_loss": history[-1],
        "final_accuracy": 1.0,
        "flow_losses": predicted,
        "descent_losses": predicted,
        "linearised_losses": predicted,
        "training_seconds": 1.0,
        "optimiser": "sgd",
        "centre_outputs": False,
        "status": "diverged" if diverged else "ok",
    }
    result = good | values | changes
    result["key"] = good["key"] + "-".join(str(result.get(name)) for name in SETTING)
    return result


def recorded(
    act: str = "relu",
    width: int = 100,
    depth: int = 3,
    seed: int = 0,
    change: float = 0.1,
    **changes: Any,
) -> dict[str, Any]:
    """A run of two epochs that recorded its kernel before and after, changed by `change`; the rest
    doubles or halves."""
    kernels = {
        "record_kernel_every": 2,
        "kernel_epochs": [0, 2],
        "kernel_changes": [0.0, change],
        "kernel_lambda_min": [1.0, 0.5],
        "kernel_lambda_min_errors": [1e-9, 1e-9],
        "kernel_lambda_max": [10.0, 20.0],
        "kernel_alignments": [0.5, 0.6],
    }
    return run(act, width, depth, seed, **(kernels | changes))


def flow(
    times: Sequence[float],
    losses: Sequence[float],
    act: str = "relu",
    width: int = 100,
    depth: int = 3,
    seed: int = 0,
    **changes: Any,
) -> dict[str, Any]:
    """A run along the gradient flow with the given losses, which the initial kernel predicts."""
    values = {
        "optimiser": "flow",
        "flow_tolerance": 1e-3,
        "flow_steps_missed": 0,
        "times": [float(time) for time in times],
        "local_rates": [1.0] * len(times),
        "kernel_drifts": list(np.linspace(0, 0.25, len(times))),
    }
    unread = ("step_size", "learning_rate", "batch_size", "epochs", "shuffle")
    made = run(act, width, depth, seed, list(losses), **(values | changes))
    return made | dict.fromkeys((*unread, "learning_rate_unit"))


def probed(
    measured: Sequence[float] = (1.0, 0.5, 0.2),
    predicted: Sequence[float] = (1.0, 0.4, 0.1),
    of: Callable[..., dict[str, Any]] = run,
    **changes: Any,
) -> dict[str, Any]:
    """A run with these losses on its test inputs; Θ̄ resolves no regression."""
    values = {
        "n_test_samples": 10,
        "test_fingerprint": "a" * 64,
        "test_losses": list(measured),
        "test_accuracies": [0.5, 0.75, 0.9],
        "final_test_loss": measured[-1],
        "final_test_accuracy": 0.9,
        "flow_test_losses": list(predicted),
        "leave_one_out_loss": 0.05,
        "ntk_test_loss": 0.1,
        "ntk_test_accuracy": 0.95,
        "limit_test_loss": math.nan,
        "nngp_test_loss": 0.4,
    }
    return of(**(values | changes))


def failed_run(
    act: str = "relu", width: int = 100, depth: int = 3, seed: int = 0, **changes: Any
) -> dict[str, Any]:
    """A run without a result."""
    good = run(act, width, depth, seed, **changes)
    kept = {
        name: value
        for name, value in good.items()
        if name in (*GROUP, *SETTING) or not schema("training").field(name).nullable
    }
    nothing = dict.fromkeys(schema("training").names)
    return nothing | kept | {"status": "failed", "error": "Traceback\nRuntimeError: no"}


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as `load_results` gives them."""
    return pa.Table.from_pylist(rows, schema=schema("training")).to_pandas()


def group(rows: list[dict[str, Any]], results: str = "results") -> Group:
    """Rows as the only group of a store."""
    (only,) = groups(frame(rows), results)
    return only


def only_runs(rows: list[dict[str, Any]]) -> Runs:
    """Rows as the runs of the only setting of the only group."""
    (only,) = runs(group(rows))
    return only


def store(folder: Path, rows: list[dict[str, Any]]) -> str:
    """Rows as a results folder."""
    results = Store(str(folder), "training")
    with results.open_session():
        PartWriter(results).commit(rows)
    return str(folder)


def sweep(
    widths: tuple[int, ...] = (50, 100, 300, 1000),
    depths: tuple[int, ...] = (2, 3, 5),
    seeds: int = 3,
    epochs: int = 30,
    acts: tuple[str, ...] = ("relu", "elu", "lrelu", "sigmoid"),
    record: bool = False,
    **changes: Any,
) -> list[dict[str, Any]]:
    """Plausible runs: noisy decays whose rate follows λ_max and alignment more than λ_min; the
    fastest ReLU networks diverge.

    The predictions are smooth curves near the measured ones, and sigmoid networks learn slowly;
    however many epochs, most reach 0.1.
    """
    rng = np.random.default_rng(1)
    time = 60 * np.arange(epochs + 1) / epochs
    rows = []
    for act in acts:
        fast, least = {"relu": (1.0, 1.0), "elu": (1.6, 0.2), "lrelu": (1.0, 1.0)}.get(
            act, (0.05, 1e-8)
        )
        for width in widths:
            for depth in depths:
                for seed in range(seeds):
                    noise = np.exp(rng.normal(scale=0.15, size=4))
                    lambda_max = 2e3 * fast * width**0.3 * depth * noise[0]
                    lambda_min = least * width**0.5 / depth**2 * noise[1]
                    align = 0.5 + 0.01 * depth + 0.02 * rng.random()
                    rate = 0.1 * lambda_max**0.5 / 60 * noise[2]
                    slow = 0.3 * rate
                    start = 0.4 + noise[3]
                    smooth = start * (
                        0.7 * np.exp(-4 * rate * time)
                        + 0.25 * np.exp(-slow * time)
                        + 0.01 / (1 + time)
                    )
                    jitter = np.exp(np.r_[0, rng.normal(scale=0.12, size=epochs)])
                    losses = smooth * jitter
                    if act == "relu" and lambda_max > 5e4 and seed == 0:
                        losses = np.r_[losses[: epochs // 3], 1e4, 1e30, np.inf]
                    values: dict[str, Any] = {
                        "lambda_max": lambda_max,
                        "condition_number": lambda_max / lambda_min,
                        "trace": 1.3 * lambda_max,
                        "alignment": align,
                        "centred_alignment": align + 0.2,
                        "class_contrast": 0.02 * noise[1],
                        "effective_rank": 1.2 + 0.2 * noise[0],
                        "linearised_losses": list(smooth * 1.05),
                        "descent_losses": list(
                            smooth[0] * np.exp(-3.5 * rate * time) * 0.8
                            + 0.2 * start * np.exp(-slow * time)
                        ),
                        "flow_losses": list(
                            smooth[0] * np.exp(-3.0 * rate * time) * 0.8
                            + 0.2 * start * np.exp(-slow * time)
                        ),
                        "accuracies": list(np.clip(1 - losses, 0.5, 1.0)),
                    }
                    values["accuracies"] = values["accuracies"][: len(losses)]
                    if record:
                        at = np.arange(0, epochs + 1, max(epochs // 6, 1))
                        at = at[at < len(losses)]
                        move = (3.0 / width**0.4) * noise[0] * (1 - np.exp(-at / 10))
                        values |= {
                            "record_kernel_every": max(epochs // 6, 1),
                            "kernel_epochs": [int(e) for e in at],
                            "kernel_changes": list(move),
                            "kernel_lambda_min": list(lambda_min * (1 + move)),
                            "kernel_lambda_min_errors": [1e-9] * len(at),
                            "kernel_lambda_max": list(lambda_max * (1 - 0.4 * move)),
                            "kernel_alignments": list(align + 0.1 * move),
                        }
                    rows.append(
                        run(
                            act,
                            width,
                            depth,
                            seed,
                            losses,
                            epochs=epochs,
                            lambda_min=lambda_min,
                            **(values | changes),
                        )
                    )
    return rows


def table_row(table, *beginning):
    """The row of a table that begins so."""
    (found,) = [row for row in table.rows if list(row[: len(beginning)]) == list(beginning)]
    return found


EDGES = {
    "one run": [run()],
    "one epoch": [run(losses=[1.0, 0.1])],
    "all diverged": [run(losses=[1.0, math.inf], epochs=5)],
    "at once": [
        run(losses=[math.nan], epochs=5, initial_loss=math.nan),
        run(seed=1, losses=[1.0] * 6),
    ],
    "zero loss": [run(losses=[1.0, 0.0, 0.0])],
    "no predictions": [run(flow_losses=None, descent_losses=None, linearised_losses=None)],
    "infinite predictions": [run(descent_losses=[1.0, 1e200, math.inf], seed=s) for s in (0, 1)],
    "eight networks": [
        run(act, width, seed=s)
        for act in ("relu", "elu", "odd", "sigmoid")
        for width in (10, 20)
        for s in (0, 1)
    ],
}
"""Runs at the edges of what a chapter draws."""
