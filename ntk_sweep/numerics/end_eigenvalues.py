"""Both ends of the spectrum of a symmetric float64 matrix, without what lies between."""

from __future__ import annotations

from jaxtyping import Float
from scipy.linalg import lapack
from torch import Tensor

from ntk_sweep.numerics.gaussian_pairs import power_of_two


def end_eigenvalues(matrix: Float[Tensor, "N N"]) -> tuple[float, float]:
    """The smallest and the greatest eigenvalue.

    The matrix is reduced to a tridiagonal one, whose eigenvalues are found by bisection: half of
    the work of all eigenvalues at N = 200, and errors of the same size, N ε ‖matrix‖₂ (LAPACK
    Users' Guide, section 4.7).

    Args:
        matrix: Symmetric, finite, on the CPU; its lower triangle counts.

    Example:
        >>> import torch
        >>> ends = end_eigenvalues(torch.tensor([[2.0, 0.0], [1.0, 2.0]], dtype=torch.float64))
        >>> [round(end, 12) for end in ends]
        [1.0, 3.0]
    """
    size, power = len(matrix), power_of_two(matrix.abs().max())
    if size == 1:
        return float(matrix), float(matrix)
    # the transpose, which LAPACK takes as it lies in memory, has it above the diagonal
    work, _ = lapack.dsytrd_lwork(size, lower=0)
    copy = (matrix / power).contiguous().numpy().T
    _, diagonal, beside, _, _ = lapack.dsytrd(copy, lower=0, lwork=int(work), overwrite_a=1)
    ends = []
    for place in (1, size):
        count, values, _, _, failed = lapack.dstebz(
            diagonal, beside, 2, 0.0, 0.0, place, place, 0.0, "E"
        )
        if failed or count != 1:
            values = lapack.dsterf(diagonal, beside)[0][place - 1 :]
        ends.append(float(values[0]) * power)
    return ends[0], ends[1]
