"""Eigenvalues of the empirical NTK as squared singular values of the compressed Jacobian.

An independent check of `ntk_sweep.spectrum.spectrum`: it shares with it neither the passes nor the
kernel nor the solver. What rounding in the passes costs comes from the caller.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.fully_connected import Inputs, Network
from ntk_sweep.numerics.tensors import overflow

UNDERFLOW = 1e-155
"""What it costs a singular value: entries below about 1e-300 are lost, in sums of many, and squares
of smaller values underflow."""


def jacobian_spectrum(
    network: Network, x: Inputs, pass_error: float
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """Eigenvalues and error bounds, both (N,), ascending by eigenvalue, float64 on the CPU.

    J_l is the row-wise Kronecker product of δ^l and [c_l a^{l-1}, β_l]. With the QR factorisations
    δ^lᵀ = Q R and [c_l a^{l-1}, β_l]ᵀ = Q' R', J_l = (Rᵀ ⊙ R'ᵀ)(Q ⊗ Q')ᵀ, and the orthonormal
    columns drop out of the singular values: at most N² columns a layer are left. Layers are taken
    in one by one, [J_1 … J_l]ᵀ = Q'' R'', so that no more than one N² × N block is held; λ = s² for
    the singular values s of the last R''. All of it runs in float64, also for a float32 network.

    A singular value errs by p ε ‖J‖_F, each QR and the SVD being backward stable (Higham 2002,
    theorem 19.4, with independent roundings: p = √n + √N each for the compressions and N for the
    rest), and by ‖F‖_F for the errors F of the passes.

    Args:
        network: The network, at its present weights.
        x: N ≥ 1 inputs: a NumPy array, lists, or a tensor of the network's dtype and on its device.
        pass_error: A bound of ‖F‖_F for plain passes in float64.

    Raises:
        ValueError: `x` does not fit the network, is empty or not finite, or the kernel overflows.

    Example:
        >>> network = Network.initialise(4, 50, 3, "sigmoid", "thesis", seed=0)
        >>> eigenvalues, errors = jacobian_spectrum(network, torch.eye(4).double(), 1e-13)
        >>> bool((errors < 1e-9 * eigenvalues).all())
        True
    """
    x = network.as_inputs(x)
    triangle, units = _compressed_jacobian(network, x.double())
    size, singular = len(x), torch.linalg.svdvals(triangle.cpu()).flip(0)
    norm = torch.linalg.vector_norm(singular)
    # fewer parameters than inputs leave fewer singular values; the rest of the spectrum is zero
    singular = torch.cat((singular.new_zeros(size - len(singular)), singular))
    solver = torch.finfo(torch.float64).eps * (units + 2 * size)
    error = solver * norm + pass_error + UNDERFLOW
    return singular**2, 2 * singular * error + error**2


def _compressed_jacobian(
    network: Network, x: Float[Tensor, "N n_in"]
) -> tuple[Float[Tensor, "_ N"], float]:
    """The triangular factor of Jᵀ, and the largest √n + √n of a layer's two factors."""
    weights, biases = [w.double() for w in network.weights], [b.double() for b in network.biases]
    passes = network.with_parameters(weights, biases).passes(x)
    triangle = x.new_zeros(0, len(x))
    units = 0.0
    layers = zip(passes.inputs, passes.gradients, network.scales, strict=True)
    for number, (inputs, gradients, scale) in enumerate(layers, start=1):
        left, right = _triangle(gradients.T), _triangle(scale.derivatives(inputs).T)
        block = (left[:, None, :] * right[None, :, :]).flatten(0, 1)
        triangle = _triangle(torch.cat((triangle, block)))
        # its square, because the kernel must be finite too
        if not torch.isfinite(torch.linalg.matrix_norm(triangle) ** 2):
            place = f"the squares of the Jacobian of layer {number}"
            raise overflow("the kernel", place, torch.float64)
        units = max(units, inputs.shape[1] ** 0.5 + gradients.shape[1] ** 0.5)
    return triangle, units


def _triangle(tall: Float[Tensor, "m n"]) -> Float[Tensor, "k n"]:
    """The triangular factor of a QR factorisation, at most square."""
    return torch.linalg.qr(tall, mode="r").R
