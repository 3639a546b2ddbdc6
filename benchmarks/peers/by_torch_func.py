"""The empirical NTK by PyTorch's tutorial: Jacobian contraction or NTK-vector products."""

from __future__ import annotations

import numpy as np
import torch
from measuring import arguments, report
from torch import Tensor
from torch.func import functional_call, jacrev, jvp, vjp, vmap
from torch_network import fully_connected

ROWS_AT_ONCE = 4

x, layers, act, implementation = arguments()
inputs = torch.from_numpy(x)
network = fully_connected(layers, act)
parameters = {name: value.detach() for name, value in network.named_parameters()}


def single(own: dict[str, Tensor], one: Tensor) -> Tensor:
    """The output for one input."""
    return functional_call(network, own, (one.unsqueeze(0),)).squeeze(0)


def by_jacobian() -> np.ndarray:
    """J Jᵀ, parameter by parameter."""
    jacobians = vmap(jacrev(single), (None, 0))(parameters, inputs)
    flat = [jacobian.flatten(2) for jacobian in jacobians.values()]
    return (
        torch.stack([torch.einsum("Naf,Mbf->NMab", one, one) for one in flat])
        .sum(0)[:, :, 0, 0]
        .numpy()
    )


def by_products() -> np.ndarray:
    """Θ_ij as the derivative of f(x_i) along the gradient at x_j."""

    def entry(one: Tensor, other: Tensor) -> Tensor:
        def at_one(own: dict[str, Tensor]) -> Tensor:
            return single(own, one)

        def at_other(own: dict[str, Tensor]) -> Tensor:
            return single(own, other)

        output, pull = vjp(at_other, parameters)
        basis = torch.eye(output.numel(), dtype=output.dtype).view((*output.shape, -1))

        def product(vector: Tensor) -> Tensor:
            return jvp(at_one, (parameters,), (pull(vector)[0],))[1]

        return vmap(product)(basis)

    # a few rows at a time: all pairs at once hold as many gradients as there are pairs
    rows = vmap(vmap(entry, (None, 0)), (0, None), chunk_size=ROWS_AT_ONCE)
    return rows(inputs, inputs)[:, :, 0, 0].detach().numpy()


report({"jacobian": by_jacobian, "products": by_products}[implementation])
