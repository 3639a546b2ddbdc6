"""Protects what a stack of networks refuses."""

import dataclasses

import pytest
import torch

from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.stacked import NetworkStack


def draws(seeds, depth=4):
    return [Network.initialise(5, 9, depth, "relu", "thesis", seed) for seed in range(seeds)]


def test_activations_with_and_without_differences_are_not_stacked(monkeypatch):
    plain = dataclasses.replace(ACTIVATIONS["sigmoid"], differences=None)
    monkeypatch.setitem(ACTIVATIONS, "sigmoid", plain)
    with pytest.raises(ValueError, match="stack them apart"):
        NetworkStack(draws(2), ["relu", "sigmoid"])


def test_a_stack_of_unlike_draws_is_refused():
    with pytest.raises(ValueError, match="2 draws of 2 kinds"):
        NetworkStack([*draws(1), *draws(1, depth=3)], ["relu"])
    with pytest.raises(ValueError, match="0 draws"):
        NetworkStack([], ["relu"])
    with pytest.raises(ValueError, match="0 activations"):
        NetworkStack(draws(1), [])
    with pytest.raises(ValueError, match="the network takes"):
        NetworkStack(draws(1), ["relu"]).check_inputs(torch.zeros(6, 3, dtype=torch.float64))
