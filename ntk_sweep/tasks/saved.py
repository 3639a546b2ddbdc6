"""What a point wants in files beside its row."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.centred_kernel import CentredKernel
from ntk_sweep.kernel.float64_kernel import layer_kernels
from ntk_sweep.settings.point import EIGENVECTORS, KERNEL, LAYER_KERNELS, Point
from ntk_sweep.spectrum.spectrum import Spectrum


def saved_arrays(
    point: Point, kernel: CentredKernel, spectrum: Spectrum | None = None
) -> dict[str, np.ndarray]:
    """The arrays that a point wants, by the column that names their file.

    They are Θ, (N, N); Θ_l, (D, N, N), whose sum is Θ to rounding; and eigenvectors in the columns,
    (N, N), in the order of the eigenvalues. All are float64.

    Args:
        point: The point.
        kernel: Its kernel, with the passes where those of the layers are wanted.
        spectrum: Its spectrum, where eigenvectors are wanted.
    """
    arrays = {}
    if KERNEL in point.files:
        arrays[KERNEL] = kernel.theta.numpy()
    if LAYER_KERNELS in point.files:
        assert kernel.passes is not None
        arrays[LAYER_KERNELS] = layer_kernels(kernel.passes).numpy()
    if EIGENVECTORS in point.files:
        assert spectrum is not None
        arrays[EIGENVECTORS] = eigenvectors(spectrum, kernel.theta).numpy()
    return arrays


def eigenvectors(spectrum: Spectrum, theta: Float[Tensor, "N N"]) -> Float[Tensor, "N N"]:
    """Eigenvectors of Θ in the columns, in the order of the eigenvalues."""
    return torch.linalg.eigh(theta)[1] if spectrum.eigenvectors is None else spectrum.eigenvectors
