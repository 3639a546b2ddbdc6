"""The infinite-width NTK beyond float64, as differences from a mean entry.

Where float64 entries do not determine the smallest eigenvalue of Θ̄, which is so in deep networks
of saturating activations, the recursion of `ntk_sweep.limit.recursion` is carried out once more:
each matrix as a common number and differences from it, in double-double, with errors small beside
the differences. `docs/theory/limit.md` derives it.

Dimension letters in the annotations: N inputs, n_in features, P pairs in the order of
`ntk_sweep.numerics.double_double.upper_places`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.limit.gram_factors import ExactFactors, exact_gram_factors
from ntk_sweep.limit.hermite_coefficients import hermite_coefficients
from ntk_sweep.limit.input_moments import input_moments
from ntk_sweep.limit.mehler_series import mehler_duals
from ntk_sweep.limit.recursion import LimitKernel
from ntk_sweep.limit.split_matrices import (
    FLOAT64_UNIT,
    Differences,
    Split,
    doubled,
    leading,
    plus,
    product,
    scaled_sum,
    total,
)
from ntk_sweep.limit.taylor_duals import (
    Moments,
    diagonal_places,
    moment_tables,
    taylor_differences,
)
from ntk_sweep.network.activations.activation import Activation
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.numerics.double_double import (
    UNIT,
    DoubleDouble,
    add,
    from_float64,
    symmetric,
    upper,
)
from ntk_sweep.numerics.double_double_functions import constant, negative, selected, square_root
from ntk_sweep.numerics.gaussian_quadrature import line_moments

FLOAT64_BITS = 52
"""Up to so many bits the differences are in float64."""

_NEAR = 0.05
"""Differences below this share of the variance are tried with Taylor's series first."""


class ExtendedKernel(NamedTuple):
    """One of the two kernels at one depth.

    Attributes:
        common: A number near all entries, in double-double.
        differences: What the entries of the upper triangle exceed it by, (P,).
        error_norm: A bound, to first order, of ‖computed - exact‖₂.
    """

    common: DoubleDouble
    differences: DoubleDouble
    error_norm: float

    @classmethod
    def of(cls, matrix: Split, size: int) -> ExtendedKernel:
        """The kernel of N inputs."""
        return cls(matrix.common, doubled(matrix.differences), size * matrix.error)

    @property
    def kernel(self) -> DoubleDouble:
        """The upper triangle, (P,)."""
        return add(self.differences, self.common)

    def rounded(self, size: int) -> LimitKernel:
        """The kernel of N inputs in float64."""
        kernel = symmetric(self.kernel.hi, size)
        rounding = torch.finfo(torch.float64).eps / 2 * float(kernel.abs().sum(1).max())
        return LimitKernel(kernel, self.error_norm + rounding)


class ExtendedKernels(NamedTuple):
    """Θ̄ and K at one depth."""

    ntk: ExtendedKernel
    nngp: ExtendedKernel


def extended_kernels(
    x: Float[Tensor, "N n_in"], deepest: Architecture, depths: Sequence[int], bits: int
) -> Iterator[tuple[int, ExtendedKernels]]:
    """Θ̄ and K of the deepest architecture cut off at each of the depths, in ascending order.

    It ends before a depth whose dual activations are out of reach: of an activation without an
    `extended` formula, of variances so large that the series need too many terms, or zero.

    Args:
        x: N inputs, finite.
        deepest: The architecture at the largest depth.
        depths: Ascending.
        bits: Errors are about 2^-bits of the differences between entries, at most 90.
    """
    activation, size = ACTIVATIONS[deepest.activation], len(x)
    if activation.extended is None:
        return
    first = exact_gram_factors(deepest, 1, x.shape[1])
    moments = input_moments(x).among_themselves
    inner = DoubleDouble(*map(upper, moments.gram))
    error = moments.gram_error + 8 * UNIT * float(inner.hi.abs().max())
    centre = constant(float(inner.hi.mean()))
    inputs = Split(centre, *_in_precision(add(inner, negative(centre)), error, bits))
    covariance = scaled_sum(inputs, first.covariance, first.bias)
    tangent = scaled_sum(inputs, first.tangent, first.bias_tangent)
    tables: dict[int, Moments] = {}
    for layer in range(1, deepest.depth):
        duals = _duals(activation, covariance, layer, deepest, tables, size, bits)
        if duals is None:
            return
        function, derivative = duals
        product_of = product(derivative, tangent)
        if layer + 1 in depths:
            last = exact_gram_factors(replace(deepest, depth=layer + 1), layer + 1, x.shape[1])
            ntk = _next_tangent(last, function, product_of)
            nngp = scaled_sum(function, last.covariance, last.bias)
            yield (
                layer + 1,
                ExtendedKernels(ExtendedKernel.of(ntk, size), ExtendedKernel.of(nngp, size)),
            )
        if layer + 1 < deepest.depth:
            hidden = exact_gram_factors(deepest, layer + 1, x.shape[1])
            tangent = _next_tangent(hidden, function, product_of)
            covariance = scaled_sum(function, hidden.covariance, hidden.bias)


