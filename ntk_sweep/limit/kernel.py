"""The infinite-width kernels and their spectra, predicted for each width.

`docs/theory/limit.md` derives the recursion. Dimension letters in the annotations: N and M inputs,
n_in features of an input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.limit.recursion import LimitKernel, LimitKernels, check_overflow, kernels_by_depth
from ntk_sweep.network.architecture import Architecture, check_names
from ntk_sweep.network.fully_connected import Inputs, OtherInputs
from ntk_sweep.network.integers import integer_fault
from ntk_sweep.numerics.tensors import as_tensor, check_finite
from ntk_sweep.spectrum.spectrum import Spectrum

ROWS_AT_ONCE = 512
"""Rows of a kernel that are compared with its columns, lest another kernel be held."""


def limit_ntk(
    x: Inputs,
    activation: str,
    width: int,
    depth: int,
    parametrisation: str,
    weight_std: float = 1.0,
    bias_std: float | None = 1.0,
    x2: OtherInputs | None = None,
) -> Float[Tensor, "N M"]:
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
        x2: M ≥ 1 other inputs, likewise, for the kernel between the two sets; None for x itself.

    Raises:
        ValueError: A name is unknown, a size or a scale out of range, `x` or `x2` empty, not finite
            or not float64, their numbers of features differ, or the kernel overflows.

    Example:
        >>> x = torch.eye(2, dtype=torch.float64)
        >>> limit_ntk(x, "relu", width=100, depth=2, parametrisation="ntk")
        tensor([[2.5000, 1.9102],
                [1.9102, 2.5000]], dtype=torch.float64)
        >>> limit_ntk(x, "relu", width=100, depth=2, parametrisation="ntk", x2=[[0.0, 1.0]])
        tensor([[1.9102],
                [2.5000]], dtype=torch.float64)
    """
    architecture = Architecture(activation, width, depth, parametrisation, weight_std, bias_std)
    return _single(x, architecture, x2).ntk.kernel


def limit_nngp(
    x: Inputs,
    activation: str,
    width: int,
    depth: int,
    parametrisation: str,
    weight_std: float = 1.0,
    bias_std: float | None = 1.0,
    x2: OtherInputs | None = None,
) -> Float[Tensor, "N M"]:
    """K_n, the covariance of the outputs of wide networks at initialisation (NNGP kernel).

    Over draws of all weights and biases, outputs of networks of growing widths tend to a Gaussian
    process with this covariance (Lee et al. 2018, section 2.3; Matthews et al. 2018).
    It is K^D in the recursion of `limit_ntks`, and what `conjugate_kernel` of a network tends to.
    Under `thesis`, whose last layer is not scaled, it grows like n.

    It takes the arguments of `limit_ntk` and raises its errors.

    Example:
        >>> x = torch.eye(2, dtype=torch.float64)
        >>> limit_nngp(x, "relu", width=100, depth=2, parametrisation="ntk")
        tensor([[1.7500, 1.5441],
                [1.5441, 1.7500]], dtype=torch.float64)
    """
    architecture = Architecture(activation, width, depth, parametrisation, weight_std, bias_std)
    return _with_nngp(depth, _single(x, architecture, x2)).nngp.kernel


def limit_kernels(
    x: Inputs,
    activation: str,
    width: int,
    depth: int,
    parametrisation: str,
    weight_std: float = 1.0,
    bias_std: float | None = 1.0,
    x2: OtherInputs | None = None,
) -> LimitKernels:
    """Both limit kernels from one recursion, each with a bound of its error.

    It takes the arguments of `limit_ntk` and raises its errors.

    Example:
        >>> x = torch.eye(2, dtype=torch.float64)
        >>> kernels = limit_kernels(x, "relu", width=100, depth=2, parametrisation="ntk")
        >>> kernels.nngp.kernel[0, 0] < kernels.ntk.kernel[0, 0], kernels.ntk.error_norm < 1e-12
        (tensor(True), True)
    """
    architecture = Architecture(activation, width, depth, parametrisation, weight_std, bias_std)
    return _with_nngp(depth, _single(x, architecture, x2))


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
    return limit_kernel_spectrum(_single(x, architecture, None).ntk)


