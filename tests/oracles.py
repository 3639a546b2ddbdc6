"""The plain implementations: slow, written from the definitions alone, and sharing no code with the package."""

import itertools

import mpmath
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

DIGITS = 60
"""Of the multi-precision oracle: far more than any cancellation in float64 tests can eat."""


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

    blocks = torch.func.jacrev(outputs, argnums=(0, 1))(tuple(network.weights), tuple(network.biases))
    return torch.cat([block.reshape(len(x), -1) for kind in blocks for block in kind], dim=1)


def empirical_ntk(network, x):
    """Θ = J Jᵀ."""
    J = jacobian(network, x)
    return J @ J.T


def exact_spectrum(network, x):
    """All eigenvalues of Θ for the network's weights as they are stored, ascending, in multi-precision arithmetic."""
    with mpmath.workdps(DIGITS):
        gradients = [_exact_gradient(network, row) for row in x.double().tolist()]
        kernel = mpmath.matrix(len(gradients))
        for i, j in itertools.product(range(len(gradients)), repeat=2):
            kernel[i, j] = mpmath.fdot(gradients[i], gradients[j])
        return sorted(mpmath.eigsy(kernel, eigvals_only=True))


def _exact_gradient(network, row):
    """The gradient of f at one input, all parameters in one list."""
    mpf, depth = mpmath.mpf, network.depth
    weights = [[[mpf(v) for v in line] for line in w.double().tolist()] for w in network.weights]
    biases = [[mpf(v) for v in b.double().tolist()] for b in network.biases]
    factors = [
        1 / mpmath.sqrt(scale(network.parametrisation, layer, depth, len(w[0]), len(w))) for layer, w in enumerate(weights, start=1)
    ]
    inputs, slopes = [[mpf(v) for v in row]], []
    for w, b, c in zip(weights[:-1], biases[:-1], factors[:-1], strict=True):
        z = [c * mpmath.fdot(line, inputs[-1]) + bias for line, bias in zip(w, b, strict=True)]
        pairs = [_exact_activation(network.activation, value) for value in z]
        inputs.append([value for value, _ in pairs])
        slopes.append([slope for _, slope in pairs])
    delta, gradient = [mpf(1)], []
    for layer in range(depth - 1, -1, -1):
        gradient += [factors[layer] * d * a for d in delta for a in inputs[layer]] + delta
        if layer:
            columns = zip(*weights[layer], strict=True)
            back = [factors[layer] * mpmath.fdot(column, delta) for column in columns]
            delta = [value * slope for value, slope in zip(back, slopes[layer - 1], strict=True)]
    return gradient


def _exact_activation(name, z):
    """σ(z) and σ'(z)."""
    if name == "sigmoid":
        value = 1 / (1 + mpmath.exp(-z))
        return value, value * (1 - value)
    if z > 0:
        return z, mpmath.mpf(1)
    if name == "elu":
        return mpmath.expm1(z), mpmath.exp(z)
    slope = mpmath.mpf(0.01 if name == "lrelu" else 0)
    return slope * z, slope
