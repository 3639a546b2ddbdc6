"""The empirical NTK in ball arithmetic: matrices of balls that contain the exact entries.

A ball is a midpoint with a radius, and arithmetic with balls rounds outward (Johansson 2017). The
weights, biases, scales and inputs enter as the exact numbers that they are as float64, and a factor
c_l = 1/√n as a ball around that root: nothing is rounded without its ball saying so.

Needs python-flint, which is optional (`ntk_sweep.spectrum.methods.flint_fault`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.activations.piecewise_linear import LRELU_SLOPE
from ntk_sweep.network.fully_connected import Network

if TYPE_CHECKING:
    from flint import arb, arb_mat


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Ball arithmetic with midpoints of so many bits."""
    from flint import ctx

    before = ctx.prec
    ctx.prec = bits
    try:
        yield
    finally:
        ctx.prec = before


def ball_kernel(network: Network, x: Float[Tensor, "N n_in"]) -> arb_mat:
    """Θ = Σ_l (δ^l δ^lᵀ) ∘ (c_l² a^{l-1} a^{l-1}ᵀ + β²) in balls, (N, N), symmetric.

    At the precision that is set (`precision`). A pre-activation whose ball contains the kink of an
    activation gives balls that hold the values of both sides; one that is exactly zero has the
    slope that the activation chooses there.

    Args:
        network: The network, at its present weights.
        x: Inputs, as `Network.as_inputs` returns them.
    """
    activate = _ACTIVATIONS[network.activation]
    inputs, slopes = [matrix(x)], []
    for index in range(network.depth - 1):
        layer = network.layer(index)
        scale, rows = layer.scale, inputs[-1] * matrix(layer.weight.mT)
        shifts = [scale.bias * _ball(b) for b in layer.bias.double().tolist()]
        factor, width = _factor(network, index), len(shifts)
        pairs = [
            activate(z * factor + shifts[place % width]) for place, z in enumerate(rows.entries())
        ]
        inputs.append(_shaped([value for value, _ in pairs], width))
        slopes.append(_shaped([slope for _, slope in pairs], width))
    gradients, theta = _shaped([_ball(1.0)] * len(x), 1), None
    for index in range(network.depth - 1, -1, -1):
        scale, rows = network.layer(index).scale, inputs.pop()
        factor, bias = _factor(network, index), _ball(scale.bias)
        term = _products(
            gradients * gradients.transpose(),
            [factor * factor * g + bias * bias for g in (rows * rows.transpose()).entries()],
        )
        theta = term if theta is None else theta + term
        if index:
            back = gradients * matrix(network.layer(index).weight) * factor
            gradients = _products(back, slopes.pop().entries())
    assert theta is not None
    return _symmetric(theta)


def matrix(values: Float[Tensor, "m n"]) -> arb_mat:
    """The exact matrix of floating-point numbers."""
    from flint import arb_mat

    rows, columns = values.shape
    return arb_mat(rows, columns, values.detach().double().cpu().flatten().tolist())


def _factor(network: Network, index: int) -> arb:
    """σ_w c_l or c_l alone, l = `index` + 1: c_l is 1/√n itself, not its float64."""
    from flint import arb, fmpq

    square = network.layer(index).scale.exact_square
    assert square is not None
    return (arb(fmpq(square.numerator, square.denominator))).sqrt()


def _ball(number: float) -> arb:
    from flint import arb

    return arb(number)


def _shaped(entries: list[arb], columns: int) -> arb_mat:
    from flint import arb_mat

    return arb_mat(len(entries) // columns, columns, entries)


def _products(left: arb_mat, right: list[arb]) -> arb_mat:
    """The products entry by entry."""
    entries = [a * b for a, b in zip(left.entries(), right, strict=True)]
    return _shaped(entries, left.ncols())


def _symmetric(theta: arb_mat) -> arb_mat:
    """The matrix of the upper triangle: an entry and its mirror image are the same number."""
    size, entries = theta.nrows(), theta.entries()
    return _shaped(
        [entries[min(i, j) * size + max(i, j)] for i in range(size) for j in range(size)], size
    )


def _at_kink(
    z: arb,
    negative: Callable[[arb], tuple[arb, arb]],
    positive: Callable[[arb], tuple[arb, arb]],
    slope: float,
) -> tuple[arb, arb]:
    """(σ, σ') of a σ with σ(0) = 0 that is made of two branches.

    Args:
        z: The ball.
        negative: The branch for z < 0.
        positive: That for z > 0.
        slope: σ'(0).
    """
    if z > 0:
        return positive(z)
    if z < 0:
        return negative(z)
    if z.is_zero():
        return _ball(0.0), _ball(slope)
    sides = zip(positive(z), negative(z), strict=True)
    value, derivative = (one.union(other) for one, other in sides)
    return value, derivative


def _linear(slope: float) -> Callable[[arb], tuple[arb, arb]]:
    return lambda z: (z * _ball(slope), _ball(slope))


def _relu(z: arb) -> tuple[arb, arb]:
    return _at_kink(z, _linear(0.0), _linear(1.0), 0.0)


def _lrelu(z: arb) -> tuple[arb, arb]:
    return _at_kink(z, _linear(LRELU_SLOPE), _linear(1.0), 1.0)


def _elu(z: arb) -> tuple[arb, arb]:
    return _at_kink(z, lambda t: (t.expm1(), t.exp()), _linear(1.0), 1.0)


def _logistic(z: arb) -> tuple[arb, arb, arb]:
    """s(z), s(-z) and s'(z) of the logistic function, each to relative accuracy.

    With e = exp(-|z|) they are 1 / (1 + e), e / (1 + e) and e / (1 + e)²; either sign of z serves
    a ball that contains 0.
    """
    upwards = not z < 0
    e = (-z if upwards else z).exp()
    greater = 1 / (1 + e)
    less = e * greater
    return (greater, less, less * greater) if upwards else (less, greater, less * greater)


def _sigmoid(z: arb) -> tuple[arb, arb]:
    value, _, slope = _logistic(z)
    return value, slope


def _tanh(z: arb) -> tuple[arb, arb]:
    # tanh z = 2 s(2z) - 1
    return z.tanh(), 4 * _logistic(2 * z)[2]


def _silu(z: arb) -> tuple[arb, arb]:
    value, mirrored, _ = _logistic(z)
    return z * value, value * (1 + z * mirrored)


def _erf(z: arb) -> tuple[arb, arb]:
    return z.erf(), 2 * (-z * z).exp() / _ball(1.0).pi().sqrt()


def _gelu(z: arb) -> tuple[arb, arb]:
    root = _ball(2.0).sqrt()
    probability = (-z / root).erfc() / 2
    density = (-z * z / 2).exp() / (2 * _ball(1.0).pi()).sqrt()
    return z * probability, probability + z * density


_ACTIVATIONS: dict[str, Callable[[arb], tuple[arb, arb]]] = {
    "relu": _relu,
    "elu": _elu,
    "lrelu": _lrelu,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "erf": _erf,
    "gelu": _gelu,
    "silu": _silu,
}
"""z ↦ (σ(z), σ'(z)); the definitions stand in `ntk_sweep.network.activations`."""

CERTIFIABLE = tuple(_ACTIVATIONS)
"""The activations that have a formula here."""
