"""Eigenvalues of the empirical NTK, each with an error bound."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel import empirical_ntk
from ntk_sweep.network import Network


@dataclass(frozen=True)
class Spectrum:
    """All eigenvalues of a kernel.

    Attributes:
        eigenvalues: Ascending, (N,), float64, none negative.
        errors: A bound of the absolute error of each eigenvalue, (N,), float64.
        method: How they were obtained.
    """

    eigenvalues: Float[Tensor, " N"]
    errors: Float[Tensor, " N"]
    method: str

    @property
    def resolved(self) -> Tensor:
        """Which eigenvalues exceed their own error bound, (N,); the others may be rounding noise."""
        return self.eigenvalues > self.errors


def ntk_spectrum(network: Network, x: Float[Tensor, "N n_in"]) -> Spectrum:
    """The spectrum of the empirical NTK on `x`, with error bounds.

    Args:
        network: The network, at its present weights.
        x: N ≥ 1 inputs, of the network's dtype and on its device.

    Raises:
        ValueError: `x` does not fit the network or is empty, or the kernel overflows.
    """
    return kernel_spectrum(network, empirical_ntk(network, x))


def kernel_spectrum(network: Network, theta: Float[Tensor, "N N"]) -> Spectrum:
    """The spectrum of Θ, where Θ is the computed empirical NTK of `network`.

    Uses LAPACK's symmetric eigenvalue solver in float64 on the CPU (at N = 200 it takes milliseconds there). The error bound is
    one absolute number ε_s N λ_max + 2 ε tr(Θ) Σ_l (√n_{l-1} + √n_l), the same for all eigenvalues, from Weyl's inequality
    |λ_i(Θ + E) - λ_i(Θ)| ≤ ‖E‖₂ with two parts of E:

    - the solver's backward error, p(N) ε_s λ_max (LAPACK Users' Guide, section 4.7.1) with p(N) = N and ε_s of float64;
    - rounding in the passes. A product with inner dimension n has a relative row-wise error of about √n ε (Higham and Mary
      2019, with rounding errors taken as independent), ε of the network's dtype; one forward and one backward product a layer, the
      factor 2 because Θ is quadratic in them, and ‖E‖₂ ≤ ‖E‖_F, which is at most the entry-wise relative error times tr(Θ).

    True eigenvalues are never negative, so a computed negative one is replaced by the nearer value 0.

    Raises:
        ValueError: Θ is empty or not finite, or its eigenvalues overflow.
    """
    if len(theta) == 0:
        raise ValueError("the kernel is empty: a spectrum needs at least one input")
    if not torch.isfinite(theta).all():
        raise ValueError(f"the kernel is not finite: it overflows {theta.dtype}; scale the inputs down or use float64")
    theta, epsilon = theta.to("cpu", torch.float64), torch.finfo(theta.dtype).eps
    eigenvalues = torch.linalg.eigvalsh(theta)
    largest = eigenvalues[-1].abs()
    widths = [weight.shape for weight in network.weights]
    inner = sum(fan_in**0.5 + fan_out**0.5 for fan_out, fan_in in widths)
    solver = torch.finfo(torch.float64).eps * len(theta) * largest
    passes = epsilon * 2 * inner * theta.trace()
    if not torch.isfinite(largest + passes):
        raise ValueError("the kernel is finite, but its eigenvalues or their errors overflow torch.float64; scale the inputs down")
    return Spectrum(eigenvalues.clamp(min=0), (solver + passes).expand(len(theta)).clone(), method="eigh")
