"""The plain implementations: slow, written from the definitions alone, and sharing no code with the
package."""

import itertools

import torch
from torch.nn import functional

ACTIVATIONS = {
    "relu": functional.relu,
    "elu": functional.elu,
    "lrelu": lambda z: functional.leaky_relu(z, negative_slope=0.01),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "gelu": functional.gelu,
    "silu": functional.silu,
}
PARAMETRISATIONS = ("thesis", "ntk", "standard")
COMBINATIONS = list(itertools.product(ACTIVATIONS, PARAMETRISATIONS))


def scale(parametrisation, layer, depth, fan_in, fan_out):
    """The number n of which c_l = 1/√n; `layer` counts from 1."""
    if parametrisation == "ntk":
        return fan_in
    if parametrisation == "thesis" and layer < depth:
        return fan_out
    return 1


def forward(weights, biases, activation, parametrisation, x, weight_std=1.0, bias_std=1.0):
    """f(x) of each row of x, layer by layer as it is defined."""
    depth = len(weights)
    if parametrisation == "standard":  # the scales belong to the draws
        weight_std, bias_std = 1.0, None if bias_std is None else 1.0
    if bias_std is None:
        biases, bias_std = [0.0] * depth, 0.0
    for layer, (w, b) in enumerate(zip(weights, biases, strict=True), start=1):
        n = scale(parametrisation, layer, depth, w.shape[1], w.shape[0])
        x = weight_std * x @ w.T / n**0.5 + bias_std * b
        if layer < depth:
            x = ACTIVATIONS[activation](x)
    return x[:, 0]


def jacobian(network, x):
    """∂f(x_i)/∂θ_k for every parameter, by automatic differentiation, (N, P)."""

    scales = network.weight_std, network.bias_std

    def outputs(weights, biases):
        return forward(weights, biases, network.activation, network.parametrisation, x, *scales)

    blocks = torch.func.jacrev(outputs, argnums=(0, 1))(
        tuple(network.weights), tuple(network.biases)
    )
    return torch.cat([block.reshape(len(x), -1) for kind in blocks for block in kind], dim=1)


def layer_kernels(network, x):
    """Θ_l = J_l J_lᵀ over the parameters of each layer, (D, N, N)."""
    sizes = [parameter.numel() for parameter in (*network.weights, *network.biases)]
    blocks = jacobian(network, x).split(sizes, dim=1)
    kernels = torch.stack([block @ block.T for block in blocks])
    own, biases = kernels[: network.depth], kernels[network.depth :]
    return own + biases if len(biases) else own


def empirical_ntk(network, x):
    """Θ = J Jᵀ."""
    J = jacobian(network, x)
    return J @ J.T
