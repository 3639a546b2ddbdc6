"""Protects networks taken from torch modules: kernels are those of autograd on the module itself,
and what is no fully connected network with one output is refused."""

import io
import warnings
from collections import OrderedDict
from itertools import pairwise

import pytest
import torch
from torch import nn

from ntk_sweep import Network, empirical_ntk, ntk_spectrum
from tests.helpers.exact import absolute_errors, exact_spectrum

ACTIVATIONS = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "lrelu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


def sequential(activation=nn.Tanh, sizes=(5, 8, 3, 6, 1), bias=True, seed=0):
    torch.manual_seed(seed)
    parts = []
    for n_in, n_out in pairwise(sizes):
        parts += [nn.Linear(n_in, n_out, bias=bias), activation()]
    return nn.Sequential(*parts[:-1]).double()


def inputs(count=7, seed=1):
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(seed)).double()


def of_autograd(module, x, x2):
    """J(x) J(x2)ᵀ of the module, by torch.func."""
    parameters = dict(module.named_parameters())

    def jacobian(rows):
        blocks = torch.func.jacrev(
            lambda values: torch.func.functional_call(module, values, (rows,))[:, 0]
        )(parameters)
        return torch.cat([block.reshape(len(rows), -1) for block in blocks.values()], dim=1)

    return (jacobian(x) @ jacobian(x2).T).detach()


