"""The names of the methods for eigenvalues, apart from the methods: settings need no torch."""

from __future__ import annotations

import importlib.util

from ntk_sweep.numerics.thresholds import CERTIFIED_SAMPLES

METHODS = ("auto", "eigh", "compensated", "double-double", "jacobian")
"""Of `ntk_sweep.spectrum.spectrum.ntk_spectrum`: the whole spectrum, by products in float64."""

CERTIFIED = "certified"
"""Of `ntk_sweep.spectrum.certified`: the whole spectrum, with bounds that are theorems."""

EXTREME = "extreme"
"""Of `ntk_sweep.spectrum.extreme_eigenvalues`: the least and the greatest eigenvalue alone."""


def flint_fault() -> str | None:
    """Why `CERTIFIED` cannot be chosen here; None if it can."""
    if importlib.util.find_spec("flint") is not None:
        return None
    return (
        "needs python-flint, which is not installed: pip install 'ntk-sweep[certified]', or take "
        "another method, such as auto"
    )


def samples_fault(n_samples: int) -> str | None:
    """Why `CERTIFIED` does not serve so many inputs; None if it does."""
    if n_samples <= CERTIFIED_SAMPLES:
        return None
    return (
        f"serves up to {CERTIFIED_SAMPLES} inputs, since ball arithmetic is slow, but there are "
        f"{n_samples}: take fewer, or another method"
    )
