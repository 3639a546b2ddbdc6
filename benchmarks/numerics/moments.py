"""Writes the moments from which the chapter on phases has its critical lines.

    python -m benchmarks.numerics.moments

E[σ(√q z)²] and E[σ'(√q z)²] of every activation, on a logarithmic grid of variances q.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from ntk_sweep.analysis.chapters.phases.mean_field import MOMENTS
from ntk_sweep.limit.variance_moments import variance_moments
from ntk_sweep.network.activations.registry import ACTIVATIONS

LEAST, GREATEST, PER_DECADE = -10, 10, 5
"""Powers of ten, and variances a decade: between these a spline is right to 2e-5."""

DIGITS = 10


def moments() -> pd.DataFrame:
    """A row for each activation and variance."""
    count = PER_DECADE * (GREATEST - LEAST) + 1
    variances = np.logspace(LEAST, GREATEST, count)
    parts = []
    for act in ACTIVATIONS:
        found = variance_moments(act, torch.as_tensor(variances))
        columns = {"act": act, "variance": variances, "square": found.square, "slope": found.slope}
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts)


def main() -> None:
    """Writes the file."""
    moments().to_csv(MOMENTS, index=False, float_format=f"%.{DIGITS}g", lineterminator="\n")


if __name__ == "__main__":
    main()
