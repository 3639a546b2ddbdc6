"""Small sets of inputs and targets, for the tests of training."""

import torch


def samples(n, n_inputs, dtype=torch.float64):
    """n inputs in [0, 1] of `n_inputs` features; every third has the target 1, the others 0."""
    generator = torch.Generator().manual_seed(n)
    x = torch.rand(n, n_inputs, generator=generator, dtype=torch.float64)
    return x.to(dtype), (torch.arange(n) % 3 == 0).to(dtype)
