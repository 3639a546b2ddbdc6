"""The empirical neural tangent kernel, layer by layer; no Jacobian is ever formed."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.fully_connected import Inputs, Network, OtherInputs
from ntk_sweep.numerics.sliced_products import symmetric_product
from ntk_sweep.numerics.tensors import all_finite, overflow


def empirical_ntk(
    network: Network, x: Inputs, x2: OtherInputs | None = None
) -> Float[Tensor, "N M"]:
    """Θ_ij = Σ_k ∂f(x_i)/∂θ_k · ∂f(x'_j)/∂θ_k over all weights and biases.

    For a fully connected network the sum over the parameters of layer l factorises (Khatri-Rao
    structure of the Jacobian):

        Θ = Σ_l (δ^l δ'^{lT}) ∘ (σ_w² c_l² a^{l-1} a'^{l-1T} + σ_b²),

    where σ_b² is the bias (under `standard` both scales count as 1 here); letters with a prime
    belong to the inputs x'. Cost: three products of size N × n × n (forward, backward) or N × M × n
    (Gram matrices) a layer. Source: Jacot, Gabriel, Hongler 2018.

    Args:
        network: The network, at its present weights.
        x: N inputs: a NumPy array, lists, or a tensor of the network's dtype and on its device.
        x2: The M inputs x', likewise; None for x itself.

    Returns:
        Θ, (N, M), in the network's dtype; for one set of inputs exactly symmetric. Its entries err
        by a few roundings, of which `empirical_kernels` gives bounds, its small eigenvalues by
        about N ε λ_max: `ntk_spectrum` is for these.

    Raises:
        ValueError: `x` or `x2` does not fit the network or is not finite, or the kernel overflows.

    Example:
        >>> network = Network.initialise(2, 3, 2, "relu", "standard", seed=0)
        >>> theta = empirical_ntk(network, [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> theta.shape, bool((theta == theta.T).all())
        (torch.Size([3, 3]), True)
        >>> empirical_ntk(network, [[1.0, 0.0]], [[0.5, 0.5], [0.0, 2.0]]).shape
        torch.Size([1, 2])
    """
    passes = network.passes(x)
    others = None if x2 is None else network.passes(network.as_inputs(x2, "x2"))
    columns = passes if others is None else others
    theta = passes.outputs.new_zeros(len(passes.outputs), len(columns.outputs))
    for index, scale in enumerate(network.scales):
        rows = passes.inputs[index], passes.gradients[index]
        if others is None:
            gram, gradients = map(symmetric_product, rows)
        else:
            gram = rows[0] @ others.inputs[index].T
            gradients = rows[1] @ others.gradients[index].T
        theta += scale.gram(gram, out=gram).mul_(gradients)
        if not all_finite(theta):
            raise overflow("the kernel", f"the products of layer {index + 1}", theta.dtype)
    return theta
