"""Protects what bounds are worth: they cover, and do not exceed errors by far."""

from __future__ import annotations

import pytest
import torch

from ntk_sweep.network.fully_connected import Network
from ntk_sweep.spectrum.spectrum import METHODS, ntk_spectrum
from tests.helpers.exact import absolute_errors, exact_spectrum

UNIT = torch.finfo(torch.float64).eps / 2


def inputs(kind: str, count: int = 7, features: int = 5) -> torch.Tensor:
    x = torch.randn(
        count, features, dtype=torch.float64, generator=torch.Generator().manual_seed(11)
    )
    scales = {
        "offset 1e3": x + 1e3,
        "pixels": (x.abs() * 100).floor().clamp(max=255),
        "times 1e4": x * 1e4,
        "rows of all sizes": x * 10.0 ** torch.linspace(-3, 4, count).double()[:, None],
        "features of all sizes": x * 10.0 ** torch.linspace(-4, 4, features).double(),
        "equal": x[torch.arange(count) % 2],
    }
    return scales[kind]


@pytest.mark.parametrize(
    ("kind", "activation", "parametrisation", "most"),
    [
        ("offset 1e3", "gelu", "standard", 1e6),
        ("pixels", "silu", "thesis", 1e4),
        ("times 1e4", "tanh", "standard", 1e6),
        ("features of all sizes", "erf", "ntk", 1e10),
        ("rows of all sizes", "gelu", "standard", 1e5),
        ("equal", "sigmoid", "thesis", None),
    ],
)
def test_bounds_follow_units_that_are_not_saturated(kind, activation, parametrisation, most):
    """Errors of large pre-activations come through units that are not saturated, and only those.

    `most` is what bounds may exceed errors by, in the median; None where some eigenvalues are zero.
    """
    x = inputs(kind)
    network = Network.initialise(5, 9, 4, activation, parametrisation, seed=1)
    exact = exact_spectrum(network, x)
    for method in METHODS:
        spectrum = ntk_spectrum(network, x, method=method)
        errors = absolute_errors(spectrum.eigenvalues, exact)
        assert (errors <= spectrum.errors).all(), (method, errors / spectrum.errors)
        if method == "auto" and most is not None:
            looseness = spectrum.errors / errors.maximum(UNIT * spectrum.eigenvalues)
            assert float(looseness.median()) < most
