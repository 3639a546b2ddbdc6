"""Products by NumPy and SciPy, in one call and in pieces, are those of torch."""

import pytest
import torch

from ntk_sweep.training.products import FEW_ROWS, SMALL_RESULT, added_product, product

WIDTH = SMALL_RESULT + 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("rows", [1, 5, FEW_ROWS, FEW_ROWS + 1])
def test_products_are_those_of_torch(rows, dtype):
    left, matrix = torch.randn(rows, 70, dtype=dtype), torch.randn(WIDTH, 72, dtype=dtype)
    for right in (matrix[:, :70].T, matrix[:70]):
        out = torch.empty(rows, right.shape[1], dtype=dtype)
        product(left, right, out)()
        torch.testing.assert_close(out, left @ right)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("rows", "inner"), [(1, 3), (9, 1), (9, 3)])
def test_added_products_are_those_of_torch(rows, inner, dtype):
    right, start = torch.randn(inner, 11, dtype=dtype), torch.randn(rows, 11, dtype=dtype)
    for left in (
        torch.randn(rows, inner, dtype=dtype),
        torch.randn(inner, rows, dtype=dtype).T,
        torch.randn(rows, inner + 2, dtype=dtype)[:, :inner],
    ):
        total = start.clone()
        added_product(total, left, right, scale=-0.5)()
        torch.testing.assert_close(total, start - 0.5 * left @ right)
