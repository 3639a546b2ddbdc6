"""The empirical NTK by NNGeometry's Gram matrix of the Jacobian."""

from __future__ import annotations

import torch
from measuring import arguments, report
from nngeometry.gram import GramMatrix
from torch.utils.data import DataLoader, TensorDataset
from torch_network import fully_connected

x, layers, act, _ = arguments()
inputs = torch.from_numpy(x)
network = fully_connected(layers, act)
loader = DataLoader(TensorDataset(inputs, torch.zeros(len(inputs))), batch_size=len(inputs))
report(lambda: GramMatrix(model=network, loader=loader).to_torch().reshape(len(inputs), -1).numpy())
