"""The two ends of the spectrum of an infinite-width kernel.

Dimension letter in the annotations: N inputs.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg.lapack import dpotrs
from scipy.sparse.linalg import ArpackError
from threadpoolctl import threadpool_limits
from torch import Tensor

from ntk_sweep.limit.kernel import limit_kernel_spectrum, solver_error
from ntk_sweep.limit.recursion import LimitKernel
from ntk_sweep.numerics.thresholds import LIMIT_SPECTRUM
from ntk_sweep.spectrum.extreme_eigenvalues import greatest_eigenvalue
from ntk_sweep.spectrum.extremes import Extremes
from ntk_sweep.spectrum.lowest_eigenvalue import (
    LANCZOS,
    NoBoundError,
    cholesky,
    factor,
    factorisation_error,
    greatest_vectors,
    lowest_vectors,
)

SHARE = 0.1
"""Of the error that Lanczos's vector may have. Tuned on the images of `benchmarks.sweep.sizes`."""


def limit_extremes(limit: LimitKernel) -> Extremes:
    """λ_min and λ_max of Θ̄, or of K; of many inputs without the rest of the spectrum.

    Lanczos's method finds them, for λ_min on the inverse by a Cholesky factor. That no eigenvalue
    is smaller a second factorisation shows, as in `ntk_sweep.spectrum.extreme_eigenvalues`. Where
    the bounds would be wider than those of `limit_kernel_spectrum`, they are its own.

    Args:
        limit: A kernel of one set of inputs.
    """
    found = None
    if len(limit.kernel) > LIMIT_SPECTRUM:
        # SciPy's BLAS has threads of its own
        with threadpool_limits(torch.get_num_threads(), user_api="blas"):
            found = _by_lanczos(limit.kernel)
    if found is None:
        return Extremes.of(limit_kernel_spectrum(limit))
    least, least_error, greatest, greatest_error = found
    own = limit.error_norm
    return Extremes(max(least, 0.0), own + least_error, greatest, own + greatest_error)


def _by_lanczos(kernel: Float[Tensor, "N N"]) -> tuple[float, float, float, float] | None:
    """λ_min, λ_max and bounds of what the solver errs by; None where these would be too wide."""
    rounding = factorisation_error(kernel)
    try:
        greatest, error = greatest_eigenvalue(kernel, greatest_vectors(kernel, 1)[:, 0])
        allowed = solver_error(len(kernel), greatest)
        if max(error, 2 * rounding) > allowed:
            return None
        least = _least(kernel, rounding)
    except (NoBoundError, ArpackError):
        return None
    for margin in (rounding, allowed - rounding):
        # no eigenvalue is smaller than that
        if cholesky(kernel, margin - least, 1) is not None:
            return least, margin + rounding, greatest, error
    return None


def _least(kernel: Float[Tensor, "N N"], rounding: float) -> float:
    """λ_min as a Rayleigh quotient, whose error is below the rounding of a factorisation."""
    shift, lower = factor(kernel, rounding)
    start = torch.from_numpy(dpotrs(lower.numpy(), np.ones(len(kernel)), lower=1)[0])
    # an upper bound, which is no more than some hundred times too large
    upper = max(float(start.sum() / (start @ start)) - shift, rounding)
    # its square is what an eigenvector does to a Rayleigh quotient
    tolerance = max(SHARE * math.sqrt(rounding / upper), LANCZOS)
    vector = lowest_vectors(kernel, lower, 1, tolerance)[:, 0]
    return float(vector @ (kernel @ vector) / (vector @ vector))
