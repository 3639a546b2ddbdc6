import hashlib
from itertools import pairwise

import jaxtyping
import numpy as np
import pytest
import torch
from scipy import stats

from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.fully_connected import Network, standard_normals
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from tests.helpers import oracles
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

SHAPES = [(1, 1, 1, 2), (3, 2, 1, 3), (5, 4, 6, 2), (7, 6, 3, 4), (4, 9, 5, 5)]
"""(N, n_0, width, depth)"""


def random_inputs(n, n_inputs, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, n_inputs)))


def layers(*sizes):
    """Weights and biases of ones."""
    pairs = list(zip(sizes[1:], sizes[:-1], strict=True))
    return [torch.ones(p, dtype=torch.float64) for p in pairs], [
        torch.ones(p[0], dtype=torch.float64) for p in pairs
    ]


def test_oracles_cover_every_parametrisation():
    assert set(oracles.PARAMETRISATIONS) == set(PARAMETRISATIONS)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
def test_outputs_are_those_of_the_definition(activation, parametrisation, shape):
    n, n_inputs, width, depth = shape
    network = Network.initialise(n_inputs, width, depth, activation, parametrisation, seed=1)
    x = random_inputs(n, n_inputs)
    expected = oracles.forward(network.weights, network.biases, activation, parametrisation, x)
    torch.testing.assert_close(network(x), expected, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(network.trace(x).outputs, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
def test_layers_may_differ_in_width(activation, parametrisation):
    rng = np.random.default_rng(5)
    sizes = [4, 7, 2, 5, 1]
    weights = [
        torch.from_numpy(rng.standard_normal((out, fan_in))) for fan_in, out in pairwise(sizes)
    ]
    biases = [torch.from_numpy(rng.standard_normal(out)) for out in sizes[1:]]
    network = Network(weights, biases, activation, parametrisation)
    x = random_inputs(6, 4)
    torch.testing.assert_close(
        network(x),
        oracles.forward(weights, biases, activation, parametrisation, x),
        rtol=1e-12,
        atol=1e-13,
    )


@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
def test_trace_holds_inputs_and_gradients_of_every_layer(activation, parametrisation):
    network = Network.initialise(4, 5, 4, activation, parametrisation, seed=2)
    x = random_inputs(6, 4)
    trace = network.trace(x)
    shifts = [
        torch.zeros(len(x), len(b), dtype=torch.float64, requires_grad=True) for b in network.biases
    ]
    a, inputs = x, []
    for layer, (w, b, shift) in enumerate(
        zip(network.weights, network.biases, shifts, strict=True), start=1
    ):
        inputs.append(a)
        n = oracles.scale(parametrisation, layer, 4, w.shape[1], w.shape[0])
        z = a @ w.T / n**0.5 + b + shift
        a = oracles.ACTIVATIONS[activation](z) if layer < 4 else z
    gradients = torch.autograd.grad(a.sum(), shifts)
    assert len(trace.inputs) == len(trace.gradients) == 4
    for got, expected in zip(trace.inputs + trace.gradients, (*inputs, *gradients), strict=True):
        torch.testing.assert_close(got, expected.detach(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("parametrisation", "expected"),
    [("thesis", (0.5, 0.5, 1.0)), ("ntk", (9**-0.5, 0.5, 0.5)), ("standard", (1.0, 1.0, 1.0))],
)
def test_factors(parametrisation, expected):
    network = Network.initialise(9, 4, 3, "relu", parametrisation, seed=0)
    assert network.factors == pytest.approx(expected, rel=1e-15)
    assert network.depth == 3


# Validation


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"activation": "softplus"},
            "unknown activation 'softplus': choose one of relu, elu, lrelu, sigmoid, tanh",
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


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((3, 1), r"1 weight matrices and 1 biases: .* at least two layers"),
        ((3, 4, 2), "the last layer has 2 outputs, but must have one"),
    ],
)
def test_networks_of_wrong_sizes_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        Network(*layers(*sizes), "relu", "thesis")


