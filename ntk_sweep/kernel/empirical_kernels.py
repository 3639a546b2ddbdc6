"""The empirical NTK and the conjugate kernel with bounds of the errors of their entries.

Dimension letters in the annotations: N and M inputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.centred_passes import CentredPasses, centred_passes
from ntk_sweep.kernel.conjugate import conjugate_passes
from ntk_sweep.kernel.float64_kernel import product_units
from ntk_sweep.kernel.pass_errors import SAFETY, pass_errors
from ntk_sweep.kernel.rounding import least_of, row_norms
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.network.fully_connected import Inputs, Network, OtherInputs
from ntk_sweep.numerics.sliced_products import symmetric_product
from ntk_sweep.numerics.tensors import all_finite, overflow


@dataclass(frozen=True)
class EmpiricalKernel:
    """One of the two kernels of a network.

    Attributes:
        kernel: Θ or K, float64; for one set of inputs exactly symmetric.
        errors: A bound of |computed - exact| for each entry.
    """

    kernel: Float[Tensor, "N M"]
    errors: Float[Tensor, "N M"]

    @property
    def error_norm(self) -> float:
        """A bound of ‖computed - exact‖₂, as `LimitKernel.error_norm`."""
        return float((self.errors.sum(0).max() * self.errors.sum(1).max()).sqrt())


@dataclass(frozen=True)
class EmpiricalKernels:
    """Both kernels of a network.

    Attributes:
        ntk: Θ, the neural tangent kernel.
        conjugate: K, the covariance of the outputs over draws of the last layer.
    """

    ntk: EmpiricalKernel
    conjugate: EmpiricalKernel


def empirical_kernels(
    network: Network, x: Inputs, x2: OtherInputs | None = None
) -> EmpiricalKernels:
    """The kernels of `empirical_ntk` and `conjugate_kernel`, with bounds of their entries' errors.

    They come from passes around the mean of all inputs, which round relative to differences between
    inputs; those of the two functions differ from them by rounding. With J + 1eᵀ + F the Jacobian
    of the passes (`ntk_sweep.kernel.pass_errors`) and η_i = ‖e‖ + ‖F_i‖,

        |δΘ_ij| ≤ ‖J_i‖ η_j + η_i ‖J_j‖ + η_i η_j + ρ_ij,

    where ρ_ij is the rounding of the products: of a layer it is (√n + √n' + 8) u ‖J_i^l‖ ‖J_j^l‖
    with independent roundings (Higham and Mary 2019), here with a safety factor of
    four. Bounds of entries say little of small eigenvalues: `ntk_spectrum` is for these.

    Args:
        network: The network, at its present weights.
        x: N inputs: a NumPy array, lists, or a tensor of the network's dtype and on its device.
        x2: The M inputs x', likewise; None for x itself.

    Raises:
        ValueError: `x` or `x2` does not fit the network, is empty or not finite, or a kernel or a
            bound overflows.

    Example:
        >>> network = Network.initialise(2, 50, 3, "relu", "ntk", seed=0)
        >>> kernels = empirical_kernels(network, [[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]])
        >>> kernels.ntk.kernel.shape, bool((kernels.ntk.errors < 1e-12 * kernels.ntk.kernel).all())
        (torch.Size([2, 1]), True)
    """
    rows = network.as_inputs(x)
    count = len(rows)
    # together, since both sets share the centre and its error
    if x2 is not None:
        rows = torch.cat([rows, network.as_inputs(x2, "x2")])
    passes = centred_passes(network, rows)
    architecture = Architecture(
        network.activation,
        passes.inputs[-1].rows.shape[-1],
        network.depth,
        network.parametrisation,
        network.weight_std,
        network.bias_std,
    )
    last = conjugate_passes(passes, architecture)
    split = None if x2 is None else count
    return EmpiricalKernels(
        _kernel("the kernel", passes, split), _kernel("the conjugate kernel", last, split)
    )


def _kernel(name: str, passes: CentredPasses, split: int | None) -> EmpiricalKernel:
    """The kernel of all inputs, or that between those before and those after the split."""
    kernel = errors = torch.zeros((), dtype=torch.float64)
    squares = torch.zeros((), dtype=torch.float64)
    for a, delta, scale in zip(passes.inputs, passes.gradients, passes.scales, strict=True):
        inputs, gradients = a.total, delta.total
        layer = scale.gram(_products(inputs, split)) * _products(gradients, split)
        own = scale.gram(row_norms(inputs) ** 2) * row_norms(gradients) ** 2
        terms = inputs.shape[-1] + gradients.shape[-1]
        # what underflows in a product meets the other one's entries
        lost = least_of(torch.float64) * terms * (1 + own)
        length = own.sqrt()
        kernel = kernel + layer
        errors = errors + SAFETY * product_units(a, delta) * _outer(length, split)
        errors = errors + _outer(lost.sqrt(), split)
        squares = squares + own
    found = pass_errors(passes)
    off, length = found.shared + found.rows, squares.sqrt()
    # (ℓ_i + η_i)(ℓ_j + η_j) - ℓ_i ℓ_j without cancellation
    errors = errors + _outer(length, split, off) + _outer(off, split, length) + _outer(off, split)
    if not (all_finite(kernel) and all_finite(errors)):
        raise overflow(name, "its entries or the bounds of their errors", torch.float64)
    return EmpiricalKernel(kernel, errors)


def _products(rows: Float[Tensor, "K n"], split: int | None) -> Float[Tensor, "N M"]:
    if split is None:
        return symmetric_product(rows)
    return rows[:split] @ rows[split:].T


def _outer(
    values: Float[Tensor, " K"], split: int | None, others: Float[Tensor, " K"] | None = None
) -> Float[Tensor, "N M"]:
    others = values if others is None else others
    return (
        values[:split, None] * others[None, split:]
        if split is not None
        else torch.outer(values, others)
    )
