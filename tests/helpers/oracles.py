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


def forward(weights, biases, activation, parametrisation, x):
    """f(x) of each row of x, layer by layer as it is defined."""
    depth = len(weights)
    for layer, (w, b) in enumerate(zip(weights, biases, strict=True), start=1):
        x = x @ w.T / scale(parametrisation, layer, depth, w.shape[1], w.shape[0]) ** 0.5 + b
        if layer < depth:
            x = ACTIVATIONS[activation](x)
    return x[:, 0]


def jacobian(network, x):
    """∂f(x_i)/∂θ_k for every parameter, by automatic differentiation, (N, P)."""

    def outputs(weights, biases):
        return forward(weights, biases, network.activation, network.parametrisation, x)

    blocks = torch.func.jacrev(outputs, argnums=(0, 1))(
        tuple(network.weights), tuple(network.biases)
    )
    return torch.cat([block.reshape(len(x), -1) for kind in blocks for block in kind], dim=1)


def empirical_ntk(network, x):
    """Θ = J Jᵀ."""
    J = jacobian(network, x)
    return J @ J.T
