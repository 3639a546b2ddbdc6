"""The infinite-width neural tangent kernel and its spectrum, predicted for each width.

`docs/theory/limit.md` derives the recursion. Dimension letters in the annotations: N inputs, n_in
features of an input.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.limit.dual_activations import Duals, gram_duals
from ntk_sweep.limit.error_bounds import ErrorPropagation
from ntk_sweep.limit.gram_factors import GramFactors, gram_factors
from ntk_sweep.network.architecture import Architecture, check_names
from ntk_sweep.network.fully_connected import Inputs
from ntk_sweep.network.integers import integer_fault
from ntk_sweep.numerics.double_double import (
    UNIT,
    DoubleDouble,
    add,
    gram,
    gram_error,
    multiply,
    symmetric,
)
from ntk_sweep.numerics.gaussian_pairs import GaussianPairs, power_of_two
from ntk_sweep.numerics.tensors import all_finite, as_tensor, check_finite, overflow
from ntk_sweep.spectrum.spectrum import Spectrum

_NEAR = 1e-2
"""Squared distances below this share of the squared norms are summed from differences.

Beyond it the Gram matrix loses two digits at most."""

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
    x: Inputs,
    activation: str,
    width: int,
    depth: int,
    parametrisation: str,
    weight_std: float = 1.0,
    bias_std: float | None = 1.0,
) -> Float[Tensor, "N N"]:
    """Θ̄_n, the leading order for large width n of the mean empirical NTK at initialisation.

    The source is Jacot et al. 2018, theorem 1; `limit_ntks` gives the recursion.

    Args:
        x: N ≥ 1 inputs: a NumPy array, lists, or a tensor of float64.
        activation: A name in `ACTIVATIONS`.
        width: n, the width of every hidden layer. It enters by scaling alone: the result is the
            exact limit for `ntk`, whereas for `thesis` and `standard` the kernel grows like n and
            each width has its own prediction.
        depth: D ≥ 2, the number of weight layers.
        parametrisation: A name in `PARAMETRISATIONS`.
        weight_std: σ_w > 0.
        bias_std: σ_b ≥ 0; None for a network without biases.

    Raises:
        ValueError: A name is unknown, a size or a scale out of range, `x` empty, not finite or not
            float64, or the kernel overflows.

    Example:
        >>> x = torch.eye(2, dtype=torch.float64)
        >>> limit_ntk(x, "relu", width=100, depth=2, parametrisation="ntk")
        tensor([[2.5000, 1.9102],
                [1.9102, 2.5000]], dtype=torch.float64)
    """
    architecture = Architecture(activation, width, depth, parametrisation, weight_std, bias_std)
    return limits_of(x, architecture, (depth,))[depth].kernel


def limit_spectrum(
    x: Inputs,
    activation: str,
    width: int,
    depth: int,
    parametrisation: str,
    weight_std: float = 1.0,
    bias_std: float | None = 1.0,
) -> Spectrum:
    """The spectrum of Θ̄_n; see `limit_kernel_spectrum`.

    It takes the arguments of `limit_ntk` and raises its errors.

    Example:
        >>> x = torch.eye(2, dtype=torch.float64)
        >>> limit_spectrum(x, "relu", width=100, depth=2, parametrisation="ntk").eigenvalues
        tensor([0.5898, 4.4102], dtype=torch.float64)
    """
    architecture = Architecture(activation, width, depth, parametrisation, weight_std, bias_std)
    return limit_kernel_spectrum(limits_of(x, architecture, (depth,))[depth])


def limit_kernel_spectrum(limit: LimitKernel) -> Spectrum:
    """Eigenvalues of Θ̄ with one absolute bound, ‖δΘ̄‖₂ + N ε λ_max, for all of them.

    The first part is the kernel's own error and the second the solver's (LAPACK Users' Guide,
    section 4.7.1). Weyl's inequality turns both into errors of every eigenvalue. A computed
    negative eigenvalue is replaced by the nearer value 0. Those below the bound are unresolved
    (`Spectrum.resolved`).

    Example:
        >>> x = torch.tensor([[1.0], [1.0], [2.0]], dtype=torch.float64)
        >>> kernels = limit_ntks(x, "erf", width=100, depths=(2, 3), parametrisation="ntk")
        >>> limit_kernel_spectrum(kernels[3]).resolved
        tensor([False,  True,  True])
    """
    eigenvalues = torch.linalg.eigvalsh(limit.kernel)
    solver = torch.finfo(torch.float64).eps * len(eigenvalues) * float(eigenvalues[-1].abs())
    errors = torch.full_like(eigenvalues, limit.error_norm + solver)
    return Spectrum(eigenvalues.clamp(min=0), errors, method="limit")


def limit_ntks(
    x: Inputs,
    activation: str,
    width: int,
    depths: Iterable[int],
    parametrisation: str,
    weight_std: float = 1.0,
    bias_std: float | None = 1.0,
) -> dict[int, LimitKernel]:
    """Θ̄_n for several depths at once, hardly slower than for the deepest alone.

    With the factors c_l and β_l, the variances v_l and w_l of weights and biases and the fan-ins
    n_{l-1} of the parametrisation (S^0 = x xᵀ/n_0),

        K^l = c_l² v_l n_{l-1} S^{l-1} + β_l² w_l               covariance of the pre-activations
        S^l = E[σ(u)σ(v)], Ṡ^l = E[σ'(u)σ'(v)], (u, v) ~ N(0, K^l)           dual activations
        T^l = (c_l² n_{l-1} S^{l-1} + β_l²) + c_l² v_l n_{l-1} Ṡ^{l-1} ∘ T^{l-1},    T^0 = 0,

    and Θ̄ = T^D (Jacot et al. 2018, theorem 1). The first bracket of T^l belongs to layer l's own
    weights and biases. σ_w and σ_b are part of c_l and β_l, or of the variances under `standard`.

    Returns:
        Depth ↦ kernel with error bound.

    Raises:
        ValueError: As `limit_ntk`, and if no depth is given.

    Example:
        >>> x = torch.eye(2, dtype=torch.float64)
        >>> kernels = limit_ntks(x, "relu", width=100, depths=(2, 4), parametrisation="ntk")
        >>> {depth: float(limit.kernel[0, 0].round(decimals=4)) for depth, limit in kernels.items()}
        {2: 2.5, 4: 3.5}
    """
    architecture = Architecture(activation, width, 0, parametrisation, weight_std, bias_std)
    return limits_of(x, architecture, depths)


def limits_of(
    x: Inputs, architecture: Architecture, depths: Iterable[int]
) -> dict[int, LimitKernel]:
    """As `limit_ntks`; the depth of the architecture does not count."""
    depths = sorted(set(depths))
    _check_architecture(architecture, depths)
    x = _checked_inputs(x)
    return _recursion(x, replace(architecture, depth=depths[-1]), depths)


def _recursion(
    x: Float[Tensor, "N n_in"], deepest: Architecture, depths: Sequence[int]
) -> dict[int, LimitKernel]:
    """The kernels of the deepest architecture cut off at each of the depths."""
    n_in = x.shape[1]
    second_moment, distance = _input_moments(x)
    _check_overflow("the squares of the inputs", second_moment, distance)
    area, area_error = _input_area(x, second_moment, distance)
    first = gram_factors(deepest, 1, n_in)
    pairs = GaussianPairs.from_layer(second_moment, distance, first.covariance, first.bias, area)
    _check_pairs(1, pairs)
    tangent = first.tangent * _gram(second_moment, distance) + first.bias_tangent
    errors = ErrorPropagation(deepest.activation, pairs, tangent, n_in, area, area_error, first)
    kernels = {}
    for layer in range(2, deepest.depth + 1):
        duals = gram_duals(deepest.activation, pairs)
        errors.pass_activation(pairs, duals)
        if layer in depths:
            last = gram_factors(replace(deepest, depth=layer), layer, n_in)
            kernel = _next_tangent(last, duals, tangent)
            error_norm = errors.kernel_norm(last, duals, tangent, kernel)
            _check_overflow(
                f"the entries of depth {layer}, or their error bounds", kernel, error_norm
            )
            kernels[layer] = LimitKernel(kernel, error_norm)
        if layer < deepest.depth:
            hidden = gram_factors(deepest, layer, n_in)
            next_tangent = _next_tangent(hidden, duals, tangent)
            pairs = GaussianPairs.from_layer(
                duals.function.diagonal(),
                duals.distance,
                hidden.covariance,
                hidden.bias,
                duals.area,
            )
            _check_pairs(layer, pairs)
            errors.pass_layer(hidden, duals, tangent, next_tangent, pairs)
            tangent = next_tangent
    return kernels


def _check_pairs(layer: int, pairs: GaussianPairs) -> None:
    """Raises a ValueError if a variance overflows, or the product of two, which angles need.

    Formulas take up to four times such a product; a wrong angle would not show.
    """
    place = f"the variances of the pre-activations of layer {layer}, or their products"
    products = 16 * (pairs.var_x * pairs.var_y)
    _check_overflow(place, products, pairs.distance, pairs.cov, pairs.area)


def _check_overflow(place: str, *values: Float[Tensor, ...] | float) -> None:
    for value in values:
        if not all_finite(torch.as_tensor(value, dtype=torch.float64)):
            raise overflow("the limit kernel", place, torch.float64)


def _next_tangent(
    factors: GramFactors, duals: Duals, tangent: Float[Tensor, "N N"]
) -> Float[Tensor, "N N"]:
    """T^l from T^{l-1} and the dual activations of layer l - 1."""
    own = factors.tangent * duals.function + factors.bias_tangent
    return own + factors.covariance * duals.derivative * tangent


def _input_moments(
    x: Float[Tensor, "N n_in"],
) -> tuple[Float[Tensor, " N"], Float[Tensor, "N N"]]:
    """‖x_i‖² and ‖x_i - x_j‖².

    Small distances are summed from differences, so that they keep their relative accuracy.
    """
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


def _input_area(
    x: Float[Tensor, "N n_in"], second_moment: Float[Tensor, " N"], distance: Float[Tensor, "N N"]
) -> tuple[Float[Tensor, "N N"], Float[Tensor, "N N"]]:
    """√(‖x_i‖² ‖x_j‖² - ⟨x_i, x_j⟩²), and a bound of its error.

    The Gram matrix is in double-double: nothing but a bias keeps parallel inputs apart from nearly
    parallel ones.
    """
    size, power = len(x), power_of_two(second_moment.sqrt())
    rows = x / power
    entries, error = gram(rows), float(gram_error(rows))
    whole = DoubleDouble(symmetric(entries.hi, size), symmetric(entries.lo, size))
    squares, small = whole.hi.diagonal(), whole.lo.diagonal()
    outer = multiply(DoubleDouble(squares[:, None], small[:, None]), DoubleDouble(squares, small))
    inner = multiply(whole, whole)
    spread = add(outer, DoubleDouble(-inner.hi, -inner.lo))
    apart = distance > 0
    zeros = torch.zeros_like(distance)
    area = spread.hi.clamp(min=0).sqrt().where(apart, zeros)
    lengths = squares[:, None] + squares[None, :] + 2 * whole.hi.abs()
    uncertain = 2 * lengths * error + 4 * UNIT * (outer.hi + inner.hi)
    uncertain = uncertain + torch.finfo(torch.float64).eps * spread.hi.abs()
    bound = torch.minimum(uncertain / area.clamp(min=1e-300), uncertain.sqrt())
    return area * power**2, bound.where(apart, zeros) * power**2


def _gram(
    second_moment: Float[Tensor, " N"], distance: Float[Tensor, "N N"]
) -> Float[Tensor, "N N"]:
    return (second_moment[:, None] + second_moment[None, :] - distance) / 2


def _check_architecture(architecture: Architecture, depths: Sequence[int]) -> None:
    check_names(architecture.activation, architecture.parametrisation)
    if not depths:
        raise ValueError("no depth is given: name at least one")
    for size, value, least in (("width", architecture.width, 1), ("depth", depths[0], 2)):
        if fault := integer_fault(value, least):
            raise ValueError(f"{size} is {value!r}, but {fault}")


def _checked_inputs(x: Inputs) -> Float[Tensor, "N n_in"]:
    x = as_tensor("x", x, torch.float64)
    if x.ndim != 2 or len(x) == 0 or x.shape[1] == 0:
        raise ValueError(
            f"x has shape {tuple(x.shape)}, but must be (N, n_in) with at least one input and one "
            "feature"
        )
    if x.dtype != torch.float64:
        raise ValueError(f"x is {x.dtype}, but the limit kernel is computed in float64: convert it")
    check_finite("x", x)
    return x