def test_no_layers_are_refused():
    with pytest.raises(ValueError, match="0 weight matrices and 0 biases"):
        Network([], [], "relu", "thesis")


def test_a_missing_bias_is_refused():
    weights, biases = layers(3, 4, 1)
    with pytest.raises(ValueError, match="2 weight matrices and 1 biases"):
        Network(weights, biases[:1], "relu", "thesis")


@pytest.mark.parametrize(
    ("layer", "weight", "bias", "message"),
    [
        (
            1,
            (4, 3),
            (5,),
            r"layer 1: W is \(4, 3\) and b is \(5,\), but W must be \(n_l, 3\) and b \(n_l,\)",
        ),
        (1, (4, 3), (4, 1), r"layer 1: W is \(4, 3\) and b is \(4, 1\)"),
        (2, (1, 5), (1,), r"layer 2: W is \(1, 5\) and b is \(1,\), but W must be \(n_l, 4\)"),
        (2, (4,), (1,), r"layer 2: W is \(4,\) and b is \(1,\)"),
        (1, (), (1,), r"layer 1: W is \(\) and b is \(1,\)"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_layers_that_do_not_chain_are_refused(layer, weight, bias, message):
    weights, biases = layers(3, 4, 1)
    weights[layer - 1], biases[layer - 1] = torch.ones(weight).double(), torch.ones(bias).double()
    with pytest.raises(ValueError, match=message):
        Network(weights, biases, "relu", "thesis")


@pytest.mark.parametrize(
    ("part", "layer"), [("weights", 0), ("weights", 1), ("biases", 0), ("biases", 1)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
@pytest.mark.usefixtures("unchecked")
def test_mixed_and_integer_dtypes_are_refused(part, layer, dtype):
    weights, biases = layers(3, 4, 1)
    chosen = {"weights": weights, "biases": biases}[part]
    chosen[layer] = chosen[layer].to(dtype)
    with pytest.raises(ValueError, match="all must be of one floating dtype and on one device"):
        Network(weights, biases, "relu", "thesis")


@pytest.mark.usefixtures("unchecked")
def test_a_network_of_integers_is_refused():
    weights, biases = layers(3, 4, 1)
    with pytest.raises(ValueError, match=r"layer 1 holds torch\.int64"):
        Network([w.long() for w in weights], [b.long() for b in biases], "relu", "thesis")


def test_inputs_with_the_wrong_number_of_features_are_refused():
    network = Network(*layers(3, 4, 1), "relu", "thesis")
    for method in (network, network.trace):
        with pytest.raises(
            ValueError, match=r"x has shape \(2, 5\), but the network takes \(N, 3\)"
        ):
            method(random_inputs(2, 5))


def test_inputs_of_another_dtype_are_refused():
    network = Network(*layers(3, 4, 1), "relu", "thesis")
    for method in (network, network.trace):
        with pytest.raises(
            ValueError,
            match=r"x is torch\.float32 on cpu, but the network is torch\.float64 on cpu: convert",
        ):
            method(random_inputs(2, 3).float())


@pytest.mark.parametrize("shape", [(3,), (2, 3, 1), ()])
@pytest.mark.usefixtures("unchecked")
def test_inputs_that_are_no_matrix_are_refused(shape):
    network = Network(*layers(3, 4, 1), "relu", "thesis")
    with pytest.raises(ValueError, match="but the network takes"):
        network.trace(torch.zeros(shape, dtype=torch.float64))


def test_annotations_are_checked_in_the_tests():
    network = Network(*layers(3, 4, 1), "relu", "thesis")
    with pytest.raises(jaxtyping.TypeCheckError):
        network.trace(torch.zeros(3, dtype=torch.float64))


# Draws


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
    x = random_inputs(2, 6)
    assert single(x.float()).dtype == torch.float32
    torch.testing.assert_close(single(x.float()).double(), double(x), rtol=1e-4, atol=1e-5)
