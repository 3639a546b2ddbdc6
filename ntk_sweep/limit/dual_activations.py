"""Dual activations: E[σ(u)σ(v)] and E[σ'(u)σ'(v)] of centred Gaussian pairs.

They come in closed form or by quadrature. The name is that of Daniely et al. 2016.

Dimension letters in the annotations: N Gaussians; P pairs, or those of R Gaussians with C others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ntk_sweep.network.activations.activation import Activation
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.numerics.gaussian_interpolation import gram_expectations
from ntk_sweep.numerics.gaussian_pairs import GaussianPairs
from ntk_sweep.numerics.gaussian_quadrature import Moments, line_moments, pair_expectations
from ntk_sweep.numerics.tensors import as_tensor

Covariances = Shaped[Any, "*#pairs"] | Sequence
"""One a pair, as users pass them: a tensor, a NumPy array, or lists of numbers."""

_CLOSED_ERROR = 4e-15
_QUADRATURE_ERROR = 2e-14
_WIDE_QUADRATURE_ERROR = 2e-13
_WIDE = 100.0
"""Errors of dual activations relative to √(E[σ(u)²] E[σ(v)²]): of closed forms, and of quadrature.

Quadrature has two, for variances up to 100 and beyond. Measured, not proven: the largest found
against mpmath and against closed forms, with a factor of 2 to 10 to spare.
`tests/ntk_sweep/limit/test_dual_activations.py` and
`tests/ntk_sweep/numerics/test_gaussian_interpolation.py` hold them, `docs/theory/limit.md` lists
what was found."""


_APART = 1e-290
"""The least distance of pairs that are not identical: rounding must not make them so, since they
have no error then."""


@dataclass(frozen=True)
class Duals:
    """Dual activations, elementwise.

    Attributes:
        function: E[σ(u)σ(v)].
        derivative: E[σ'(u)σ'(v)].
        distance: E[(σ(u) - σ(v))²].
        area: √(E[σ(u)²] E[σ(v)²] - E[σ(u)σ(v)]²), of a homogeneous σ.
    """

    function: Float[Tensor, "*pairs"]
    derivative: Float[Tensor, "*pairs"]
    distance: Float[Tensor, "*pairs"]
    area: Float[Tensor, "*pairs"] | None = None


class OwnDuals(NamedTuple):
    """What the dual activations of pairs take of single Gaussians u.

    Attributes:
        function: E[σ(u)²].
        derivative: E[σ'(u)²].
        function_hermite: First Hermite coefficients of σ, as `Moments` has them; none where there
            is a closed form.
        derivative_hermite: Those of σ'.
    """

    function: Float[Tensor, " N"]
    derivative: Float[Tensor, " N"]
    function_hermite: Float[Tensor, "N _"]
    derivative_hermite: Float[Tensor, "N _"]

    @property
    def moments(self) -> tuple[Moments, Moments]:
        """Those of σ and of σ'."""
        return (
            Moments(self.function_hermite, self.function),
            Moments(self.derivative_hermite, self.derivative),
        )


def dual_activations(
    activation: str,
    var_x: Covariances,
    var_y: Covariances,
    cov: Covariances,
) -> Duals:
    """The dual activations of pairs (u, v) ~ N(0, [[var_x, cov], [cov, var_y]]), pair by pair.

    The covariances are taken as exact. The error is below 1e-11 of the value for correlations ρ ≥
    0. For any ρ it is below `dual_error` of √(E[σ(u)²] E[σ(v)²]), where the value itself may pass
    through zero. At zero variance u = 0, and σ'(0) is the activation's own choice.

    Args:
        activation: A name in `ACTIVATIONS`.
        var_x: E[u²] ≥ 0: a NumPy array, lists, or a tensor of float64.
        var_y: E[v²] ≥ 0, likewise.
        cov: E[uv], likewise; beyond ±√(var_x var_y) it counts as that.

    Raises:
        ValueError: The name is unknown, a variance negative, a value not finite, or a dtype not
            float64.

    Example:
        >>> one, cov = torch.ones(1, dtype=torch.float64), torch.tensor([0.5], dtype=torch.float64)
        >>> dual_activations("relu", one, one, cov).derivative  # 1/2 - θ/2π, θ = π/3
        tensor([0.3333], dtype=torch.float64)
    """
    named = {"var_x": var_x, "var_y": var_y, "cov": cov}
    covariances = {name: as_tensor(name, value, torch.float64) for name, value in named.items()}
    _check_covariances(activation, covariances)
    pairs = GaussianPairs.from_covariances(**covariances)
    if pairs.cov.numel() == 0:
        return Duals(*(torch.zeros_like(pairs.cov) for _ in range(3)))
    entry = ACTIVATIONS[activation]
    evaluate = _by_quadrature if entry.closed_dual is None else _in_closed_form
    return Duals(*(value.reshape(pairs.cov.shape) for value in evaluate(entry, pairs)))


def dual_error(activation: str, largest_variance: float) -> float:
    """The error granted to a dual activation, relative to √(E[σ(u)²] E[σ(v)²]).

    Args:
        activation: A name in `ACTIVATIONS`.
        largest_variance: The largest of E[u²] and E[v²] over all pairs.

    Example:
        >>> dual_error("relu", 1.0), dual_error("elu", 1.0), dual_error("elu", 1e3)
        (4e-15, 2e-14, 2e-13)
    """
    if ACTIVATIONS[activation].closed_dual is not None:
        return _CLOSED_ERROR
    return _QUADRATURE_ERROR if largest_variance <= _WIDE else _WIDE_QUADRATURE_ERROR


def own_duals(activation: str, variance: Float[Tensor, " N"]) -> OwnDuals:
    """What `gram_duals` takes of single Gaussians.

    Args:
        activation: A name in `ACTIVATIONS`.
        variance: E[u²].
    """
    entry = ACTIVATIONS[activation]
    if entry.closed_dual is None:
        functions = (entry.function, entry.derivative)
        moments = [line_moments(f, variance.sqrt()) for f in functions]
        return OwnDuals(*(of.square for of in moments), *(of.hermite for of in moments))
    none = torch.zeros_like(variance)
    function, derivative, *_ = _closed_duals(
        entry, GaussianPairs(variance, variance, variance, none, none)
    )
    return OwnDuals(function, derivative, *2 * (variance.new_empty(len(variance), 0),))


def gram_duals(activation: str, pairs: GaussianPairs, rows: OwnDuals, columns: OwnDuals) -> Duals:
    """The dual activations of all pairs of R Gaussians with C others, (R, C).

    Errors are below `dual_error` of √(E[σ(u)²] E[σ(v)²]). Identical pairs (distance exactly 0) give
    identical rows. Of zero variance is the pre-activation of a zero input without bias.

    Args:
        activation: A name in `ACTIVATIONS`.
        pairs: The pairs, as `GaussianPairs.from_layer` makes them.
        rows: The `own_duals` of the R Gaussians.
        columns: Those of the C others; the same object for pairs of one set, whose dual activations
            are exactly symmetric.

    Example:
        >>> one = torch.ones(2, dtype=torch.float64)
        >>> distance = 2 - 2 * torch.eye(2, dtype=torch.float64)
        >>> pairs = GaussianPairs.from_layer(one[:, None], one[None], distance, 1.0)
        >>> own = own_duals("relu", 2 * one)
        >>> gram_duals("relu", pairs, own, own).derivative
        tensor([[0.5000, 0.3333],
                [0.3333, 0.5000]], dtype=torch.float64)
    """
    entry, area = ACTIVATIONS[activation], None
    if entry.closed_dual is None:
        functions = (entry.function, entry.derivative)
        moments = rows.moments
        others = moments if columns is rows else columns.moments
        function, derivative = gram_expectations(functions, moments, others, pairs)
        distance = rows.function[:, None] + columns.function[None, :] - 2 * function
    else:
        function, derivative, distance, area = _closed_duals(entry, pairs)
    distance = torch.where(
        pairs.distance > 0, distance.clamp(min=_APART), torch.zeros_like(distance)
    )
    return Duals(function, derivative, distance, area)


def is_homogeneous(entry: Activation) -> bool:
    """Whether σ(s z) = s σ(z) for s > 0: a piecewise linear σ, whose dual is in closed form."""
    return entry.closed_dual is not None and entry.kinked and entry.piecewise_linear


def _closed_duals(
    entry: Activation, pairs: GaussianPairs
) -> tuple[
    Float[Tensor, "*pairs"],
    Float[Tensor, "*pairs"],
    Float[Tensor, "*pairs"],
    Float[Tensor, "*pairs"] | None,
]:
    """The three duals, and the area of a homogeneous σ, in closed form."""
    assert entry.closed_dual is not None
    area = None
    if is_homogeneous(entry):
        function, derivative, distance, area = _homogeneous_duals(entry, pairs)
    else:
        function, derivative, distance = entry.closed_dual(pairs)
    if 0 in (float(pairs.var_x.min()), float(pairs.var_y.min())):
        a, b = _scales(pairs)
        function, derivative, distance = (
            _with_zero_variance(entry, order, value.flatten(), a, b).reshape(value.shape)
            for order, value in enumerate((function, derivative, distance))
        )
    return function, derivative, distance, area


def _homogeneous_duals(
    entry: Activation, pairs: GaussianPairs
) -> tuple[Float[Tensor, "*pairs"], ...]:
    """The three duals and the area of a homogeneous σ, from those of pairs of variance 1.

    Let u and v have the deviations a and b and the angle θ, and û and v̂ the deviation 1 and the
    same angle. With c = E[σ(û)²] and h = E[(σ(û) - σ(v̂))²] / 2c,

        E[σ(u)σ(v)] = a b E[σ(û)σ(v̂)] = a b c (1 - h),
        E[(σ(u) - σ(v))²] = c (E[(u - v)²] - a b E[(û - v̂)²]) + 2 a b c h,

    and the area is a b c √(h (2 - h)), to relative accuracy also for parallel u and v.
    """
    assert entry.closed_dual is not None
    scale, cosine = pairs.scale, pairs.correlation
    sine = pairs.area / scale
    if 0 in (float(pairs.var_x.min()), float(pairs.var_y.min())):
        cosine = cosine.where(scale > 0, torch.ones_like(scale))
        sine = sine.where(scale > 0, torch.zeros_like(scale))
    apart = torch.where(cosine > 0, (sine * sine).div_(1 + cosine), 1 - cosine).mul_(2)
    unit = scale.new_ones(())
    function, derivative, distance = entry.closed_dual(
        GaussianPairs(unit, unit, cosine, apart, sine)
    )
    square = _unit_square(entry)
    half = (distance / (2 * square)).clamp_(min=0)
    return (
        scale * function,
        derivative,
        (pairs.distance - scale * apart).mul_(square).addcmul_(scale, distance),
        (2 - half).mul_(half).clamp_(min=0).sqrt_().mul_(scale).mul_(square),
    )


@cache
def _unit_square(entry: Activation) -> float:
    """E[σ(u)²] of a closed form, for variance 1."""
    assert entry.closed_dual is not None
    one = torch.ones(1, 1, dtype=torch.float64)
    return float(entry.closed_dual(GaussianPairs.from_covariances(one, one, one))[0])


def _scales(pairs: GaussianPairs) -> tuple[Float[Tensor, " P"], Float[Tensor, " P"]]:
    """√E[u²] and √E[v²] of each pair."""
    x, y = (of.expand_as(pairs.cov).reshape(-1) for of in (pairs.var_x, pairs.var_y))
    return x.sqrt(), y.sqrt()


def _check_covariances(activation: str, covariances: dict[str, Float[Tensor, "*_"]]) -> None:
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"unknown activation {activation!r}: choose one of {', '.join(ACTIVATIONS)}"
        )
    for name, value in covariances.items():
        if value.dtype != torch.float64:
            raise ValueError(
                f"{name} is {value.dtype}, but dual activations are computed in float64: convert it"
            )
        if not torch.isfinite(value).all() or (name != "cov" and (value < 0).any()):
            raise ValueError(
                f"{name} must be finite" + ("" if name == "cov" else " and not negative")
            )


