"""The names of the methods for eigenvalues, apart from the methods: settings need no torch."""

from __future__ import annotations

METHODS = ("auto", "eigh", "compensated", "double-double", "jacobian")
"""Of `ntk_sweep.spectrum.spectrum.ntk_spectrum`: the whole spectrum."""

EXTREME = "extreme"
"""Of `ntk_sweep.spectrum.extreme_eigenvalues`: the least and the greatest eigenvalue alone."""
