"""Whether the steps of a run are stable where training begins."""

from __future__ import annotations

import numpy as np
import pandas as pd


def step_over_limit(rows: pd.DataFrame) -> pd.Series:
    """A lower bound of the step in units of the longest stable one of the linearised network.

    A step on batch b multiplies the residual on it by I - (2η/B) Θ_bb: it is no expansion where
    η λ_max(Θ_bb) ≤ B. With single samples the greatest η Θ_ii is at least the mean, η tr Θ / N;
    with all samples it is η λ_max / N. Above 1 a run begins beyond linear stability. At most 1, it
    need not be stable: some samples may lie above the mean.

    Args:
        rows: Training runs.

    Returns:
        One number a run, of the kernel at initialisation; NaN for batches of some samples, whose
        own kernel the rows do not hold.
    """
    n, batch = rows["n_samples"], rows["batch_size"]
    whole = (rows["step_size"] * rows["lambda_max"] / n).where(batch >= n)
    single = (rows["step_size"] * rows["trace"] / n).where(batch == 1)
    return pd.Series(np.fmax(whole, single), rows.index).astype(float)
