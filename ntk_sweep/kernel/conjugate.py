"""The conjugate kernel: the covariance of outputs that the last layer alone makes."""

from __future__ import annotations

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.centred_passes import CentredPasses
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.network.fully_connected import Inputs, Network, OtherInputs
from ntk_sweep.network.linear_layer import LayerScale
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.numerics.sliced_products import symmetric_product
from ntk_sweep.numerics.tensors import all_finite, overflow


def conjugate_kernel(
    network: Network, x: Inputs, x2: OtherInputs | None = None
) -> Float[Tensor, "N M"]:
    """Cov[f(x_i), f(x'_j)] over draws of the last layer, the hidden layers being as they are.

    With weights of variance v_D and biases of variance w_D at initialisation, it is

        K = σ_w² c_D² a^{D-1} a'^{D-1T} + σ_b²        for `thesis` and `ntk`, where v_D = w_D = 1
        K = v_D a^{D-1} a'^{D-1T} + w_D,  v_D = σ_w²/n_{D-1}, w_D = σ_b²        for `standard`.

    Under `thesis` and `ntk` this is also the last layer's part of the NTK. Under `standard` that
    part is a^{D-1} a'^{D-1T} + 1. For growing widths K tends to `limit_nngp`. The name is that of
    Fan and Wang 2020, and before of Daniely et al. 2016, for a network without biases.

    Args:
        network: The network, at its present weights, of which those of the last layer do not count.
        x: N inputs: a NumPy array, lists, or a tensor of the network's dtype and on its device.
        x2: The M inputs x', likewise; None for x itself.

    Returns:
        K, (N, M), in the network's dtype; for one set of inputs exactly symmetric.

    Raises:
        ValueError: `x` or `x2` does not fit the network or is not finite, or the kernel overflows.

    Example:
        >>> network = Network.initialise(2, 3, 2, "relu", "ntk", seed=0, bias_std=None)
        >>> kernel = conjugate_kernel(network, [[1.0, 0.0], [2.0, 0.0]])
        >>> bool((kernel[0] * 2 == kernel[1]).all())
        True
    """
    rows = network.last_hidden(network.as_inputs(x))
    if x2 is None:
        gram = symmetric_product(rows)
    else:
        gram = rows @ network.last_hidden(network.as_inputs(x2, "x2")).T
    scale = _scale(network, rows.shape[1])
    kernel = scale.gram(gram, out=gram)
    if not all_finite(kernel):
        raise overflow("the conjugate kernel", "the products of the last layer", kernel.dtype)
    return kernel


def conjugate_passes(passes: CentredPasses, architecture: Architecture) -> CentredPasses:
    """Passes whose kernel is K: those of the last layer, which alone is drawn anew.

    What serves the NTK, such as the errors of its passes, so serves K too.

    Args:
        passes: From `ntk_sweep.kernel.centred_passes.centred_passes`.
        architecture: Of the network.
    """
    scale = _scale(architecture, passes.inputs[-1].rows.shape[-1])
    return replace(
        passes, inputs=passes.inputs[-1:], gradients=passes.gradients[-1:], scales=(scale,)
    )


def _scale(network: Network | Architecture, fan_in: int) -> LayerScale:
    """The deviations √v_D and √w_D of what weights and bias of the last layer add to f."""
    own = PARAMETRISATIONS[network.parametrisation].layer(
        fan_in, 1, True, network.weight_std, network.bias_std
    )
    return LayerScale(own.weight * own.weight_deviation, own.bias * own.bias_deviation)
