"""Eigenvalues of the empirical NTK as squared singular values of the Jacobian, compressed layer by
layer.

An independent check of `ntk_sweep.spectrum.spectrum`: it shares with it neither the passes nor the kernel
nor the solver.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.fully_connected import Network


def jacobian_spectrum(
    network: Network, x: Float[Tensor, "N n_in"]
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """Eigenvalues and error bounds, both (N,), ascending by eigenvalue, float64 on the CPU.

    J_l is the row-wise Kronecker product of δ^l and [c_l a^{l-1}, 1]. With the QR factorisations
    δ^lᵀ = Q R and [c_l a^{l-1}, 1]ᵀ = Q' R', J_l = (Rᵀ ⊙ R'ᵀ)(Q ⊗ Q')ᵀ, and the orthonormal columns
    drop out of the singular values: at most N² columns a layer are left. Layers are taken in one by
    one, [J_1 … J_l]ᵀ = Q'' R'', so that no more than one N² × N block is held; λ = s² for the
    singular values s of the last R''. All of it runs in float64, also for a float32 network.

    A singular value errs by p ε ‖J‖_F, each QR and the SVD being backward stable (Higham 2002,
    theorem 19.4, with independent roundings: p = √n + √N each for the compressions and N for the
    rest), and by 2 ε √n ‖J‖_F for each product in the passes.
    """
    network.check_inputs(x)
    weights, biases = [w.double() for w in network.weights], [b.double() for b in network.biases]
    trace = Network(weights, biases, network.activation, network.parametrisation).trace(x.double())
    size = len(x)
    triangle = x.new_zeros(0, size, dtype=torch.float64)
    units, passes = 0.0, 0.0
    for inputs, gradients, factor in zip(
        trace.inputs, trace.gradients, network.factors, strict=True
    ):
        left = _triangle(gradients.T)
        right = _triangle(
            torch.cat((factor * inputs, x.new_ones(size, 1, dtype=torch.float64)), dim=1).T
        )
        block = (left[:, None, :] * right[None, :, :]).flatten(0, 1)
        triangle = _triangle(torch.cat((triangle, block)))
        units = max(units, inputs.shape[1] ** 0.5 + gradients.shape[1] ** 0.5)
        passes += inputs.shape[1] ** 0.5 + gradients.shape[1] ** 0.5
    # its square, because the kernel must be finite too
    if not torch.isfinite(torch.linalg.matrix_norm(triangle) ** 2):
        raise ValueError(
            "the kernel is not finite: the input holds NaN or infinity, or it overflows float64; "
            "scale the inputs down"
        )
    singular = torch.linalg.svdvals(triangle.cpu()).flip(0)
    norm = torch.linalg.vector_norm(singular)
    # fewer parameters than inputs leave fewer singular values; the rest of the spectrum is zero
    singular = torch.cat((singular.new_zeros(size - len(singular)), singular))
    solver = torch.finfo(torch.float64).eps * (units + 2 * size)
    error = (solver + 2 * torch.finfo(torch.float64).eps * passes) * norm
    return singular**2, 2 * singular * error + error**2


def _triangle(tall: Tensor) -> Tensor:
    """The triangular factor of a QR factorisation, at most square."""
    return torch.linalg.qr(tall, mode="r").R
