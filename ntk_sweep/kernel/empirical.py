"""The empirical neural tangent kernel, layer by layer; no Jacobian is ever formed."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.fully_connected import Inputs, Network
from ntk_sweep.numerics.double_double import symmetric_product
from ntk_sweep.numerics.tensors import all_finite, overflow


def empirical_ntk(network: Network, x: Inputs) -> Float[Tensor, "N N"]:
    """Θ_ij = Σ_k ∂f(x_i)/∂θ_k · ∂f(x_j)/∂θ_k over all weights and biases.

    For a fully connected network the sum over the parameters of layer l factorises (Khatri-Rao
    structure of the Jacobian):

        Θ = Σ_l (δ^l δ^{lT}) ∘ (σ_w² c_l² a^{l-1} a^{l-1T} + σ_b²),

    where σ_b² is the bias (under `standard` both scales count as 1 here). Cost: three products of
    size N × n × n (forward, backward) or N × N × n (Gram matrices) a layer. Source:
    Jacot, Gabriel, Hongler 2018, section 4.

    Args:
        network: The network, at its present weights.
        x: N inputs: a NumPy array, lists, or a tensor of the network's dtype and on its device.

    Returns:
        Θ, exactly symmetric, in the network's dtype. Its entries err by a few roundings, its small
        eigenvalues by about N ε λ_max: `ntk_spectrum` is for these.

    Raises:
        ValueError: `x` does not fit the network or is not finite, or the kernel overflows.

    Example:
        >>> network = Network.initialise(2, 3, 2, "relu", "standard", seed=0)
        >>> theta = empirical_ntk(network, [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> theta.shape, bool((theta == theta.T).all())
        (torch.Size([3, 3]), True)
    """
    passes = network.passes(x)
    size = len(passes.outputs)
    theta = passes.outputs.new_zeros(size, size)
    layers = zip(passes.inputs, passes.gradients, network.scales, strict=True)
    for number, (inputs, gradients, scale) in enumerate(layers, start=1):
        gram = symmetric_product(inputs)
        theta += scale.gram(gram, out=gram).mul_(symmetric_product(gradients))
        if not all_finite(theta):
            raise overflow("the kernel", f"the products of layer {number}", theta.dtype)
    return theta