def limit_kernel_spectrum(limit: LimitKernel) -> Spectrum:
    """Eigenvalues of Θ̄, or of K, with one absolute bound, ‖δΘ̄‖₂ + N ε λ_max, for all of them.

    The first part is the kernel's own error and the second the solver's (LAPACK Users' Guide,
    section 4.7). Weyl's inequality turns both into errors of every eigenvalue. A computed
    negative eigenvalue is replaced by the nearer value 0. Those below the bound are unresolved
    (`Spectrum.resolved`).

    Raises:
        ValueError: The kernel is one between two sets of inputs.

    Example:
        >>> x = torch.tensor([[1.0], [1.0], [2.0]], dtype=torch.float64)
        >>> kernels = limit_ntks(x, "erf", width=100, depths=(2, 3), parametrisation="ntk")
        >>> limit_kernel_spectrum(kernels[3]).resolved
        tensor([False,  True,  True])
    """
    kernel = limit.kernel
    if len(kernel) != kernel.shape[1] or _asymmetry(kernel) > 2 * limit.error_norm:
        raise ValueError(
            f"the kernel, {tuple(kernel.shape)}, is not symmetric, but only a kernel of one "
            "set of inputs has eigenvalues: leave x2 out"
        )
    eigenvalues = torch.linalg.eigvalsh(kernel)
    solver = solver_error(len(eigenvalues), float(eigenvalues[-1].abs()))
    errors = torch.full_like(eigenvalues, limit.error_norm + solver)
    return Spectrum(eigenvalues.clamp(min=0), errors, method="limit")


def solver_error(size: int, greatest: float) -> float:
    """What LAPACK's eigenvalues of N inputs err by, N ε λ_max."""
    return torch.finfo(torch.float64).eps * size * greatest


def _asymmetry(kernel: Float[Tensor, "N N"]) -> float:
    """The greatest difference of an entry and its mirror image."""
    columns = kernel.split(ROWS_AT_ONCE, dim=1)
    pairs = zip(kernel.split(ROWS_AT_ONCE), columns, strict=True)
    return max(float((rows - other.T).abs().max()) for rows, other in pairs)


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
    return {depth: kernels.ntk for depth, kernels in limits_of(x, architecture, depths)}


def limits_of(
    x: Inputs, architecture: Architecture, depths: Iterable[int], x2: OtherInputs | None = None
) -> Iterator[tuple[int, LimitKernels]]:
    """Both kernels of each depth, in ascending order; the depth of the architecture does not count.

    Overflow of K is not looked for, as in `kernels_by_depth`.
    """
    depths = sorted(set(depths))
    _check_architecture(architecture, depths)
    x = _checked_inputs("x", x)
    others = None if x2 is None else _checked_inputs("x2", x2)
    if others is not None and others.shape[1] != x.shape[1]:
        raise ValueError(
            f"x2 has shape {tuple(others.shape)}, but x has {x.shape[1]} features: both sets must "
            "have the same"
        )
    return kernels_by_depth(x, others, replace(architecture, depth=depths[-1]), depths)


def _single(x: Inputs, architecture: Architecture, x2: OtherInputs | None) -> LimitKernels:
    """The kernels of the architecture itself."""
    ((_, kernels),) = limits_of(x, architecture, (architecture.depth,), x2)
    return kernels


def _with_nngp(depth: int, kernels: LimitKernels) -> LimitKernels:
    """The kernels, if K did not overflow."""
    nngp, place = kernels.nngp, f"the entries of depth {depth}, or their error bounds"
    check_overflow("the covariance of the outputs", place, nngp.kernel, nngp.error_norm)
    return kernels


def _check_architecture(architecture: Architecture, depths: Sequence[int]) -> None:
    check_names(architecture.activation, architecture.parametrisation)
    if not depths:
        raise ValueError("no depth is given: name at least one")
    for size, value, least in (("width", architecture.width, 1), ("depth", depths[0], 2)):
        if fault := integer_fault(value, least):
            raise ValueError(f"{size} is {value!r}, but {fault}")


def _checked_inputs(name: str, x: Inputs) -> Float[Tensor, "N n_in"]:
    x = as_tensor(name, x, torch.float64)
    if x.ndim != 2 or len(x) == 0 or x.shape[1] == 0:
        raise ValueError(
            f"{name} has shape {tuple(x.shape)}, but must be (N, n_in) with at least one input and "
            "one feature"
        )
    if x.dtype != torch.float64:
        raise ValueError(
            f"{name} is {x.dtype}, but the limit kernel is computed in float64: convert it"
        )
    check_finite(name, x)
    return x
