"""Matrix products, and steps entry by entry, that training repeats on the same memory.

Each product is made once, as a call without arguments. On the CPU NumPy and SciPy are called: their
BLAS, OpenBLAS, reads a matrix faster than torch's, and a call of a narrow product costs half as
much.

OpenBLAS copies a matrix before it multiplies with it, which takes longer than a product of a few
rows, unless the product is small. So a product of a few rows is made of small ones.

Dimension letters in the annotations: R rows, C columns, K the length of the sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import get_blas_funcs
from torch import Tensor

Call = Callable[[], object]

Operand = Tensor | np.ndarray
"""What a step works on entry by entry: on the CPU NumPy's view of a tensor."""

FEW_ROWS = 32
"""Up to so many rows a product is made of small ones; beyond that the copy pays."""

SMALL_RESULT, SMALL_PRODUCT = 1200, 10**6
"""The entries of a small result, and the multiplications that make it, at the most.

OpenBLAS 0.3.30 on processors with AVX-512 (`dgemm_small_kernel_permit_skylakex.c`). At widths of
300 and 800, with 2 to 32 rows, such products take 0.4 to 0.9 times as long as one product."""


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
    if not by_numpy(out):
        return partial(torch.mm, left, right, out=out)
    if len(left) == 1:
        return partial(np.dot, right.T.numpy(), left[0].numpy(), out[0].numpy())
    if len(left) > FEW_ROWS:
        return partial(np.matmul, left.numpy(), right.numpy(), out.numpy())
    columns = min(SMALL_RESULT, SMALL_PRODUCT // len(right)) // len(left)
    columns = max(columns // 8 * 8, 8)  # whole vectors of the processor
    blocks = zip(right.split(columns, dim=1), out.split(columns, dim=1), strict=True)
    calls = [partial(np.matmul, left.numpy(), block.numpy(), own.numpy()) for block, own in blocks]
    return calls[0] if len(calls) == 1 else partial(_each, calls)


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
        gemv, ger, gemm = get_blas_funcs(("gemv", "ger", "gemm"), (columns,))
        if len(total) == 1:
            factors = matrix, left[0].numpy()
            return partial(gemv, scale, *factors, 1.0, columns[:, 0], 0, 1, 0, 1, 0, 1)
        if len(right) == 1:
            factors = matrix[:, 0], left[:, 0].numpy()
            return partial(ger, scale, *factors, 1, 1, columns, 1, 1, 1)
        # left as it lies, or else transposed, so that it is not copied where that can be
        rows = left.numpy()
        other, transposed = (rows, 1) if rows.flags.f_contiguous else (rows.T, 0)
        return partial(gemm, scale, matrix, other, 1.0, columns, 0, transposed, 1)
    return partial(total.addmm_, left, right, alpha=scale)


def copy(source: Float[Tensor, "R C"], out: Float[Tensor, "R C"]) -> Call:
    """A call that puts `source` into `out`."""
    return (
        partial(np.copyto, out.numpy(), source.numpy())
        if by_numpy(out)
        else partial(out.copy_, source)
    )


def operand(one: Tensor) -> Operand:
    """The same memory; NumPy's calls cost a third of torch's."""
    return one.numpy() if by_numpy(one) else one


def entrywise(one: Tensor) -> Any:
    """The module whose functions take such operands: NumPy or torch."""
    return np if by_numpy(one) else torch


def by_numpy(one: Tensor) -> bool:
    """Whether NumPy finds this memory and has BLAS for its numbers."""
    return not one.is_cuda and one.dtype in (torch.float32, torch.float64)


def _each(calls: Sequence[Call]) -> None:
    for call in calls:
        call()
