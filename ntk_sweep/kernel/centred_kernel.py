"""The kernel of centred passes, in float64 or in double-double, with a bound of its own rounding.

Θ = Σ_l (δ^l δ^lᵀ) ∘ (c_l² a^{l-1} a^{l-1}ᵀ + β_l²), with a and δ of
`ntk_sweep.kernel.centred_passes` taken as exact; c and β are those of
`ntk_sweep.network.linear_layer.LayerScale`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.centred_passes import CentredPasses
from ntk_sweep.kernel.double_double_kernel import (
    double_double_errors,
    double_double_kernel,
    rounded_kernel,
)
from ntk_sweep.kernel.extended_passes import extended_passes
from ntk_sweep.kernel.float64_kernel import (
    Float64Kernel,
    float64_entry_errors,
    float64_kernel,
)
from ntk_sweep.kernel.overflow import kernel_overflow
from ntk_sweep.kernel.pass_errors import PassErrors, pass_errors, spread_error
from ntk_sweep.network.layered import LayeredNetwork
from ntk_sweep.numerics.double_double import DoubleDouble
from ntk_sweep.numerics.gram_matrices import GramError
from ntk_sweep.numerics.tensors import all_finite
from ntk_sweep.numerics.thresholds import EXTENDED_ACTIVATIONS, TILE_ROWS

ITERATIONS = 3
"""Of inverse iteration for λ_min."""


@dataclass(frozen=True)
class CentredKernel:
    """Θ of the centred passes of one network, and what a more accurate Θ would be computed from.

    Attributes:
        theta: Θ in float64, exactly symmetric, on the CPU.
        layer_traces: tr Θ_l for each layer, (D,), float64 on the CPU: the share of each layer in
            the trace.
        error: Estimate of ‖Θ - Θ(passes)‖_F.
        pass_errors: The errors of the passes.
        passes: The passes; None where they are not kept.
        entry_errors: As in `Float64Kernel`, (N,) on the CPU; None if they are not known.
        known: Θ in double-double, on the CPU, by its orders: what the caller has, or what was
            computed last.
        network: That of the passes, where they may be repeated in double-double; None elsewhere.
    """

    theta: Float[Tensor, "N N"]
    layer_traces: Float[Tensor, " D"]
    error: float
    pass_errors: PassErrors
    passes: CentredPasses | None
    entry_errors: Float[Tensor, " N"] | None = None
    known: dict[int, DoubleDouble] = field(default_factory=dict)
    network: LayeredNetwork | None = None
    _known_errors: dict[int, GramError] = field(default_factory=dict, init=False, repr=False)

    @property
    def single_precision(self) -> bool:
        """Whether the passes are kept and those of a network in float32."""
        return self.passes is not None and self.passes.outputs.dtype == torch.float32

    @cached_property
    def extended(self) -> CentredKernel | None:
        """The kernel of the passes in double-double; None if there is none.

        There is none of a network that is not known, of an activation without a formula in
        double-double, of more activations than `EXTENDED_ACTIVATIONS`, of equal inputs, whose
        kernel is singular whatever the passes, and where numbers overflow.
        """
        passes, network = self.passes, self.network
        if passes is None or network is None or network.nonlinearity.double_double is None:
            return None
        if sum(rows.rows.numel() for rows in passes.inputs) > EXTENDED_ACTIVATIONS:
            return None
        if passes.network_inputs.has_equals:
            return None
        try:
            return centred_kernel(extended_passes(network, passes.network_inputs))
        except ValueError:
            return None

    def double_double(self, orders: int) -> DoubleDouble:
        """Θ in double-double on the CPU, up to the error of `double_double_errors`.

        Args:
            orders: As in `ntk_sweep.numerics.gram_matrices.gram`.
        """
        if orders not in self.known:
            assert self.passes is not None
            self.known.clear()
            self.known[orders] = double_double_kernel(self.passes, orders).to("cpu")
        return self.known[orders]

    def keep(self, orders: int, theta: DoubleDouble, errors: GramError) -> None:
        """Keeps Θ of so many orders, and its errors, for `double_double`."""
        self.known[orders] = theta.to("cpu")
        self._known_errors[orders] = GramError(*(part.cpu() for part in errors))

    def double_double_error(self, orders: int) -> float:
        """Bound of ‖Θ - Θ(passes)‖_F for Θ of `double_double`; known before that is computed."""
        return float(self.double_double_errors(orders).norm)

    def double_double_errors(self, orders: int) -> GramError:
        """The error of Θ of `double_double`, on the CPU; known before that is computed."""
        if orders not in self._known_errors:
            assert self.passes is not None
            norm, entries = double_double_errors(self.passes, orders)
            self._known_errors[orders] = GramError(norm.cpu(), entries.cpu())
        return self._known_errors[orders]


def centred_kernel(
    passes: CentredPasses,
    refinable: bool = True,
    network: LayeredNetwork | None = None,
    target: float = 0.0,
) -> CentredKernel:
    """Θ in float64, whatever the dtype of the passes.

    It comes from Gram matrices in float64 where their errors leave hope of the target; else it is
    rounded from double-double, which takes two to three times as long and errs less.

    Args:
        passes: From `ntk_sweep.kernel.centred_passes.centred_passes`.
        refinable: Whether Θ in double-double may be asked for; if not, the passes are not kept.
        network: That of the passes, for `CentredKernel.extended`.
        target: The relative error that is asked of the eigenvalues; 0 for the Θ that errs less.

    Raises:
        ValueError: The network's output, Θ or a bound of the passes' errors is not finite.
    """
    plain: Float64Kernel | None = None
    refined: tuple[DoubleDouble, GramError] | None = None
    few, centres = len(passes.outputs) <= TILE_ROWS, [a.centre for a in passes.inputs[1:]]
    roundable = few and all(centre is not None for centre in centres)
    if target > 0 or not roundable:
        plain = float64_kernel(passes)
    if roundable and (plain is None or not _is_hopeful(plain, target)):
        plain = None  # gives back its memory
        rounded, refined = rounded_kernel(passes)
        if bool((rounded.entry_errors <= float64_entry_errors(passes)).all()):
            plain = rounded
    if plain is None:
        plain = float64_kernel(passes)  # centre and rows cancel
    theta, traces, error, entries, common = plain
    errors = pass_errors(passes, common)
    if not all(map(all_finite, (passes.outputs, theta, error, errors.shared, errors.rows))):
        raise kernel_overflow(passes, theta, traces)
    kernel = CentredKernel(
        theta=theta.cpu(),
        layer_traces=traces.cpu(),
        error=float(error),
        pass_errors=errors.cpu(),
        passes=passes if refinable else None,
        entry_errors=entries.cpu(),
        network=network,
    )
    if refined is not None and refinable:
        kernel.keep(0, *refined)
    return kernel


def _is_hopeful(kernel: Float64Kernel, target: float) -> bool:
    """Whether the errors of Θ leave hope of a relative error of λ_min.

    Inverse iteration gives an upper bound of λ_min, which was never twice λ_min in the networks of
    `benchmarks.sweep.grid_profile`.
    """
    theta = kernel.theta
    lower, failed = torch.linalg.cholesky_ex(theta)
    if bool(failed):
        return False
    vector = torch.ones_like(theta[:, :1])
    vector[1::2] = -1
    for _ in range(ITERATIONS):
        vector = torch.cholesky_solve(vector, lower)
        vector /= torch.linalg.vector_norm(vector)
    above = float((vector * (theta @ vector)).sum())
    return spread_error(kernel.entry_errors) <= target * above
