"""Matrix products that training repeats on the same memory.

Each is made once, as a call without arguments. Products of a single row are products of a matrix
with a vector: on the CPU NumPy and SciPy are called for them, whose BLAS reads the matrix faster
than torch's, and whose calls cost half as much. All others are torch's.

Dimension letters in the annotations: R rows, C columns, K the length of the sums.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import get_blas_funcs
from torch import Tensor

Call = Callable[[], object]


def product(
    left: Float[Tensor, "R K"], right: Float[Tensor, "K C"], out: Float[Tensor, "R C"]
) -> Call:
    """A call that puts left · right into `out`.

    Example:
        >>> left, right, out = torch.ones(1, 2), torch.ones(2, 3), torch.empty(1, 3)
        >>> _ = product(left, right, out)()
        >>> out
        tensor([[2., 2., 2.]])
    """
    if not (by_numpy(out) and len(left) == 1):
        return partial(torch.mm, left, right, out=out)
    return partial(np.dot, right.T.numpy(), left[0].numpy(), out[0].numpy())


def added_product(
    total: Float[Tensor, "R C"],
    left: Float[Tensor, "R K"],
    right: Float[Tensor, "K C"],
    scale: float,
) -> Call:
    """A call that adds scale · left · right to `total`.

    Example:
        >>> total = torch.zeros(2, 2)
        >>> add = added_product(total, torch.ones(2, 1), torch.ones(1, 2), scale=0.5)
        >>> _ = add(), add()
        >>> total
        tensor([[1., 1.],
                [1., 1.]])
    """
    if by_numpy(total) and total.is_contiguous() and right.is_contiguous():
        # BLAS has columns where NumPy has rows; what is added to is overwritten
        columns, matrix = total.numpy().T, right.numpy().T
        gemv, ger = get_blas_funcs(("gemv", "ger"), (columns,))
        if len(total) == 1:
            factors = matrix, left[0].numpy()
            return partial(gemv, scale, *factors, 1.0, columns[:, 0], 0, 1, 0, 1, 0, 1)
        if len(right) == 1:
            factors = matrix[:, 0], left[:, 0].numpy()
            return partial(ger, scale, *factors, 1, 1, columns, 1, 1, 1)
    return partial(total.addmm_, left, right, alpha=scale)


def by_numpy(one: Tensor) -> bool:
    """Whether NumPy finds this memory and has BLAS for its numbers."""
    return not one.is_cuda and one.dtype in (torch.float32, torch.float64)
