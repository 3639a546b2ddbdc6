"""Sweeps of neural tangent kernel spectra over fully connected networks.

The public names are loaded when first used, so that reading results needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ntk_sweep._version import __version__ as __version__

if TYPE_CHECKING:
    from ntk_sweep.analysis.notebook import chapter
    from ntk_sweep.cli.notebook import sweep
    from ntk_sweep.kernel.conjugate import conjugate_kernel
    from ntk_sweep.kernel.empirical import empirical_ntk
    from ntk_sweep.kernel.empirical_kernels import empirical_kernels
    from ntk_sweep.limit.critical_line import critical_point
    from ntk_sweep.limit.kernel import limit_kernels, limit_nngp, limit_ntk, limit_spectrum
    from ntk_sweep.limit.mean_field import mean_field
    from ntk_sweep.network.fully_connected import Network
    from ntk_sweep.spectrum.kernel_regression import KernelRegression
    from ntk_sweep.spectrum.spectrum import Spectrum, ntk_spectrum
    from ntk_sweep.store.reading import load_array, load_results

__all__ = [
    "KernelRegression",
    "Network",
    "Spectrum",
    "chapter",
    "conjugate_kernel",
    "critical_point",
    "empirical_kernels",
    "empirical_ntk",
    "limit_kernels",
    "limit_nngp",
    "limit_ntk",
    "limit_spectrum",
    "load_array",
    "load_results",
    "mean_field",
    "ntk_spectrum",
    "sweep",
]

_HOME = {
    "KernelRegression": "ntk_sweep.spectrum.kernel_regression",
    "Network": "ntk_sweep.network.fully_connected",
    "Spectrum": "ntk_sweep.spectrum.spectrum",
    "chapter": "ntk_sweep.analysis.notebook",
    "conjugate_kernel": "ntk_sweep.kernel.conjugate",
    "critical_point": "ntk_sweep.limit.critical_line",
    "empirical_kernels": "ntk_sweep.kernel.empirical_kernels",
    "empirical_ntk": "ntk_sweep.kernel.empirical",
    "limit_kernels": "ntk_sweep.limit.kernel",
    "limit_nngp": "ntk_sweep.limit.kernel",
    "limit_ntk": "ntk_sweep.limit.kernel",
    "limit_spectrum": "ntk_sweep.limit.kernel",
    "load_array": "ntk_sweep.store.reading",
    "load_results": "ntk_sweep.store.reading",
    "mean_field": "ntk_sweep.limit.mean_field",
    "ntk_spectrum": "ntk_sweep.spectrum.spectrum",
    "sweep": "ntk_sweep.cli.notebook",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ntk_sweep' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
