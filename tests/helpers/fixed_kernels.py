"""Small problems with a fixed kernel, for the tests of predictions and bounds."""

import numpy as np

N = 20


def problem(seed, size=N):
    """A kernel of uneven eigenvalues with its Jacobian, and a residual."""
    rng = np.random.default_rng(seed)
    jacobian = rng.standard_normal((size, 3 * size)) * np.geomspace(2, 0.1, 3 * size)
    return jacobian, jacobian @ jacobian.T, rng.standard_normal(size)


def permutations(seed, epochs, size=N):
    rng = np.random.default_rng(seed)
    return [rng.permutation(size) for _ in range(epochs)]


def loss(residual):
    return float(np.mean(residual**2))