def close(found, expected):
    torch.testing.assert_close(
        found, expected, rtol=1e-12, atol=1e-13 * float(expected.abs().max())
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_kernels_are_those_of_the_module(activation, bias):
    module, x, x2 = sequential(ACTIVATIONS[activation], bias=bias), inputs(), inputs(4, seed=2)
    network = Network.from_module(module)
    assert (network.activation, network.parametrisation) == (activation, "standard")
    assert network.bias_std == (1.0 if bias else None)
    close(network(x), module(x)[:, 0].detach())
    close(empirical_ntk(network, x), of_autograd(module, x, x))
    close(empirical_ntk(network, x, x2), of_autograd(module, x, x2))
    stated = Network.from_state_dict(module.state_dict(), activation)
    assert torch.equal(empirical_ntk(stated, x), empirical_ntk(network, x))
    assert stated.bias_std == network.bias_std


def test_spectrum_of_a_module_of_differing_widths_lies_within_its_bounds():
    module, x = sequential(nn.Sigmoid, (5, 9, 4, 7, 1)), inputs(6)
    network = Network.from_module(module)
    spectrum = ntk_spectrum(network, x)
    errors = absolute_errors(spectrum.eigenvalues, exact_spectrum(network, x))
    assert (errors <= spectrum.errors).all()
    assert spectrum.meets_target


def test_single_precision_stays_or_is_widened():
    module = sequential().float()
    assert Network.from_module(module).weights[0].dtype == torch.float32
    wide = Network.from_module(module, dtype=torch.float64)
    close(empirical_ntk(wide, inputs()), of_autograd(module.double(), inputs(), inputs()))
    module = module.float()
    stated = Network.from_state_dict(module.state_dict(), "tanh", dtype=torch.float64)
    assert torch.equal(stated.weights[1], wide.weights[1])


def test_training_the_module_later_changes_no_network():
    module, x = sequential(), inputs()
    network = Network.from_module(module)
    stated = Network.from_state_dict(module.state_dict(), "tanh")
    before = empirical_ntk(network, x)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 1
    assert torch.equal(empirical_ntk(network, x), before)
    assert torch.equal(empirical_ntk(stated, x), before)
    assert not any(part.requires_grad for part in (*network.weights, *network.biases))


def test_a_saved_state_is_read_in_any_order_and_as_arrays():
    module, x = sequential(sizes=(5, *[4] * 6, 1)), inputs()
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    expected = empirical_ntk(Network.from_module(module), x)
    by_name = {name: state[name] for name in sorted(state)}  # 10.weight before 2.weight
    arrays = {name: value.numpy() for name, value in state.items()}
    for each in (state, by_name, arrays):
        assert torch.equal(empirical_ntk(Network.from_state_dict(each, "tanh"), x), expected)


def test_flatten_may_stand_first_and_sequentials_in_sequentials():
    plain, activation = sequential(nn.ReLU), nn.ReLU(inplace=True)
    linear = [part for part in plain if isinstance(part, nn.Linear)]
    nested = nn.Sequential(
        OrderedDict(
            flat=nn.Flatten(),
            body=nn.Sequential(linear[0], activation, linear[1], activation),
            middle=nn.Sequential(nn.Sequential(linear[2]), activation),
            head=linear[3],
        )
    )
    x = inputs()
    expected = empirical_ntk(Network.from_module(plain), x)
    assert torch.equal(empirical_ntk(Network.from_module(nested), x), expected)
    state = nn.Sequential(nn.Flatten(), *plain).state_dict()
    assert "1.weight" in state
    assert torch.equal(empirical_ntk(Network.from_state_dict(state, "relu"), x), expected)


def modules(*parts):
    return nn.Sequential(*parts).double()


def linear(n_in=3, n_out=3, bias=True):
    return nn.Linear(n_in, n_out, bias=bias)


class Doubled(nn.Sequential):
    def forward(self, x):
        return 2 * super().forward(x)


class Bent(nn.ReLU):
    def forward(self, x):
        return super().forward(x) ** 2


def hooked():
    module = modules(linear(), nn.ReLU(), linear(3, 1))
    module[0].register_forward_hook(lambda *_: None)
    return module


def normed():
    module = modules(linear(), nn.ReLU(), linear(3, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nn.utils.weight_norm(module[0])
    return module


def parametrised():
    module = modules(linear(), nn.ReLU(), linear(3, 1))
    nn.utils.parametrizations.spectral_norm(module[0])
    return module


def pruned():
    from torch.nn.utils import prune

    module = modules(linear(), nn.ReLU(), linear(3, 1))
    prune.l1_unstructured(module[2], "weight", 1)
    return module


def tied(matrices=False):
    first, second = linear(), linear()
    if not matrices:
        second = first
    second.weight = first.weight
    return modules(first, nn.ReLU(), second, nn.ReLU(), linear(3, 1))


def frozen():
    module = modules(linear(), nn.ReLU(), linear(3, 1))
    module[0].weight.requires_grad_(False)
    return module


REFUSED = {
    "own class": (Doubled(linear(), nn.ReLU(), linear(3, 1)), "is a Doubled, but only a torch.nn"),
    "own activation": (
        modules(linear(), Bent(), linear(3, 1)),
        r"module 1 is Bent\(\), but only Linear layers with one activation",
    ),
    "linear alone": (nn.Linear(3, 1), "the module is a Linear, but only"),
    "one layer": (modules(linear(3, 1)), "has 1 Linear layers, but a network has two at least"),
    "nothing": (nn.Sequential(), "has 0 Linear layers"),
    "dropout": (
        modules(linear(), nn.ReLU(), nn.Dropout(), linear(3, 1)),
        r"module 2 is Dropout\(p=0.5, inplace=False\), but only",
    ),
    "batch norm": (
        modules(linear(), nn.BatchNorm1d(3), nn.ReLU(), linear(3, 1)),
        "module 1 is BatchNorm1d",
    ),
    "convolution": (modules(nn.Conv1d(1, 1, 1), nn.ReLU(), linear(3, 1)), "module 0 is Conv1d"),
    "unknown activation": (modules(linear(), nn.Softplus(), linear(3, 1)), "module 1 is Softplus"),
    "lazy": (nn.Sequential(nn.LazyLinear(3), nn.ReLU(), linear(3, 1)), "module 0 is LazyLinear"),
    "two activations": (
        modules(linear(), nn.ReLU(), linear(), nn.Tanh(), linear(3, 1)),
        r"module 3 is Tanh\(\), but module 1 is ReLU\(\): all activations must be the same",
    ),
    "ELU": (
        modules(linear(), nn.ELU(alpha=0.5), linear(3, 1)),
        r"module 1 is ELU\(alpha=0.5\), but the activation elu has alpha=1.0",
    ),
    "LeakyReLU": (
        modules(linear(), nn.LeakyReLU(0.2), linear(3, 1)),
        r"negative_slope=0.2\), but the activation lrelu has negative_slope=0.01",
    ),
    "second LeakyReLU": (
        modules(linear(), nn.LeakyReLU(), linear(), nn.LeakyReLU(0.2), linear(3, 1)),
        r"module 3 is LeakyReLU\(negative_slope=0.2\)",
    ),
    "GELU": (
        modules(linear(), nn.GELU(approximate="tanh"), linear(3, 1)),
        "but the activation gelu has approximate='none'",
    ),
    "several outputs": (
        modules(linear(), nn.ReLU(), linear()),
        "has 3 outputs, but must have one: for the kernel of one of them keep its row",
    ),
    "some biases": (
        modules(linear(), nn.ReLU(), linear(bias=False), nn.ReLU(), linear(3, 1, bias=False)),
        "no bias in modules 2, 4, but in others",
    ),
    "two layers": (
        modules(linear(), linear(), nn.ReLU(), linear(3, 1)),
        "module 1 is a Linear right",
    ),
    "activation first": (
        modules(nn.ReLU(), linear(), nn.ReLU(), linear(3, 1)),
        r"module 0 is ReLU\(\), but does not stand behind a Linear",
    ),
    "activations in a row": (modules(linear(), nn.ReLU(), nn.ReLU(), linear(3, 1)), "module 2 is"),
    "activation last": (
        modules(linear(), nn.Sigmoid(), linear(3, 1), nn.Sigmoid()),
        r"the last module is Sigmoid\(\), but must be a Linear",
    ),
    "flatten later": (
        modules(linear(), nn.ReLU(), nn.Flatten(), linear(3, 1)),
        "module 2 is Flatten",
    ),
    "flatten of batches": (
        modules(nn.Flatten(0), linear(), nn.ReLU(), linear(3, 1)),
        "must leave one row an input",
    ),
    "hook": (hooked(), "module 0 has hooks"),
    "weight norm": (normed(), "module 0 has hooks"),
    "spectral norm": (parametrised(), "module 0 is ParametrizedLinear"),
    "pruned": (pruned(), "module 2 has hooks"),
    "repeated layer": (tied(), "modules 0 and 2 share parameters"),
    "shared matrix": (tied(matrices=True), "modules 0 and 2 share parameters"),
    "frozen": (frozen(), r"some parameters are frozen \(modules 0\)"),
    "shapes": (
        modules(linear(3, 4), nn.ReLU(), linear(3, 1)),
        r"layer 2: W is \(1, 3\) and b is \(1,\), but W must be \(n_l, 4\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_such_network_is_refused(name):
    module, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        Network.from_module(module)


def test_a_frozen_network_is_taken():
    module = sequential()
    network = Network.from_module(module)
    frozen = Network.from_module(module.requires_grad_(False))
    assert torch.equal(empirical_ntk(frozen, inputs()), empirical_ntk(network, inputs()))


STATE = sequential().state_dict()


def without(*names):
    return {name: value for name, value in STATE.items() if name not in names}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "the state has 0 layers with parameters"),
        ({"model": STATE}, "the state holds 'model', but that of a Sequential"),
        ({f"net.{name}": value for name, value in STATE.items()}, "the state holds 'net.0.weight'"),
        (without("2.bias"), "no bias in modules 2, but in others"),
        (without("2.weight", "2.bias"), "3 modules stand between the layers 0 and 4"),
        (without("6.weight", "6.bias"), "the module has 6 outputs"),
        (without("4.weight"), r"4.weight has shape \(\)"),
        (
            nn.Sequential(linear(), nn.BatchNorm1d(3), nn.ReLU(), linear(3, 1)).state_dict(),
            "the state holds '1.running_mean'",
        ),
        (
            nn.Sequential(linear(), nn.LayerNorm(3), linear(3, 1)).state_dict(),
            r"1.weight has shape \(3,\), but that of a Linear has two dimensions",
        ),
        (
            nn.Sequential(linear(), nn.ReLU(), nn.Dropout(), linear(3, 1)).state_dict(),
            "2 modules stand between the layers 0 and 3",
        ),
        (nn.Sequential(linear(), linear(3, 1)).state_dict(), "no modules stand between the layers"),
        (
            nn.Sequential(
                nn.Flatten(), nn.Dropout(), linear(), nn.ReLU(), linear(3, 1)
            ).state_dict(),
            "the first layer is module 2",
        ),
        (tied(matrices=True).state_dict(), "two layers of the state share a weight matrix"),
    ],
)
def test_states_of_other_modules_are_refused(state, message):
    with pytest.raises(ValueError, match=message):
        Network.from_state_dict(state, "tanh")


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="unknown activation 'nosuch'"):
        Network.from_state_dict(STATE, "nosuch")
