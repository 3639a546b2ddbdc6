"""The infinite-width neural tangent kernel and its spectrum, predicted for each width; derivations
in `docs/theory/limit.md`.

Dimension letters in the annotations: N inputs, n_in features of the input.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.limit.dual_activations import gram_duals
from ntk_sweep.limit.error_bounds import ErrorPropagation
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.numerics.gaussian_pairs import GaussianPairs
from ntk_sweep.spectrum.spectrum import Spectrum

_BIAS_VARIANCE = 1.0

_NEAR = 1e-2
"""Squared distances below this share of the squared norms are summed from differences; beyond, the
Gram matrix loses two digits at most."""

_PAIRS_AT_ONCE = 4096
"""Differences x_i - x_j held in memory together: 26 MB at 784 features."""


@dataclass(frozen=True)
class LimitKernel:
    """The infinite-width NTK of one architecture.

    Attributes:
        kernel: Θ̄, symmetric, float64.
        error_norm: A bound, to first order in the rounding unit, of ‖computed - exact‖₂.
    """

    kernel: Float[Tensor, "N N"]
    error_norm: float


def limit_ntk(
    x: Float[Tensor, "N n_in"], activation: str, width: int, depth: int, parametrisation: str
) -> Float[Tensor, "N N"]:
    """Θ̄_n, the leading order for large width n of the mean empirical NTK at initialisation (Jacot
    et al. 2018, theorem 1).

    Args:
        x: N ≥ 1 inputs, float64.
        activation: A name in `ACTIVATIONS`.
        width: n, the width of every hidden layer. It enters by scaling alone: the result is the
            exact limit for `ntk`, whereas for `thesis` and `standard` the kernel grows like n and
            each width has its own prediction.
        depth: D ≥ 2, the number of weight layers.
        parametrisation: A name in `PARAMETRISATIONS`.

    Raises:
        ValueError: A name is unknown, a size out of range, or `x` empty, not finite or not float64.
    """
    return limit_ntks(x, activation, width, (depth,), parametrisation)[depth].kernel


def limit_spectrum(
    x: Float[Tensor, "N n_in"], activation: str, width: int, depth: int, parametrisation: str
) -> Spectrum:
    """The spectrum of Θ̄_n; see `kernel_spectrum`. Takes the arguments of `limit_ntk` and raises
    its errors."""
    return limit_kernel_spectrum(limit_ntks(x, activation, width, (depth,), parametrisation)[depth])


def limit_kernel_spectrum(limit: LimitKernel) -> Spectrum:
    """Eigenvalues of Θ̄ with one absolute bound, ‖δΘ̄‖₂ + N ε λ_max, for all of them.

    The first part is the kernel's own error and the second the solver's (LAPACK Users' Guide,
    section 4.7.1); Weyl's inequality turns both into errors of every eigenvalue. A computed
    negative eigenvalue is replaced by the nearer value 0; those below the bound are unresolved
    (`Spectrum.resolved`).
    """
    eigenvalues = torch.linalg.eigvalsh(limit.kernel)
    solver = torch.finfo(torch.float64).eps * len(eigenvalues) * float(eigenvalues[-1].abs())
    errors = torch.full_like(eigenvalues, limit.error_norm + solver)
    return Spectrum(eigenvalues.clamp(min=0), errors, method="limit")


def limit_ntks(
    x: Float[Tensor, "N n_in"],
    activation: str,
    width: int,
    depths: Iterable[int],
    parametrisation: str,
) -> dict[int, LimitKernel]:
    """Θ̄_n for several depths at once: the recursion runs over the depth, so all take hardly longer
    than the deepest.

    With the factors c_l, weight variances v_l and fan-ins n_{l-1} of the parametrisation (S^0 = x
    xᵀ/n_0),

        K^l = c_l² v_l n_{l-1} S^{l-1} + 1                           covariance of the pre-activations
        S^l = E[σ(u)σ(v)], Ṡ^l = E[σ'(u)σ'(v)], (u, v) ~ N(0, K^l)    the dual activations
        T^l = (c_l² n_{l-1} S^{l-1} + 1) + c_l² v_l n_{l-1} Ṡ^{l-1} ∘ T^{l-1},   T^0 = 0,

    and Θ̄ = T^D. The first bracket of T^l belongs to layer l's own weights and biases.

    Returns:
        Depth ↦ kernel with error bound.

    Raises:
        ValueError: As `limit_ntk`, and if no depth is given.
    """
    depths = sorted(set(depths))
    _check(x, activation, width, depths, parametrisation)
    n_in = x.shape[1]
    second_moment, distance = _input_moments(x)
    gain, own_gain = _gains(parametrisation, n_in, width, first=True)
    pairs = GaussianPairs.from_layer(second_moment, distance, gain, _BIAS_VARIANCE)
    tangent = own_gain * _gram(second_moment, distance) + _BIAS_VARIANCE
    errors = ErrorPropagation(activation, pairs, tangent, n_in)
    kernels = {}
    for depth in range(2, depths[-1] + 1):
        duals = gram_duals(activation, pairs)
        errors.pass_activation(pairs, duals)
        if depth in depths:
            gain, own_gain = _gains(parametrisation, width, 1, last=True)
            kernel = own_gain * duals.function + _BIAS_VARIANCE + gain * duals.derivative * tangent
            kernels[depth] = LimitKernel(
                kernel, errors.kernel_norm(gain, own_gain, duals, tangent, kernel)
            )
        if depth == depths[-1]:
            break
        gain, own_gain = _gains(parametrisation, width, width)
        next_tangent = (
            own_gain * duals.function + _BIAS_VARIANCE + gain * duals.derivative * tangent
        )
        pairs = GaussianPairs.from_layer(
            duals.function.diagonal(), duals.distance, gain, _BIAS_VARIANCE
        )
        errors.pass_layer(gain, own_gain, duals, tangent, next_tangent, pairs)
        tangent = next_tangent
    return kernels


def _gains(
    parametrisation: str, fan_in: int, fan_out: int, *, first: bool = False, last: bool = False
) -> tuple[float, float]:
    """The two factors of a layer's Gram matrix: c² v n_{l-1} in the covariance and c² n_{l-1} in
    the layer's own term.

    For the first layer the Gram matrix is that of the inputs, x xᵀ, a sum and not a mean; so
    n_{l-1} is not multiplied in.
    """
    scaling = PARAMETRISATIONS[parametrisation]
    own = scaling.factor(fan_in, fan_out, last) ** 2 * (1 if first else fan_in)
    return own * scaling.weight_std(fan_in) ** 2, own


def _input_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """‖x_i‖² and ‖x_i - x_j‖², the latter from differences where these are small, so that it keeps
    its relative accuracy."""
    norms = (x * x).sum(1)
    distance = (norms[:, None] + norms[None, :] - 2 * (x @ x.T)).clamp(min=0)
    rows, columns = torch.triu_indices(len(x), len(x), 1)
    near = distance[rows, columns] < _NEAR * (norms[rows] + norms[columns])
    for i, j in zip(
        rows[near].split(_PAIRS_AT_ONCE), columns[near].split(_PAIRS_AT_ONCE), strict=True
    ):
        distance[i, j] = (x[i] - x[j]).square().sum(1)
    upper = torch.triu(distance, 1)
    return norms, upper + upper.T


def _gram(second_moment: Tensor, distance: Tensor) -> Tensor:
    return (second_moment[:, None] + second_moment[None, :] - distance) / 2


def _check(x: Tensor, activation: str, width: int, depths: list[int], parametrisation: str) -> None:
    for kind, name, known in (
        ("activation", activation, ACTIVATIONS),
        ("parametrisation", parametrisation, PARAMETRISATIONS),
    ):
        if name not in known:
            raise ValueError(f"unknown {kind} {name!r}: choose one of {', '.join(known)}")
    if not depths:
        raise ValueError("no depth is given: name at least one")
    for size, value, least in (("width", width, 1), ("depth", depths[0], 2)):
        if isinstance(value, bool) or int(value) != value or value < least:
            raise ValueError(f"{size} is {value!r}, but must be an integer of at least {least}")
    if x.ndim != 2 or len(x) == 0 or x.shape[1] == 0:
        raise ValueError(
            f"x has shape {tuple(x.shape)}, but must be (N, n_in) with at least one input and one "
            "feature"
        )
    if x.dtype != torch.float64:
        raise ValueError(f"x is {x.dtype}, but the limit kernel is computed in float64: convert it")
    if not torch.isfinite(x).all():
        raise ValueError("x holds values that are not finite")
