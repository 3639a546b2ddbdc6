"""The network as PyTorch users write it, for the peers that take one."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}


def fully_connected(layers: list[tuple[np.ndarray, np.ndarray]], act: str) -> nn.Sequential:
    """Linear layers with these weights and biases, and the activation between them."""
    modules: list[nn.Module] = []
    for weight, bias in layers:
        linear = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
        linear.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
        modules += [linear, ACTIVATIONS[act]()]
    return nn.Sequential(*modules[:-1])
