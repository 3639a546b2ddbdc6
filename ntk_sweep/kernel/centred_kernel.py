"""The kernel of centred passes, in float64 or in double-double, with a bound of its own rounding.

Θ = Σ_l (δ^l δ^lᵀ) ∘ (c_l² a^{l-1} a^{l-1}ᵀ + β_l²), with a and δ of
`ntk_sweep.kernel.centred_passes` taken as exact; c and β are those of
`ntk_sweep.network.linear_layer.LayerScale`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.centred_passes import CentredPasses
from ntk_sweep.kernel.centred_rows import CentredRows, gram_errors_of, stacked
from ntk_sweep.kernel.extended_passes import extended_passes
from ntk_sweep.kernel.overflow import kernel_overflow
from ntk_sweep.kernel.pass_errors import PassErrors, add_common_covariance, pass_errors
from ntk_sweep.kernel.rounding import least_of, root_sum, unit_of
from ntk_sweep.kernel.short_rows import ShortRows, short_rows_errors
from ntk_sweep.network.layered import LayeredNetwork
from ntk_sweep.network.linear_layer import LayerGrams, LayerScale, summed_layers
from ntk_sweep.numerics.double_double import (
    ADD_USUAL,
    MULTIPLY_USUAL,
    UNIT,
    DoubleDouble,
    GramError,
    symmetric,
    symmetric_product,
)
from ntk_sweep.numerics.gram_tiles import mirrored, upper_tiles
from ntk_sweep.numerics.tensors import all_finite
from ntk_sweep.numerics.thresholds import EXTENDED_ACTIVATIONS, TILE_ROWS


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
            orders: As in `ntk_sweep.numerics.double_double.gram`.
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
    passes: CentredPasses, refinable: bool = True, network: LayeredNetwork | None = None
) -> CentredKernel:
    """Θ in float64, whatever the dtype of the passes.

    Args:
        passes: From `ntk_sweep.kernel.centred_passes.centred_passes`.
        refinable: Whether Θ in double-double may be asked for; if not, the passes are not kept.
        network: That of the passes, for `CentredKernel.extended`.

    Raises:
        ValueError: The network's output, Θ or a bound of the passes' errors is not finite.
    """
    refined: tuple[DoubleDouble, GramError] | None = None
    if len(passes.outputs) <= TILE_ROWS and all(a.centre is not None for a in passes.inputs[1:]):
        plain, refined = rounded_kernel(passes)
    else:
        plain = float64_kernel(passes)
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


class Float64Kernel(NamedTuple):
    """Θ in float64, of one network or of several side by side.

    Attributes:
        theta: Θ.
        layer_traces: tr Θ_l.
        error: Estimate of ‖Θ - Θ(passes)‖_F.
        entry_errors: w, (N,): entry (i, j) of Θ errs by (w_i w_j)^½ in root mean square, entries
            independently; w_i counts once for each input that rounds like i.
        common: The sum of `pass_errors.add_common_covariance` over the layers; None
            for so many inputs that Θ is computed in tiles.
    """

    theta: Float[Tensor, "*b N N"]
    layer_traces: Float[Tensor, "*b D"]
    error: Float[Tensor, "*b"]
    entry_errors: Float[Tensor, "*b N"]
    common: Float[Tensor, "*b N N"] | None


def float64_kernel(
    passes: CentredPasses,
) -> Float64Kernel:
    """Θ in float64, and what is known of its errors.

    An entry of a Gram matrix errs by about √n u ‖a_i‖ ‖a_j‖ (Higham and Mary 2019:
    independent roundings, u = ε/2), and eight u cover centre + row and the elementwise operations;
    the Frobenius norm of such errors of layer l is at most tr Θ_l.
    """
    outputs = passes.outputs
    tiled = outputs.ndim == 1 and len(outputs) > TILE_ROWS
    theta, traces, common = None, [], None
    error, unit = outputs.new_zeros((), dtype=torch.float64), unit_of(torch.float64)
    entries = torch.zeros_like(outputs, dtype=torch.float64)
    for a, delta, scale in zip(passes.inputs, passes.gradients, passes.scales, strict=True):
        if tiled:
            if theta is None:
                shape = 2 * outputs.shape
                theta = torch.zeros(shape, dtype=torch.float64, device=outputs.device)
            diagonal = _add_in_tiles(theta, a, delta, scale)
        else:
            gradients, squares = delta.gram(), scale.gram(a.gram())
            layer = gradients * squares
            theta = layer if theta is None else theta + layer
            if common is None:
                zeros = torch.zeros_like(outputs, dtype=torch.float64)
                common = zeros[..., None] * zeros[..., None, :]
            add_common_covariance(common, a, delta, scale.factor, squares, gradients)
            diagonal = layer.diagonal(dim1=-2, dim2=-1)
        traces.append(diagonal.sum(-1))
        units = unit * (a.rows.shape[-1] ** 0.5 + delta.rows.shape[-1] ** 0.5 + 8)
        entries = entries + units * diagonal
        error = error + units * traces[-1] + underflow_error(a, delta, scale)
    assert theta is not None
    entries = entries * passes.network_inputs.multiplicities
    return Float64Kernel(theta, torch.stack(traces, dim=-1), error, entries, common)


def rounded_kernel(
    passes: CentredPasses,
) -> tuple[Float64Kernel, tuple[DoubleDouble, GramError]]:
    """Θ in double-double to order 0, its error, and the same rounded to float64.

    Rows are short beside their centre, so that their products in float64 err less than those of
    centre + row. It takes longer than `float64_kernel`, and less than both.
    """
    layers = tuple(zip(passes.inputs, passes.gradients, passes.scales, strict=True))
    outputs, short = passes.outputs, ShortRows(passes)
    traces = outputs.new_zeros(len(layers), dtype=torch.float64)
    common = outputs.new_zeros(2 * outputs.shape, dtype=torch.float64)

    def tile(rows: slice, columns: slice) -> DoubleDouble:
        part = common[rows, columns]

        def seen(index: int, inputs: Tensor, gradients: Tensor) -> None:
            a, delta, scale = layers[index]
            add_common_covariance(part, a, delta, scale.factor, inputs, gradients)
            if rows == columns:
                traces[index] += torch.dot(inputs.diagonal(), gradients.diagonal())

        theta = short.tile(rows, columns, seen)
        if rows != columns:
            common[columns, rows] = part.T
        return theta

    theta = _assembled(outputs, tile)
    errors, unit = double_double_errors(passes, 0), unit_of(torch.float64)
    copies = passes.network_inputs.multiplicities
    # |Θ_ij| is at most the root of Θ_ii Θ_jj
    entries = errors.entries / copies + unit * theta.hi.diagonal()
    # squares of independent errors add up to that of the sum of w
    norm = entries.sum() + sum(map(underflow_error, passes.inputs, passes.gradients, passes.scales))
    plain = Float64Kernel(theta.hi, traces, norm, entries * copies, common)
    return plain, (theta, errors)


def layer_kernels(passes: CentredPasses) -> Float[Tensor, "D N N"]:
    """Θ_l = (δ^l δ^lᵀ) ∘ (c_l² a^{l-1} a^{l-1}ᵀ + β_l²) of each layer, on the CPU.

    They are float64 and exactly symmetric, and their sum is Θ of `float64_kernel` to rounding.
    """
    size = passes.outputs.shape[-1]
    theta = torch.empty(len(passes.scales), size, size, dtype=torch.float64)
    layers = zip(passes.inputs, passes.gradients, passes.scales, strict=True)
    for own, (a, delta, scale) in zip(theta, layers, strict=True):
        own.copy_(delta.gram() * scale.gram(a.gram()))
    return theta


def underflow_error(a: CentredRows, delta: CentredRows, scale: LayerScale) -> Float[Tensor, "*b"]:
    """Bound of what underflow costs Θ_l in the Frobenius norm, in float64 or double-double."""
    size, terms = a.rows.shape[-2], a.rows.shape[-1] + delta.rows.shape[-1]
    entries = scale.gram(a.largest_square) + scale.square * delta.largest_square + 1
    return least_of(torch.float64) * size * terms * entries


def _add_in_tiles(
    theta: Float[Tensor, "N N"], a: CentredRows, delta: CentredRows, scale: LayerScale
) -> Float[Tensor, " N"]:
    """Adds Θ_l to Θ tile by tile, those below the diagonal as mirror images.

    Returns:
        The diagonal of Θ_l.
    """
    inputs, gradients, diagonals = a.total, delta.total, []
    for top in range(0, len(theta), TILE_ROWS):
        rows = slice(top, top + TILE_ROWS)
        square = symmetric_product(inputs[rows])
        layer = symmetric_product(gradients[rows]) * scale.gram(square, out=square)
        theta[rows, rows] += layer
        diagonals.append(layer.diagonal().clone())
        for left in range(top + TILE_ROWS, len(theta), TILE_ROWS):
            columns = slice(left, left + TILE_ROWS)
            tile = inputs[rows] @ inputs[columns].T
            layer = scale.gram(tile, out=tile).mul_(gradients[rows] @ gradients[columns].T)
            theta[rows, columns] += layer
            theta[columns, rows] += layer.T
    return torch.cat(diagonals)


def double_double_kernel(passes: CentredPasses, orders: int = 2) -> DoubleDouble:
    """Θ in double-double, up to the error of `double_double_errors`.

    Args:
        passes: The passes.
        orders: As in `ntk_sweep.numerics.double_double.gram`; 0 for `ShortRows`, of one network.
    """
    outputs = passes.outputs
    if orders == 0:
        return _assembled(outputs, ShortRows(passes).tile)
    if outputs.ndim == 1 and len(outputs) > TILE_ROWS:
        return _assembled(outputs, partial(_layers_tile, passes, orders))
    layers = zip(passes.inputs, passes.gradients, passes.scales, strict=True)
    theta = summed_layers(
        LayerGrams(scale, delta.double_double_gram(orders), a.double_double_gram(orders))
        for a, delta, scale in layers
    )
    size = outputs.shape[-1]
    return DoubleDouble(symmetric(theta.hi, size), symmetric(theta.lo, size))


def _assembled(
    outputs: Float[Tensor, " N"], tile: Callable[[slice, slice], DoubleDouble]
) -> DoubleDouble:
    """Θ from its tiles; those below the diagonal are mirror images.

    Args:
        outputs: Gives size and device.
        tile: Takes rows and columns; exactly symmetric where they are the same.
    """
    theta = [outputs.new_empty(2 * outputs.shape, dtype=torch.float64) for _ in range(2)]
    for rows, columns in upper_tiles(len(outputs)):
        for whole, part in zip(theta, tile(rows, columns), strict=True):
            whole[rows, columns] = part
            if rows != columns:
                whole[columns, rows] = part.mT
    return DoubleDouble(*theta)


def _layers_tile(passes: CentredPasses, orders: int, rows: slice, columns: slice) -> DoubleDouble:
    """A tile of Θ, exactly symmetric on the diagonal."""
    tile = summed_layers(
        LayerGrams(
            scale,
            delta.double_double_tile(rows, columns, orders),
            a.double_double_tile(rows, columns, orders),
        )
        for a, delta, scale in zip(passes.inputs, passes.gradients, passes.scales, strict=True)
    )
    return DoubleDouble(*map(mirrored, tile)) if rows == columns else tile


def double_double_errors(passes: CentredPasses, orders: int = 2) -> GramError:
    """The error Θ - Θ(passes) of Θ of `double_double_kernel`, without computing it.

    ‖P ∘ Q‖_F ≤ max|P| ‖Q‖_F, and the entries of a Gram matrix are bounded by the greatest square of
    a row's norm. The mean squares of independent roundings add up, and Σ_l x_li x_lj is at most the
    product of the lengths of x_i and x_j. An input that k inputs round like has k times its own
    share of `entries`.
    """
    layers = list(zip(passes.inputs, passes.gradients, passes.scales, strict=True))
    size, depth = passes.outputs.shape[-1], len(layers)
    of_a, of_delta = (gram_errors_of(rows, orders) for rows in (passes.inputs, passes.gradients))
    squares = stacked([scale.gram(a.squares) for a, _, scale in layers])
    lengths = stacked([delta.squares for _, delta, _ in layers])
    factors = lengths.new_tensor([scale.square for *_, scale in layers])
    factors = factors.reshape(-1, *(lengths.ndim - 1) * [1])
    # two products of half a UNIT, and a quarter for each sum, of which there is one a layer and a
    # few more
    worst = (2 + depth / 4) * UNIT
    usual = (2 * MULTIPLY_USUAL**2 + (depth + 4) * ADD_USUAL**2) ** 0.5
    inputs, gradients = squares.amax(-1), lengths.amax(-1)
    error = (
        of_delta.norm * inputs
        + factors[..., 0] * of_a.norm * gradients
        + worst * size * inputs * gradients
    ).sum(0) + sum(map(underflow_error, *zip(*layers, strict=True)))
    products = (of_delta.entries * squares, factors * of_a.entries * lengths)
    entries = root_sum(*products, usual * squares * lengths).square().sum(0).sqrt()
    if orders == 0:
        more = short_rows_errors(passes)
        error, entries = error + more.norm, root_sum(entries, more.entries)
    return GramError(error, entries * passes.network_inputs.multiplicities)
