"""Spectra in numbers, and the thesis's networks beside its values."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ntk_sweep.analysis.rows import thesis
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.networks import of_thesis
from ntk_sweep.analysis.statistics.decay import Decay, exponential
from ntk_sweep.store.columns import CELL


def spectrum(eigenvalues: np.ndarray, errors: np.ndarray) -> pd.DataFrame:
    """A spectrum in numbers, the greatest eigenvalue first.

    The columns are `index` from 1, `eigenvalue`, `error` and `resolved`.

    An eigenvalue is resolved if it exceeds its own error bound; of the others only the upper bound
    eigenvalue + error is a fact.
    """
    order = np.argsort(-np.asarray(eigenvalues, dtype=float), kind="stable")
    value, error = (
        np.asarray(eigenvalues, dtype=float)[order],
        np.asarray(errors, dtype=float)[order],
    )
    return pd.DataFrame(
        {
            "index": np.arange(1, len(value) + 1),
            "eigenvalue": value,
            "error": error,
            "resolved": value > error,
        }
    )


def decay(points: pd.DataFrame) -> Decay | None:
    """The exponential decay of the resolved eigenvalues, as the thesis calls it.

    Without the greatest, which stands apart: it belongs to the mean of the kernel.

    Args:
        points: From `spectrum`.
    """
    fitted = points[points["resolved"] & (points["index"] > 1)]
    return exponential(fitted["index"].to_numpy(), fitted["eigenvalue"].to_numpy())


def comparison(group: Group, cells: pd.DataFrame) -> pd.DataFrame:
    """The cells of the networks of Figures 1 to 4, with the column `thesis_lambda_min`.

    It is empty where the thesis's values do not apply.
    """
    own = of_thesis(cells)
    known = {
        (network.act, network.width, network.depth): network.lambda_min
        for network in thesis.NETWORKS
    }
    reported = [
        " or ".join(f"{value:.4g}" for value in known[tuple(cell)])
        for cell in own[CELL].itertuples(index=False)
    ]
    return own.assign(thesis_lambda_min=reported if thesis.applies(group) else "").reset_index(
        drop=True
    )
