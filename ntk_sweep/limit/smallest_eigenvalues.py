"""The limit kernels and λ_min where float64 entries do not determine it.

Dimension letters in the annotations: N inputs, n_in features of an input.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.limit.extended_recursion import FLOAT64_BITS, extended_kernels
from ntk_sweep.limit.recursion import LimitKernels
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.numerics.dominated_eigenvalue import SmallestEigenvalue
from ntk_sweep.numerics.double_double import (
    DoubleDouble,
    symmetric,
)
from ntk_sweep.numerics.smallest_eigenvalue import LEFT_PER_ROW, smallest_eigenvalue

_BITS = (FLOAT64_BITS, 58, 84)
"""Of the differences between entries, one after the other where the first are too few. With 58 the
relative error of λ_min was below 1e-7 in all 360 sigmoid cells of digits and Fashion-MNIST."""


@dataclass(frozen=True)
class SharpLimit:
    """What the recursion beyond float64 finds at one depth.

    Attributes:
        kernels: Θ̄ and K, rounded to float64.
        lambda_min: That of Θ̄, with an error that holds for the exact Θ̄, to first order.
    """

    kernels: LimitKernels
    lambda_min: SmallestEigenvalue


def sharp_limits(
    x: Float[Tensor, "N n_in"],
    architecture: Architecture,
    depths: Collection[int],
    target: float,
) -> dict[int, SharpLimit]:
    """The limits at these depths; those that are out of reach are left out.

    With identical inputs λ_min is zero, and none is returned.

    Args:
        x: N inputs, finite.
        architecture: The network; its depth does not count.
        depths: The depths wanted.
        target: The relative error of λ_min at which no further digits are sought.

    Example:
        >>> x = torch.tensor([[0.0], [0.1]], dtype=torch.float64)
        >>> network = Architecture("sigmoid", width=50, depth=12, parametrisation="ntk")
        >>> least = sharp_limits(x, network, [12], target=1e-6)[12].lambda_min
        >>> f"{least.value:.6e}", least.error < 1e-6 * least.value
        ('5.194419e-17', True)
    """
    found: dict[int, SharpLimit] = {}
    if len(torch.unique(x, dim=0)) < len(x):
        return found
    size, left = len(x), set(depths)
    for bits in _BITS:
        if not left:
            break
        deepest = replace(architecture, depth=max(left))
        for depth, both in extended_kernels(x, deepest, sorted(left), bits):
            kernel = both.ntk
            differences = DoubleDouble(*(symmetric(part, size) for part in kernel.differences))
            least = smallest_eigenvalue(kernel.common, differences, kernel.error_norm)
            error = least.error + kernel.error_norm
            if depth not in found or error < found[depth].lambda_min.error:
                kernels = LimitKernels(both.ntk.rounded(size), both.nngp.rounded(size))
                found[depth] = SharpLimit(kernels, SmallestEigenvalue(least.value, error))
            # float64 is to leave no more than double-double would
            wanted = min(target, LEFT_PER_ROW * size) if bits == FLOAT64_BITS else target
            if error <= wanted * least.value:
                left.discard(depth)
    return found
