"""Saved kernels for the page, each beside the kernel that is predicted from infinite width."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.page.packing import BOUND_STEPS, SPECTRUM_STEPS, Packer
from ntk_sweep.analysis.rows.inputs import find
from ntk_sweep.analysis.rows.networks import exemplars
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.errors import StoreError
from ntk_sweep.store.columns import CELL

MOST_ENTRIES = 280_000
"""Of kernels, limits and differences in a page, of all groups together; a symmetric matrix is kept
as its upper triangle. Two networks of five seeds at N = 200, a third of a megabyte."""

MOST_SIDE = 300
"""Pixels of a kernel image; larger kernels are shown by every k-th input."""

SHADES = 1024
"""Of a kernel."""

DIFFERENCE_SHADES = 256
"""Of its difference from the limit, which has colours of its own; more where the kernel, the sum of
both, would have fewer than `SHADES`."""

LIMIT_SHADES = 65_536
"""Of a limit: its steps vanish in the sum."""


class Limit(NamedTuple):
    """Θ̄.

    Attributes:
        kernel: (N, N).
        values: Its eigenvalues, the greatest first; 0 where they do not exceed their bounds.
        errors: Bounds of their errors.
    """

    kernel: np.ndarray
    values: np.ndarray
    errors: np.ndarray


def kernels(
    study: Study, index: pd.DataFrame, packer: Packer, share: float = 1.0
) -> list[dict[str, Any]]:
    """Saved kernels, those of the thesis's networks first, as many as fit.

    Unreadable ones are left out. Where the inputs are found, Θ - Θ̄ stands beside Θ, and the
    eigenvalues of Θ̄ where all inputs are shown.

    Args:
        study: The rows.
        index: The cells, in their order.
        packer: Takes the numbers.
        share: This group's part of what a page may hold.
    """
    saved = study.group.ok[study.group.ok["kernel_file"].notna()]
    if saved.empty:
        return []
    ordered = pd.concat([exemplars(saved), saved]).drop_duplicates("key")
    budget, shown = int(share * MOST_ENTRIES), []
    x = _inputs(study)
    limits: dict[tuple[object, ...], Limit | None] = {}  # seeds share theirs
    stored: dict[tuple[object, ...], dict[str, Any]] = {}
    for row in ordered.to_dict("records"):
        try:
            theta = study.store.load_kernel(row["kernel_file"])
        except StoreError:
            continue
        step = -(-len(theta) // MOST_SIDE)
        theta = theta[::step, ::step]
        cell = tuple(row[name] for name in CELL)
        if x is not None and cell not in limits:
            limits[cell] = _limit(x[::step], row)
        limit = limits.get(cell)
        budget -= theta.size * (1 if limit is None or cell in stored else 2) // 2
        if budget < 0:
            break
        one: dict[str, Any] = {
            "cell": int((index == [*cell]).all(axis=1).to_numpy().argmax()),
            "seed": int(row["seed"]),
            "side": len(theta),
            "step": step,
        }
        if limit is None:
            one["kernel"] = _shades(theta, SHADES, packer)
        else:  # Θ is their sum
            if cell not in stored:
                stored[cell] = _stored(limit, step, packer)
            one["limit"] = stored[cell]
            difference = theta - limit.kernel
            finer = SHADES * np.ptp(difference) / (np.ptp(theta) or 1.0)
            most = int(np.clip(finer, DIFFERENCE_SHADES, LIMIT_SHADES))
            one["difference"] = _shades(difference, most, packer)
        shown.append(one)
    return shown


def _stored(limit: Limit, step: int, packer: Packer) -> dict[str, Any]:
    """Θ̄ as the page keeps it, with its eigenvalues if all inputs are shown."""
    shades = _shades(limit.kernel, LIMIT_SHADES, packer)
    if step > 1:
        return shades
    return shades | {
        "values": packer.add_logs(limit.values[None], SPECTRUM_STEPS),
        "errors": packer.add_logs(limit.errors[None], BOUND_STEPS, up=True),
    }


def _shades(matrix: np.ndarray, most: int, packer: Packer) -> dict[str, Any]:
    """The upper triangle of a symmetric matrix, row by row, in shades between its ends."""
    least, greatest = float(matrix.min()), float(matrix.max())
    triangle = matrix[np.triu_indices(len(matrix))]
    shades = np.round((triangle - least) / ((greatest - least) or 1.0) * (most - 1))
    return {"least": least, "greatest": greatest, "most": most - 1, "shades": packer.add(shades)}


def _inputs(study: Study) -> np.ndarray | None:
    """The inputs of the rows; None where they are not found."""
    try:
        return find(study.group, study.images).x
    except AnalysisError:
        return None


def _limit(x: np.ndarray, row: dict[str, Any]) -> Limit | None:
    """Θ̄ of the network of a row; None where it overflows.

    No row holds it: it is computed again. Nothing else in the analysis loads torch.
    """
    from ntk_sweep import limit_kernels

    names = ("width", "depth", "parametrisation", "weight_std")
    bias = None if pd.isna(row["bias_std"]) else row["bias_std"]
    try:
        limit = limit_kernels(
            x, row["act"], bias_std=bias, **{name: row[name] for name in names}
        ).ntk
    except ValueError:
        return None
    kernel = limit.kernel.numpy()
    values = np.linalg.eigvalsh(kernel)[::-1]
    # As `ntk_sweep.limit.kernel.limit_kernel_spectrum` bounds them. What lies below is rounding,
    # which another machine does otherwise.
    error = limit.error_norm + np.finfo(float).eps * len(values) * values[0]
    return Limit(kernel, np.where(values > error, values, 0.0), np.full(len(values), error))
