"""Protects each diagnostic on cases whose value is known, and where it has none."""

import math

import pytest
import torch

from ntk_sweep.kernel import diagnostics
from ntk_sweep.kernel.diagnostics import (
    centred_alignment,
    class_contrast,
    effective_rank,
    kernel_target_alignment,
    layer_trace_shares,
    leading_target_shares,
    relative_distance,
)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


Y = tensor([0, 0, 0, 1, 1])


def ideal():
    """A kernel that knows the classes: 1 within, 0 between."""
    return (Y[:, None] == Y[None, :]).to(torch.float64)


def test_effective_rank():
    assert effective_rank(torch.ones(7, dtype=torch.float64)) == pytest.approx(7, rel=1e-14)
    assert effective_rank(tensor([0, 0, 3])) == pytest.approx(1, rel=1e-14)
    assert effective_rank(tensor([-1e-16, 2, 2])) == pytest.approx(2, rel=1e-14)
    assert effective_rank(tensor([1, 3])) == pytest.approx(
        math.exp(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75))), rel=1e-14
    )
    assert effective_rank(tensor([1e308, 1e308])) == pytest.approx(2, rel=1e-14)
    assert effective_rank(tensor([4])) == 1
    assert math.isnan(effective_rank(tensor([0, 0])))


def test_alignment():
    signs = 2 * Y - 1
    assert kernel_target_alignment(torch.outer(signs, signs), signs) == pytest.approx(1, rel=1e-14)
    assert kernel_target_alignment(torch.eye(5, dtype=torch.float64), signs) == pytest.approx(
        1 / math.sqrt(5), rel=1e-14
    )
    assert kernel_target_alignment(1e200 * ideal(), 1e-200 * Y) == pytest.approx(
        2 / math.sqrt(13), rel=1e-14
    )
    assert math.isnan(kernel_target_alignment(0 * ideal(), signs))
    assert math.isnan(kernel_target_alignment(ideal(), 0 * Y))


def test_centred_alignment():
    assert centred_alignment(ideal(), Y) == pytest.approx(1, rel=1e-13)
    kernel = ideal() + torch.diag(torch.arange(5, dtype=torch.float64))
    value = centred_alignment(kernel, Y)
    assert 0 < value < 1
    # Shifts and scales of targets and kernel change nothing.
    assert centred_alignment(3 * kernel + 5, 2 - 7 * Y) == pytest.approx(value, rel=1e-12)
    h = torch.eye(5, dtype=torch.float64) - 0.2
    assert value == pytest.approx(kernel_target_alignment(h @ kernel @ h, h @ Y), rel=1e-13)
    assert math.isnan(centred_alignment(kernel, 0.1 + 0 * Y))
    assert math.isnan(centred_alignment(0.1 + 0 * kernel, Y))
    assert math.isnan(centred_alignment(tensor([[2]]), tensor([1])))


def test_class_contrast():
    assert class_contrast(ideal(), Y) == pytest.approx(1, rel=1e-14)
    assert class_contrast(2 * ideal() - 1 + 0 * Y, Y) == pytest.approx(2, rel=1e-14)
    scale = torch.arange(1, 6, dtype=torch.float64)
    assert class_contrast(scale[:, None] * ideal() * scale, Y) == pytest.approx(1, rel=1e-14)
    assert class_contrast(torch.ones(5, 5, dtype=torch.float64), Y) == pytest.approx(0, abs=1e-15)
    assert class_contrast(ideal(), Y.to(torch.int64)) == pytest.approx(1, rel=1e-14)
    assert math.isnan(class_contrast(ideal(), 0 * Y))
    assert math.isnan(class_contrast(ideal(), torch.arange(5)))
    assert math.isnan(class_contrast(tensor([[1]]), tensor([0])))
    assert math.isnan(class_contrast(0 * ideal(), Y))


@pytest.mark.parametrize("rows", [2, 3, 256])
def test_many_inputs_are_taken_in_blocks(monkeypatch, rows):
    monkeypatch.setattr(diagnostics, "ROWS", rows)
    a, b = torch.randn(2, 7, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    kernel, other, labels = a @ a.T, b @ b.T, tensor([0, 1, 0, 1, 1, 0, 2])
    cosines = {
        (i, j): float(kernel[i, j] / (kernel[i, i] * kernel[j, j]).sqrt())
        for i in range(7)
        for j in range(7)
        if i != j
    }
    kinds = [[c for (i, j), c in cosines.items() if (labels[i] == labels[j]) == s] for s in (1, 0)]
    means = [sum(kind) / len(kind) for kind in kinds]
    assert class_contrast(kernel, labels) == pytest.approx(means[0] - means[1], rel=1e-12)
    distance = (kernel - other).norm() / other.norm()
    assert relative_distance(kernel, other) == pytest.approx(float(distance), rel=1e-12)


def test_leading_target_shares():
    vectors = torch.linalg.eigh(ideal() + torch.diag(tensor([1, 2, 3, 4, 5]) / 10))[1]
    shares = leading_target_shares(vectors, Y)
    assert list(shares) == [1, 2, 5, 10]
    assert shares[5] == shares[10] == pytest.approx(1, rel=1e-13)
    assert shares[1] <= shares[2] <= 1
    centred = Y - Y.mean()
    assert shares[1] == pytest.approx(
        float((vectors[:, -1] @ centred) ** 2 / (centred @ centred)), rel=1e-13
    )
    assert math.isnan(leading_target_shares(vectors, 0.1 + 0 * Y)[1])
    assert math.isnan(leading_target_shares(tensor([[1]]), tensor([3]))[1])


def test_layer_trace_shares():
    shares = layer_trace_shares(torch.tensor([1.0, 3.0, 0.0, 4.0], dtype=torch.float64))
    assert shares.tolist() == [0.125, 0.375, 0.0, 0.5]
    assert torch.isnan(layer_trace_shares(torch.zeros(4, dtype=torch.float64))).all()


def test_relative_distance():
    assert relative_distance(ideal(), ideal()) == 0
    assert relative_distance(1.5 * ideal(), ideal()) == pytest.approx(0.5, rel=1e-14)
    assert relative_distance(3e300 * ideal(), 1e300 * ideal()) == pytest.approx(2, rel=1e-14)
    assert math.isnan(relative_distance(ideal(), 0 * ideal()))