def _in_closed_form(entry: Activation, pairs: GaussianPairs) -> list[Float[Tensor, " P"]]:
    """E[σ(u)σ(v)], E[σ'(u)σ'(v)] and E[(σ(u) - σ(v))²] of each pair."""
    assert entry.closed_dual is not None
    a, b = _scales(pairs)
    return [
        _with_zero_variance(entry, order, value.reshape(-1), a, b)
        for order, value in enumerate(entry.closed_dual(pairs))
    ]


def _by_quadrature(entry: Activation, pairs: GaussianPairs) -> list[Float[Tensor, " P"]]:
    """The same by quadrature."""
    a, b = _scales(pairs)
    angles = (pairs.angle.reshape(-1), pairs.coangle.reshape(-1), pairs.correlation.reshape(-1))
    function, derivative = pair_expectations((entry.function, entry.derivative), a, b, *angles)
    squares = line_moments(entry.function, a).square + line_moments(entry.function, b).square
    return [function, derivative, (squares - 2 * function).clamp(min=0)]


def _with_zero_variance(
    entry: Activation,
    order: int,
    value: Float[Tensor, " P"],
    a: Float[Tensor, " P"],
    b: Float[Tensor, " P"],
) -> Float[Tensor, " P"]:
    """Replaces the values where u or v is the constant 0.

    There E[f(u)f(v)] = E[f(u)] E[f(v)], and no angle is defined.

    Args:
        entry: The activation.
        order: 0 for E[σ(u)σ(v)], 1 for E[σ'(u)σ'(v)], 2 for E[(σ(u) - σ(v))²].
        value: The values of that kind.
        a: √E[u²].
        b: √E[v²].
    """
    constant = (a == 0) | (b == 0)
    if not constant.any():
        return value
    u, v = (
        line_moments(entry.derivative if order == 1 else entry.function, scale[constant])
        for scale in (a, b)
    )
    product = u.hermite[:, 0] * v.hermite[:, 0]
    value = value.clone()
    value[constant] = u.square + v.square - 2 * product if order == 2 else product
    return value
