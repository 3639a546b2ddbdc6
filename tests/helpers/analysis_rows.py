"""Hand-made rows for the tests of the analysis."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.grouping import groups
from ntk_sweep.store.columns import schema
from ntk_sweep.store.store import Store
from ntk_sweep.store.writer import PartWriter

N = 6


def row(
    act: str = "relu",
    width: int = 100,
    depth: int = 3,
    seed: int = 0,
    lambda_min: float = 1.0,
    **changes: Any,
) -> dict[str, Any]:
    """A good row; with `lambda_min` at or below the error of 1e-9 an unresolved one."""
    error = changes.pop("error_bound", 1e-9)
    values = {
        "task": "spectrum",
        "act": act,
        "width": width,
        "depth": depth,
        "seed": seed,
        "parametrisation": "thesis",
        "weight_std": 1.0,
        "bias_std": 1.0,
        "dtype": "float64",
        "numerics_version": 2,
        "data": "fashion_mnist",
        "data_fingerprint": "f" * 64,
        "data_classes": [0, 9],
        "n_samples": 200,
        "n_inputs": 784,
        "eigenvalues": list(lambda_min * 10.0 ** np.arange(N)),
        "eigenvalue_errors": [error] * N,
        "lambda_min": lambda_min,
        "lambda_min_error": error,
        "lambda_min_resolved": lambda_min > error,
        "lambda_max": lambda_min * 1e5,
        "lambda_max_error": error,
        "condition_number": 1e5 if lambda_min > error else None,
        "trace": lambda_min * 111111.0,
        "method": "eigh",
        "target": 1e-9,
        "meets_target": lambda_min > error,
        "limit_lambda_min": 2 * lambda_min,
        "limit_lambda_min_error": error,
        "limit_distance": width**-0.5,
        "effective_rank": 1.5,
        "alignment": 0.5,
        "centred_alignment": 0.8,
        "class_contrast": 0.01,
        "target_share_1": 1e-5,
        "target_share_2": 0.8,
        "target_share_5": 0.9,
        "target_share_10": 0.95,
        "layer_trace_shares": [1 / depth] * depth,
        "status": "ok",
        "seconds": 0.5,
        "finished_at": datetime(2024, 7, 1, 12, tzinfo=UTC),
        "device": "cpu",
        "host": "a",
        "version": "0.1.0",
        "torch_version": "2.0",
        "python_version": "3.11",
        "git_commit": "c" * 40,
    }
    values |= changes
    identity = [
        str(values[name])
        for name in (
            "act",
            "width",
            "depth",
            "seed",
            "parametrisation",
            "weight_std",
            "bias_std",
            "dtype",
            "data_fingerprint",
        )
    ]
    return {"key": hashlib.sha256(" ".join(identity).encode()).hexdigest(), **values}


def failed(
    act: str = "relu",
    width: int = 100,
    depth: int = 3,
    seed: int = 0,
    error: str = "Traceback\nRuntimeError: no",
    **changes: Any,
) -> dict[str, Any]:
    """A row without a result."""
    good = row(act, width, depth, seed, **changes)
    names = schema("spectrum").names
    computed = names[names.index("n_test_samples") + 1 : names.index("status")]
    return good | dict.fromkeys(computed) | {"status": "failed", "error": error}


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as `load_results` gives them."""
    return pa.Table.from_pylist(rows, schema=schema("spectrum")).to_pandas()


def group(rows: list[dict[str, Any]], results: str = "results") -> Group:
    """Rows as the only group of a store."""
    (only,) = groups(frame(rows), results)
    return only


def store(folder: Path, rows: list[dict[str, Any]]) -> str:
    """Rows as a results folder."""
    results = Store(str(folder), "spectrum")
    with results.open_session():
        PartWriter(results).commit(rows)
    return str(folder)


def grid(seeds: int = 2) -> list[dict[str, Any]]:
    """A small sweep: two activations, irregular widths, one cell missing, one unresolved, one point
    failed."""
    rows = []
    for act, scale in (("relu", 1.0), ("sigmoid", 1e-7)):
        for width in (30, 75, 400):
            for depth in (2, 3):
                for seed in range(seeds):
                    rows.append(row(act, width, depth, seed, scale * width / depth * (1 + seed)))
    rows = [
        r
        for r in rows
        if (r["act"], r["width"], r["depth"]) not in (("relu", 75, 2), ("sigmoid", 30, 3))
    ]
    return [*rows, row("sigmoid", 30, 3, 0, 1e-12), failed("relu", 400, 3, 9)]
