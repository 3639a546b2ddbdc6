"""The empirical NTK by neural-tangents, in one of its three implementations."""

from __future__ import annotations

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import jax
import numpy as np
from measuring import arguments, report

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import neural_tangents as nt  # noqa: E402

ACTIVATIONS = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}
IMPLEMENTATIONS = {
    "jacobian": nt.NtkImplementation.JACOBIAN_CONTRACTION,
    "products": nt.NtkImplementation.NTK_VECTOR_PRODUCTS,
    "structured": nt.NtkImplementation.STRUCTURED_DERIVATIVES,
}

x, layers, act, implementation = arguments()


def network(parameters, inputs):  # noqa: ANN001, ANN201 - JAX's types
    """f(x), (N, 1)."""
    for index, (weight, bias) in enumerate(parameters):
        inputs = inputs @ weight.T + bias
        if index < len(parameters) - 1:
            inputs = ACTIVATIONS[act](inputs)
    return inputs


compute = nt.empirical_ntk_fn(
    network, trace_axes=(-1,), vmap_axes=0, implementation=IMPLEMENTATIONS[implementation]
)
compute = jax.jit(compute, static_argnums=(1,))
inputs, parameters = jnp.asarray(x), [(jnp.asarray(w), jnp.asarray(b)) for w, b in layers]
report(lambda: np.asarray(compute(inputs, None, parameters)))
