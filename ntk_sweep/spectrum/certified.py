"""Eigenvalues of the empirical NTK whose error bounds are theorems, for up to 500 inputs.

Ball arithmetic from the weights on: no step rests on a model of rounding, and none on chance.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.ball_kernel import CERTIFIABLE, ball_kernel, precision
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.numerics.tensors import overflow
from ntk_sweep.spectrum.ball_enclosures import Enclosures, enclosures
from ntk_sweep.spectrum.methods import CERTIFIED, flint_fault, samples_fault

if TYPE_CHECKING:
    from flint import arb

BITS = (128, 256, 512, 1024)
"""Precisions, each tried where the last left an enclosure wide. The last resolves eigenvalues down
to some 1e-290 of the largest."""

NARROW = 2.0**-60
"""Relative width of an enclosure that is small beside the rounding of its middle to float64."""

COMPARED = 2.0**-80
"""Relative slack, for whoever compares with 25 digits of the same eigenvalue: their last digit."""


def certified_spectrum(
    network: Network, x: Float[Tensor, "N n_in"]
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"], Float[Tensor, "N N"]]:
    """Eigenvalues, ascending, bounds of their errors, and eigenvectors in the columns.

    An eigenvalue that is zero, or smaller than any precision here resolves, comes with a bound that
    is not below it.

    Args:
        network: The network, at its present weights.
        x: Inputs, as `Network.as_inputs` returns them.

    Raises:
        ModuleNotFoundError: python-flint is not installed.
        ValueError: There are too many inputs, the activation has no formula in balls, or an
            eigenvalue or its bound overflows float64.
    """
    check_certifiable(network.activation, len(x))
    found: Enclosures | None = None
    for bits in BITS:
        with precision(bits):
            start = None if found is None else found.vectors
            found = enclosures(ball_kernel(network, x), NARROW, start)
            if found.within(NARROW):
                break
    assert found is not None
    with precision(BITS[0]):
        pairs = [_rounded(*ends) for ends in zip(found.lower, found.upper, strict=True)]
        vectors = torch.tensor(
            [[float(entry) for entry in row] for row in found.vectors.table()], dtype=torch.float64
        )
    values, errors = torch.tensor(pairs, dtype=torch.float64).T.contiguous()
    return values, errors, vectors


def check_certifiable(activation: str, n_samples: int) -> None:
    """Raises a ValueError or a ModuleNotFoundError if the method cannot serve."""
    if activation not in CERTIFIABLE:
        raise ValueError(
            f"method {CERTIFIED!r} has no formula in balls for the activation {activation!r}, only "
            f"for {', '.join(CERTIFIABLE)}: take another method"
        )
    if fault := samples_fault(n_samples):
        raise ValueError(f"method {CERTIFIED!r} {fault}")
    if fault := flint_fault():
        raise ModuleNotFoundError(f"method {CERTIFIED!r} {fault}")


def _rounded(lower: arb, upper: arb) -> tuple[float, float]:
    """A float64 between the ends, 0 where it may be zero, and its distance to either at most."""
    from flint import arb

    value = float(((lower + upper) / 2).mid()) if lower > 0 else 0.0
    distance = max([(upper - arb(value)).upper(), (arb(value) - lower).upper()])
    distance = (distance + arb(value) * COMPARED).upper()
    if not distance < 1e308 or not math.isfinite(value):
        raise overflow("the spectrum", "an eigenvalue", torch.float64)
    error = max(float(distance.mid()), 0.0)
    while not arb(error) >= distance:
        error = math.nextafter(error, math.inf)
    return value, error
