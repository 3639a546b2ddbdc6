"""Where the centred passes overflow, the kernel that is made of them, or a bound of its error."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.centred_passes import CentredPasses
from ntk_sweep.kernel.centred_rows import CentredRows
from ntk_sweep.numerics.tensors import all_finite, overflow


def squares_overflow(
    theta: Float[Tensor, "N N"], layer_traces: Float[Tensor, " D"]
) -> ValueError | None:
    """The error of a kernel whose ‖Θ‖_F² overflows: solvers fail then, or their bounds do.

    Args:
        theta: Θ.
        layer_traces: tr Θ_l.
    """
    if torch.isfinite(torch.linalg.matrix_norm(theta)):
        return None
    layer = 1 + int(layer_traces.argmax())
    place = f"the squares of its entries, greatest in layer {layer}"
    return overflow("the kernel", place, torch.float64)


def kernel_overflow(
    passes: CentredPasses, theta: Float[Tensor, "N N"], layer_traces: Float[Tensor, " D"]
) -> ValueError:
    """The error of a kernel, or of a bound of its error, that is not finite.

    It names the first part of the passes that is not finite, from the inputs to the outputs and
    back; where all are, what is made of them.

    Args:
        passes: The passes.
        theta: Their kernel.
        layer_traces: tr Θ_l.
    """
    for place, values in _values(passes):
        if not all_finite(values):
            return overflow("the kernel", place, values.dtype)
    if (error := squares_overflow(theta, layer_traces)) is not None:
        return error
    largest = [
        float(torch.cat((a.row_errors, delta.row_errors)).nan_to_num(torch.inf).max())
        for a, delta in zip(passes.inputs, passes.gradients, strict=True)
    ]
    layer = 1 + max(range(len(largest)), key=largest.__getitem__)
    place = f"the squares of the bounds of its layers, greatest in layer {layer}"
    return overflow("the error bound of the kernel", place, torch.float64)


def _values(passes: CentredPasses) -> list[tuple[str, Tensor]]:
    """The parts of the passes and their names, in the order in which they are computed."""
    depth = len(passes.inputs)
    named: list[tuple[str, Tensor]] = []
    for layer, a in enumerate(passes.inputs):
        named += _parts(f"the outputs of layer {layer}" if layer else "the inputs of layer 1", a)
    named.append((f"the outputs of layer {depth}", passes.outputs))
    for layer in range(depth, 0, -1):
        named += _parts(f"the gradients of layer {layer}", passes.gradients[layer - 1])
    return named


def _parts(name: str, rows: CentredRows) -> list[tuple[str, Tensor]]:
    centre = [] if rows.centre is None else [(name, rows.centre)]
    return [*centre, (name, rows.rows), (f"the squares of {name}", rows.row_norms)]
