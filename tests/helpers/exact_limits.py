"""The infinite-width kernels of activations with closed-form duals, in mpmath's precision."""

from functools import partial

import mpmath as mp

from tests.helpers import oracles


def exact_limit(x, activation, width, depth, parametrisation, weight_std=1.0, bias_std=1.0):
    """Θ̄ alone."""
    return exact_limits(x, activation, width, depth, parametrisation, weight_std, bias_std)[0]


def exact_limits(x, activation, width, depth, parametrisation, weight_std=1.0, bias_std=1.0):
    """Θ̄ and the covariance of the outputs.

    The plain recursion with closed-form duals in mpmath, straight from the definition and
    without any rearrangement."""
    trained = parametrisation == "standard"  # the scales are in the draws alone
    scale, biases = mp.mpf(weight_std) ** 2, mp.mpf(bias_std or 0) ** 2
    bias_term = mp.mpf(bias_std is not None) if trained else biases
    count, n_in = x.shape
    rows = [[mp.mpf(value) for value in row] for row in x.tolist()]
    gram = mp.matrix(count, count)
    for i in range(count):
        for j in range(count):
            gram[i, j] = mp.fdot(rows[i], rows[j])
    tangent, slopes = mp.zeros(count), mp.zeros(count)
    for layer in range(1, depth + 1):
        fan_in, last = (n_in if layer == 1 else width), layer == depth
        n = oracles.scale(parametrisation, layer, depth, fan_in, 1 if last else width)
        own = (1 if trained else scale) * mp.mpf(1 if layer == 1 else fan_in) / n
        gain = scale * own / fan_in if trained else own
        own_term = gram * own + bias_term * mp.ones(count)
        tangent = own_term + gain * _entrywise(lambda slope, below: slope * below, slopes, tangent)
        covariance = gram * gain + biases * mp.ones(count)
        if last:
            return tangent, covariance
        variances = [covariance[i, i] for i in range(count)]
        rows_of = mp.matrix([[k] * count for k in variances])
        duals = [partial(_closed, activation, order) for order in (0, 1)]
        gram, slopes = (_entrywise(dual, rows_of, rows_of.T, covariance) for dual in duals)
    raise AssertionError


def _entrywise(function, *matrices):
    count = matrices[0].rows
    return mp.matrix(
        [[function(*(m[i, j] for m in matrices)) for j in range(count)] for i in range(count)]
    )


def _closed(activation, order, k, l, c):  # noqa: E741
    if activation == "erf":
        root = mp.sqrt((1 + 2 * k) * (1 + 2 * l))
        return (2 / mp.pi * mp.asin(2 * c / root), 4 / mp.pi / mp.sqrt(root**2 - 4 * c * c))[order]
    slope = mp.mpf(0.01) if activation == "lrelu" else mp.mpf(0)
    if k * l == 0:  # one of the two is the constant 0, where the activations have their own σ'(0)
        at_zero = {"relu": 0, "lrelu": 1}[activation]
        mean = [at_zero if variance == 0 else (1 + slope) / 2 for variance in (k, l)]
        return (mp.mpf(0), mean[0] * mean[1])[order]
    cosine = max(min(mp.mpf(1), c / mp.sqrt(k * l)), mp.mpf(-1))
    theta = mp.acos(cosine)
    bend = (1 - slope) ** 2 / (2 * mp.pi)
    overlap = mp.sin(theta) + (mp.pi - theta) * cosine
    return (slope * c + bend * mp.sqrt(k * l) * overlap, slope + bend * (mp.pi - theta))[order]
