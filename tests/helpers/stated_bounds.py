"""The error bounds of some networks and limit kernels, and the file that holds what they were.

    python -m tests.helpers.stated_bounds

writes them anew, after a change of the bounds that is meant.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from ntk_sweep import Network, empirical_kernels, limit_kernels
from ntk_sweep.kernel.centred_kernel import centred_kernel
from ntk_sweep.kernel.centred_passes import centred_passes
from ntk_sweep.kernel.double_double_kernel import double_double_errors
from ntk_sweep.kernel.float64_kernel import float64_kernel
from ntk_sweep.kernel.pass_errors import seen_errors
from ntk_sweep.network.activations.registry import ACTIVATIONS

FILE = Path(__file__).with_suffix(".json")

WIDTH, DEPTH = 20, 4


def inputs() -> Tensor:
    """Nine inputs of six features, two of them equal."""
    generator = torch.Generator().manual_seed(5)
    x = torch.rand(9, 6, dtype=torch.float64, generator=generator)
    x[4] = x[2]
    return x


def _networks() -> dict[str, tuple[Network, Tensor]]:
    x, found = inputs(), {}
    for act in ACTIVATIONS:
        for parametrisation, (weight, bias) in {"standard": (1.0, 1.0), "ntk": (1.5, 0.3)}.items():
            network = Network.initialise(
                6, WIDTH, DEPTH, act, parametrisation, 1, weight_std=weight, bias_std=bias
            )
            found[f"{act}, {parametrisation}"] = network, x
    for act in ("relu", "gelu", "sigmoid"):
        network = Network.initialise(
            6, WIDTH, DEPTH, act, "ntk", 1, torch.float32, weight_std=1.5, bias_std=0.3
        )
        found[f"{act}, float32"] = network, x.float()
    plain = Network.initialise(6, WIDTH, DEPTH, "relu", "ntk", 1)
    found["relu, one input"] = plain, x[:1]
    # numbers whose products underflow
    small = Network.initialise(6, WIDTH, DEPTH, "relu", "ntk", 1, bias_std=None)
    found["relu, short inputs"] = small, x * 1e-155
    return found


def _of_network(network: Network, x: Tensor) -> dict[str, float]:
    passes = centred_passes(network, x)
    kernel, plain = centred_kernel(passes, target=0.0), float64_kernel(passes)
    errors = kernel.pass_errors
    assert errors.covariance is not None and kernel.entry_errors is not None
    both = empirical_kernels(network, x)
    between = empirical_kernels(network, x, x[:2] + 1)
    directions = torch.eye(len(x), dtype=torch.float64) + 1
    found = {
        "shared": errors.shared,
        "rows": errors.rows,
        "covariance": errors.covariance,
        "seen": seen_errors(passes, errors, directions / directions.norm(dim=0)),
        "kernel": kernel.error,
        "entries": kernel.entry_errors,
        "plain kernel": plain.error,
        "plain entries": plain.entry_errors,
        "ntk": both.ntk.errors,
        "conjugate": both.conjugate.errors,
        "ntk between": between.ntk.errors,
    }
    for orders in range(3):
        norm, entries = double_double_errors(passes, orders)
        found |= {f"order {orders}": norm, f"order {orders}, entries": entries}
    return {name: float(torch.as_tensor(value).abs().sum()) for name, value in found.items()}


def _limits() -> dict[str, dict[str, float]]:
    x, found = inputs(), {}
    for act in ACTIVATIONS:
        for scales in ((1.0, 1.0), (1.5, None)):
            for name, x2 in (("", None), (" between two sets", x[:3] + 0.1)):
                limits = limit_kernels(x, act, WIDTH, DEPTH, "ntk", *scales, x2=x2)
                found[f"limit of {act}, {scales}{name}"] = {
                    "ntk": limits.ntk.error_norm,
                    "nngp": limits.nngp.error_norm,
                }
    return found


def stated_bounds() -> dict[str, dict[str, float]]:
    """The sums of all bounds, by case and name."""
    return {name: _of_network(*of) for name, of in _networks().items()} | _limits()


if __name__ == "__main__":
    FILE.write_text(json.dumps(stated_bounds(), indent=1) + "\n")
