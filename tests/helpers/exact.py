"""Plain implementations in high precision, which the fast ones must match."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import torch

from ntk_sweep.network.fully_connected import Network
from tests.helpers import dual_references, oracles

DIGITS = 70
"""Enough for eigenvalues down to 1e-40 of the largest, squared errors included."""


FUNCTIONS = dual_references.FUNCTIONS | {
    # the slope as the code has it, a float64
    "lrelu": (
        lambda z: z if z > 0 else mp.mpf(0.01) * z,
        lambda z: mp.mpf(1) if z >= 0 else mp.mpf(0.01),
    ),
}
"""(σ, σ') in mpmath."""


def exact_kernel(network: Network, x: torch.Tensor, digits: int = DIGITS) -> mp.matrix:
    """The kernel, from the forward pass on with so many digits."""
    with mp.workdps(digits):
        function, derivative = FUNCTIONS[network.activation]
        weights = [
            np.vectorize(mp.mpf, otypes=[object])(w.double().cpu().numpy()) for w in network.weights
        ]
        biases = [
            np.vectorize(mp.mpf, otypes=[object])(b.double().cpu().numpy()) for b in network.biases
        ]
        biases = biases or [np.full(len(w), mp.mpf(0)) for w in weights]
        factors, beta = exact_factors(network)
        a = np.vectorize(mp.mpf, otypes=[object])(x.double().cpu().numpy())
        inputs, slopes = [a], []
        for w, b, c in zip(weights[:-1], biases[:-1], factors[:-1], strict=True):
            z = c * (a @ w.T) + beta * b
            a = np.vectorize(function, otypes=[object])(z)
            inputs.append(a)
            slopes.append(np.vectorize(derivative, otypes=[object])(z))
        delta = np.full((len(x), 1), mp.mpf(1), dtype=object)
        theta = (delta @ delta.T) * (factors[-1] ** 2 * (inputs[-1] @ inputs[-1].T) + beta**2)
        for layer in range(network.depth - 2, -1, -1):
            delta = factors[layer + 1] * (delta @ weights[layer + 1]) * slopes[layer]
            theta = theta + (delta @ delta.T) * (
                factors[layer] ** 2 * (inputs[layer] @ inputs[layer].T) + beta**2
            )
        return mp.matrix(theta.tolist())


def exact_conjugate_spectrum(network: Network, x: torch.Tensor) -> list:
    """Eigenvalues of the conjugate kernel, ascending, with `DIGITS` digits."""
    with mp.workdps(DIGITS):
        return sorted(mp.eigsy(exact_conjugate_kernel(network, x), eigvals_only=True))


def exact_conjugate_kernel(network: Network, x: torch.Tensor) -> mp.matrix:
    """The conjugate kernel, from the definition of the layers on."""
    with mp.workdps(DIGITS):
        function, _ = FUNCTIONS[network.activation]
        numbers = np.vectorize(mp.mpf, otypes=[object])
        factors, beta = exact_factors(network)
        a = numbers(x.double().numpy())
        biases = network.biases or [torch.zeros(len(w)) for w in network.weights]
        for w, b, c in list(zip(network.weights, biases, factors, strict=True))[:-1]:
            z = c * (a @ numbers(w.double().numpy()).T) + beta * numbers(b.double().numpy())
            a = np.vectorize(function, otypes=[object])(z)
        weight = mp.mpf(network.weight_std) ** 2
        if network.parametrisation != "thesis":
            weight /= a.shape[1]
        bias = mp.mpf(0 if network.bias_std is None else network.bias_std) ** 2
        return mp.matrix((weight * (a @ a.T) + bias).tolist())


def exact_factors(network: Network) -> tuple[list, mp.mpf]:
    """The factor of each layer's weights, and that of all biases, from the definition."""
    beta = mp.mpf(0 if network.bias_std is None else network.bias_std)
    if network.parametrisation == "standard":  # the scales are in the weights already
        return [mp.mpf(1)] * network.depth, mp.mpf(network.bias_std is not None)
    factors = []
    for layer, weight in enumerate(network.weights, start=1):
        fan_out, fan_in = weight.shape
        n = oracles.scale(network.parametrisation, layer, network.depth, fan_in, fan_out)
        factors.append(mp.mpf(network.weight_std) / mp.sqrt(n))
    return factors, beta


def exact_spectrum(network: Network, x: torch.Tensor) -> list:
    """Eigenvalues of the kernel, ascending, with `DIGITS` digits."""
    with mp.workdps(DIGITS):
        return sorted(mp.eigsy(exact_kernel(network, x), eigvals_only=True))


def exact_inverse_form(theta: mp.matrix, v: torch.Tensor) -> mp.mpf:
    """vᵀΘ⁻¹v with `DIGITS` digits."""
    with mp.workdps(DIGITS):
        right = mp.matrix(v.tolist())
        return mp.fdot(right, mp.cholesky_solve(theta, right))


def absolute_errors(values: torch.Tensor, exact: list) -> torch.Tensor:
    """|values - exact|, the difference taken in high precision."""
    with mp.workdps(DIGITS):
        return torch.tensor(
            [float(abs(mp.mpf(v) - e)) for v, e in zip(values.tolist(), exact, strict=True)],
            dtype=torch.float64,
        )