def _duals(
    activation: Activation,
    covariance: Split,
    layer: int,
    deepest: Architecture,
    tables: dict[int, Moments],
    size: int,
    bits: int,
) -> tuple[Split, Split] | None:
    """E[σ(u)σ(v)] and E[σ'(u)σ'(v)]; None where they are out of reach."""
    diagonal = diagonal_places(size)
    least, largest = map(float, torch.aminmax(covariance.entries[diagonal]))
    spread = covariance.spread
    if least <= 0 or not math.isfinite(largest):
        return None
    if spread < _NEAR * least:
        if layer not in tables:
            mean = float(covariance.entries.mean())
            tables.update(_tables(activation, mean, layer, deepest))
        if layer in tables:
            near = _near_duals(tables[layer], covariance, size, bits)
            if near is not None:
                return near
    # so many more bits as the differences are smaller than the values
    more = math.ceil(-math.log2(max(spread / largest, 2.0**-30)))
    wanted = min(bits + 12 + more, 100)
    whole = covariance.whole()
    deviations = square_root(selected(whole, diagonal))
    coefficients = hermite_coefficients(activation, deviations, wanted)
    if coefficients is None:
        return None
    duals = mehler_duals(coefficients, deviations, whole, wanted)
    squares = coefficients.hi
    slopes = _sensitivities(squares, deviations.hi)
    splits = []
    for value, own, slope in zip(duals[:2], duals[2:], slopes, strict=True):
        centre = constant(float(value.hi.mean()))
        error = own + slope * covariance.error
        differences = _in_precision(add(value, negative(centre)), error, bits)
        splits.append(Split(centre, *differences))
    return splits[0], splits[1]


def _in_precision(differences: DoubleDouble, error: float, bits: int) -> tuple[Differences, float]:
    """The differences in the precision that so many bits need, and a bound of their error."""
    if bits > FLOAT64_BITS:
        return differences, error
    return differences.hi, error + FLOAT64_UNIT / 4 * float(differences.hi.abs().max())


def _near_duals(
    moments: Moments, covariance: Split, size: int, bits: int
) -> tuple[Split, Split] | None:
    """By Taylor's series around κ."""
    shift = add(covariance.common, constant(-moments.variance))
    differences = plus(covariance.differences, shift)
    rounded = abs(float(shift.hi)) + float(leading(differences).abs().max())
    error = covariance.error + covariance.unit / 4 * rounded
    found = []
    for order in (0, 1):
        values = taylor_differences(moments, order, differences, size, bits)
        if values is None:
            return None
        whole = selected(moments.table, (order, order))
        found.append(Split(whole, values.value, values.error + values.slope * error))
    return found[0], found[1]


def _tables(
    activation: Activation, mean: float, layer: int, deepest: Architecture
) -> dict[int, Moments]:
    """Moments for this layer and those after it, at the variances of identical mean inputs.

    These need not be exact: any number near the covariances will do.
    """
    variances = [mean]
    for later in range(layer + 1, deepest.depth):
        hidden = exact_gram_factors(deepest, later, 1)
        deviation = from_float64(torch.tensor([variances[-1] ** 0.5], dtype=torch.float64))
        square = _mean_square(activation, float(deviation.hi))
        variances.append(float(hidden.covariance.hi) * square + float(hidden.bias.hi))
    places = torch.tensor(variances, dtype=torch.float64)
    # the moments of high order need the coefficients of high order
    coefficients = hermite_coefficients(activation, square_root(from_float64(places)), 100)
    if coefficients is None:
        return {}
    return dict(enumerate(moment_tables(places, coefficients), start=layer))


def _mean_square(activation: Activation, deviation: float) -> float:
    """E[σ(u)²] in float64."""
    scales = torch.tensor([deviation], dtype=torch.float64)
    return float(line_moments(activation.function, scales).square)


def _sensitivities(
    coefficients: Float[Tensor, "N K"], deviations: Float[Tensor, " N"]
) -> tuple[float, float]:
    """How much an error of all covariances moves E[σσ] and E[σ'σ'] at most.

    For f with Hermite coefficients f_k it is E[f'(u)f'(v)] + |E[f''(u)f(v)]|, by Price's theorem,
    where E[f''(u)f(v)] a² = Σ_k √((k+1)(k+2)) f_{k+2} f_k ρ^k.
    """
    order = torch.arange(coefficients.shape[1], dtype=torch.float64)
    found = []
    moduli = coefficients.abs()
    for _ in range(2):
        first = (moduli.square() @ order).max()
        k = order[: moduli.shape[1] - 2]
        second = ((moduli[:, 2:] * moduli[:, :-2]) @ ((k + 1) * (k + 2)).sqrt()).max()
        found.append(float((first + second) / deviations.min() ** 2))
        moduli = moduli[:, 1:] * order[1 : moduli.shape[1]].sqrt() / deviations[:, None]
        order = order[: moduli.shape[1]]
    return found[0], found[1]


def _next_tangent(factors: ExactFactors, function: Split, product_of: Split) -> Split:
    """T^l from the dual activations of layer l - 1 and their product with T^{l-1}."""
    own = scaled_sum(function, factors.tangent, factors.bias_tangent)
    return total(own, scaled_sum(product_of, factors.covariance, constant(0)))
