"""Protects that a network drawn layer by layer is the one that is held, and holds one layer."""

import numpy as np
import pytest
import torch

from ntk_sweep.kernel.centred_passes import centred_passes
from ntk_sweep.network import initialisation
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.initialisation import Initialisation
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.network.streamed import StreamedNetwork

X = torch.from_numpy(np.random.default_rng(3).random((30, 5)))


def streamed(depth, activation="relu", parametrisation="thesis", dtype=torch.float64):
    architecture = Architecture(activation, 9, depth, parametrisation)
    return StreamedNetwork(Initialisation(architecture, 5, 3, dtype))


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("depth", [2, 5])
def test_a_streamed_network_is_the_one_that_is_held(parametrisation, dtype, depth):
    held = Network.initialise(5, 9, depth, "relu", parametrisation, 3, dtype=dtype)
    wanted = Architecture("relu", 9, depth, parametrisation)
    drawn = streamed(depth, "elu", parametrisation, dtype).with_architecture(wanted)
    assert (drawn.scales, drawn.depth) == (held.scales, held.depth)
    ours, theirs = centred_passes(drawn, X.to(dtype)), centred_passes(held, X.to(dtype))
    assert torch.equal(ours.outputs, theirs.outputs)
    for one, other in zip(
        ours.inputs + ours.gradients, theirs.inputs + theirs.gradients, strict=True
    ):
        assert torch.equal(one.rows, other.rows) and torch.equal(one.row_errors, other.row_errors)


def test_a_streamed_network_holds_one_layer(monkeypatch):
    drawn = []
    network = streamed(6)
    plain = initialisation.layer_normals
    monkeypatch.setattr(
        initialisation, "layer_normals", lambda *sizes: drawn.append(sizes[-1]) or plain(*sizes)
    )
    centred_passes(network, X)
    assert drawn == [1, 2, 3, 4, 5, 6, 5, 4, 3, 2]
    assert network.layer(-1) is network.layer(5)


def test_mistakes_in_a_streamed_network_are_explained():
    with pytest.raises(ValueError, match="depth is 1"):
        streamed(1)
    with pytest.raises(ValueError, match="unknown activation 'nosuch'"):
        streamed(2, "nosuch")
    network = streamed(2)
    with pytest.raises(ValueError, match=r"the network takes \(N, 5\)"):
        centred_passes(network, X[:, :4])
    with pytest.raises(ValueError, match="convert one of them"):
        centred_passes(network, X.float())
