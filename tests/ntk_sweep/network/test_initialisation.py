"""Protects the way from a seed to weights: pinned values, independence, and what is refused."""

import hashlib

import numpy as np
import pytest
import torch
from scipy import stats

from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.initialisation import standard_normals
from tests.helpers.oracles import COMBINATIONS

PINNED = [
    [
        [-0.4946100747913444, 0.5482625040157182, -0.6098208433324119],
        [0.49605882538801416, 0.2032931770612814, 1.0251102898104518],
    ],
    [-1.3716092224852436, 0.6144281878556009],
    [[0.3851052841921766, 0.15668155030326913]],
    [2.3818833868344798],
]
PINNED_DIGEST = "5a701f28c8eca6701143c2aab8f7d30f366ff7252a497ac63f7fdbbacac87c3c"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"activation": "nosuch"},
            f"unknown activation 'nosuch': choose one of {', '.join(ACTIVATIONS)}",
        ),
        (
            {"parametrisation": "mup"},
            "unknown parametrisation 'mup': choose one of thesis, ntk, standard",
        ),
        ({"n_inputs": 0}, "n_inputs is 0, but must be an integer of at least 1"),
        ({"width": 0}, "width is 0, but must be an integer of at least 1"),
        ({"depth": 1}, "depth is 1, but must be an integer of at least 2"),
        ({"depth": -3}, "depth is -3, but must be"),
        ({"seed": -1}, "seed is -1, but must be an integer of at least 0"),
    ],
)
def test_initialise_refuses(changes, message):
    arguments = {
        "n_inputs": 3,
        "width": 4,
        "depth": 2,
        "activation": "relu",
        "parametrisation": "thesis",
        "seed": 0,
    }
    with pytest.raises(ValueError, match=message):
        Network.initialise(**arguments | changes)


@pytest.mark.parametrize("value", [2.5, 2.0, float("nan"), float("inf"), "3", "abc", None, True])
@pytest.mark.parametrize("name", ["n_inputs", "width", "depth", "seed"])
@pytest.mark.usefixtures("unchecked")
def test_sizes_that_are_no_integers_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value!r}, but must be an integer"):
        standard_normals(**{"n_inputs": 3, "width": 4, "depth": 2, "seed": 0} | {name: value})


@pytest.mark.usefixtures("unchecked")
def test_integers_of_numpy_are_integers():
    plain, numpy = standard_normals(3, 4, 2, 7), standard_normals(*np.array([3, 4, 2, 7]))
    assert all(
        torch.equal(a, b)
        for pair, other in zip(plain, numpy, strict=True)
        for a, b in zip(pair, other, strict=True)
    )


def test_draws_are_the_same_for_all_activations_and_parametrisations():
    networks = {key: Network.initialise(6, 5, 3, *key, seed=4) for key in COMBINATIONS}
    draws = standard_normals(6, 5, 3, 4)
    for (_, parametrisation), network in networks.items():
        for w, b, (normal_w, normal_b) in zip(network.weights, network.biases, draws, strict=True):
            scale = w.shape[1] ** -0.5 if parametrisation == "standard" else 1.0
            torch.testing.assert_close(w, normal_w * scale, rtol=1e-15, atol=0)
            assert torch.equal(b, normal_b)


def test_equal_arguments_give_equal_draws_and_own_memory():
    first, second = (Network.initialise(6, 5, 3, "relu", "thesis", seed=4) for _ in range(2))
    first.weights[0].zero_()
    assert not torch.equal(first.weights[0], second.weights[0])
    assert torch.equal(second.weights[0], standard_normals(6, 5, 3, 4)[0][0])


@pytest.mark.parametrize("changed", [{"seed": 1}, {"width": 6}, {"depth": 4}])
def test_seed_width_and_depth_each_give_other_draws(changed):
    base = {"n_inputs": 6, "width": 5, "depth": 3, "seed": 0}
    for (w, b), (other_w, other_b) in zip(
        standard_normals(**base), standard_normals(**base | changed), strict=False
    ):
        common = min(w.numel(), other_w.numel())
        assert not (w.flatten()[:common] == other_w.flatten()[:common]).any()
        assert not (b[: len(other_b)] == other_b[: len(b)]).any()


def test_layers_have_streams_of_their_own():
    seen = [
        value
        for w, b in standard_normals(5, 5, 6, 0)
        for value in torch.cat([w.flatten(), b]).tolist()
    ]
    assert len(set(seen)) == len(seen)


def test_swapping_width_and_depth_gives_other_draws():
    # A stream named by a sum or product of its sizes would not notice.
    assert standard_normals(4, 3, 5, 0)[0][0][0, 0] != standard_normals(4, 5, 3, 0)[0][0][0, 0]


def test_draws_are_standard_normal_in_every_layer():
    for w, b in standard_normals(300, 200, 4, 0):
        values = torch.cat([w.flatten(), b]).numpy()
        assert stats.kstest(values, "norm").pvalue > 1e-3


def test_draws_of_different_layers_and_seeds_are_uncorrelated():
    blocks = [
        w.flatten()[:40_000].numpy()
        for seed in (0, 1)
        for w, _ in standard_normals(200, 200, 4, seed)[:3]
    ]
    correlation = np.corrcoef(blocks) - np.eye(len(blocks))
    assert np.abs(correlation).max() < 5 / 40_000**0.5


def test_standard_parametrisation_has_variance_one_over_fan_in():
    network = Network.initialise(400, 100, 3, "relu", "standard", seed=0)
    for w in network.weights[:2]:
        assert w.std().item() == pytest.approx(w.shape[1] ** -0.5, rel=0.03)
    assert torch.cat(network.biases).std().item() == pytest.approx(1, rel=0.2)


def test_draws_are_pinned():
    """These values are a promise: results of different machines and versions can be compared and
    merged."""
    (w1, b1), (w2, b2) = standard_normals(n_inputs=3, width=2, depth=2, seed=0)
    assert w1.tolist() == PINNED[0]
    assert b1.tolist() == PINNED[1]
    assert w2.tolist() == PINNED[2]
    assert b2.tolist() == PINNED[3]
    digest = hashlib.sha256()
    for w, b in standard_normals(n_inputs=784, width=50, depth=4, seed=123):
        digest.update(w.numpy().astype("<f8").tobytes() + b.numpy().astype("<f8").tobytes())
    assert digest.hexdigest() == PINNED_DIGEST


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_float32_networks_are_rounded_float64_networks(activation):
    double = Network.initialise(6, 5, 3, activation, "standard", seed=4)
    single = Network.initialise(6, 5, 3, activation, "standard", seed=4, dtype=torch.float32)
    for a, b in zip(single.weights + single.biases, double.weights + double.biases, strict=True):
        assert a.dtype == torch.float32
        assert torch.equal(a, b.float())
    assert all(tensor.dtype == torch.float64 for tensor in double.weights + double.biases)
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 6)))
    assert single(x.float()).dtype == torch.float32
    torch.testing.assert_close(single(x.float()).double(), double(x), rtol=1e-4, atol=1e-5)
