"""Sweeps of neural tangent kernel spectra over fully connected networks.

The public names are loaded when first used, so that reading results needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ntk_sweep.kernel import empirical_ntk
    from ntk_sweep.limit import limit_ntk, limit_spectrum
    from ntk_sweep.network import Network
    from ntk_sweep.spectrum import Spectrum, ntk_spectrum
    from ntk_sweep.store import load_results

__all__ = [
    "Network",
    "Spectrum",
    "empirical_ntk",
    "limit_ntk",
    "limit_spectrum",
    "load_results",
    "ntk_spectrum",
]

_HOME = {
    "Network": "ntk_sweep.network",
    "Spectrum": "ntk_sweep.spectrum",
    "empirical_ntk": "ntk_sweep.kernel",
    "limit_ntk": "ntk_sweep.limit",
    "limit_spectrum": "ntk_sweep.limit",
    "load_results": "ntk_sweep.store",
    "ntk_spectrum": "ntk_sweep.spectrum",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ntk_sweep' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
