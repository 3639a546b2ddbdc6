"""The empirical NTK by NNGeometry's Gram matrix of the Jacobian."""

from __future__ import annotations

import torch
from measuring import arguments, report
from nngeometry.gram import GramMatrix
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}
x, layers, act, _ = arguments()
inputs = torch.from_numpy(x)

modules: list[nn.Module] = []
for weight, bias in layers:
    linear = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
    linear.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
    modules += [linear, ACTIVATIONS[act]()]
network = nn.Sequential(*modules[:-1])
loader = DataLoader(TensorDataset(inputs, torch.zeros(len(inputs))), batch_size=len(inputs))
report(lambda: GramMatrix(model=network, loader=loader).to_torch().reshape(len(inputs), -1).numpy())
