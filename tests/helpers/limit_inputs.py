"""Small sets of inputs for the tests of the limit kernel."""

import torch


def inputs(count=5, n_in=10):
    """Inputs of which two are nearly identical and two opposite, with negative covariances among
    them."""
    x = torch.rand(count, n_in, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x[1] = x[0] + 0.01 * x[1]
    x[-1] = -x[0]
    return x
