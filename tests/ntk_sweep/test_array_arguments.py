"""Protects what users may pass: tensors, NumPy arrays and lists give the same numbers, and what is
none of these gets a plain message."""

from decimal import Decimal

import numpy as np
import pytest
import torch

from ntk_sweep import (
    KernelRegression,
    Network,
    conjugate_kernel,
    empirical_ntk,
    limit_nngp,
    limit_ntk,
    limit_spectrum,
    ntk_spectrum,
)
from ntk_sweep.dynamics.bounds import du_bound, flow_bound
from ntk_sweep.dynamics.predictions import (
    gradient_descent_losses,
    gradient_flow_losses,
    linearised_sgd_losses,
)
from ntk_sweep.kernel import diagnostics
from ntk_sweep.limit.dual_activations import dual_activations
from ntk_sweep.spectrum.extreme_eigenvalues import extreme_eigenvalues
from ntk_sweep.training.gradient_descent import GradientDescent
from ntk_sweep.training.sgd import sample_orders, train

X = np.random.default_rng(0).random((4, 3))
Y = np.array([0.0, 1.0, 1.0, 0.0])
NETWORK = Network.initialise(3, 8, 3, "elu", "ntk", seed=0)
SINGLE = Network.initialise(3, 8, 3, "elu", "ntk", seed=0, dtype=torch.float32)
ARCHITECTURE = {"activation": "relu", "width": 8, "depth": 3, "parametrisation": "ntk"}
THETA = empirical_ntk(NETWORK, X).numpy()
VALUES, VECTORS = np.linalg.eigh(THETA)
ORDERS = [np.array([1, 0, 3, 2]), np.arange(4)]

FORMS = {
    "array": np.asarray,
    "list": lambda values: np.asarray(values).tolist(),
    "tuple of rows": lambda values: tuple(np.asarray(values).tolist()),
    "read-only": lambda values: np.frombuffer(np.asarray(values).tobytes(), values.dtype).reshape(
        values.shape
    ),
    "big-endian": lambda values: np.asarray(values).astype(values.dtype.newbyteorder(">")),
    "reversed twice": lambda values: np.ascontiguousarray(values[::-1])[::-1],
    "columns first": np.asfortranarray,
    "list of arrays": list,
}


def trained(x, y):
    return train(GradientDescent(NETWORK, x, y, 0.1, 2), sample_orders(4, 2, seed=0)).losses


OF_INPUTS = {
    "network": NETWORK,
    "network in single precision": SINGLE,
    "passes": lambda x: NETWORK.passes(x).outputs,
    "empirical_ntk": lambda x: empirical_ntk(NETWORK, x),
    "conjugate_kernel": lambda x: conjugate_kernel(NETWORK, x),
    "regression": lambda x: KernelRegression.from_network(NETWORK, x).leave_one_out(Y).values,
    "ntk_spectrum": lambda x: ntk_spectrum(NETWORK, x).eigenvalues,
    "jacobian": lambda x: ntk_spectrum(NETWORK, x, method="jacobian").eigenvalues,
    "extreme_eigenvalues": lambda x: extreme_eigenvalues(NETWORK, x).lambda_min,
    "training": lambda x: trained(x, Y),
    "limit_ntk": lambda x: limit_ntk(x, **ARCHITECTURE),
    "limit_nngp": lambda x: limit_nngp(x, **ARCHITECTURE),
    "limit_spectrum": lambda x: limit_spectrum(x, **ARCHITECTURE).errors,
}

OF_OTHERS = {
    "training": (lambda y: trained(X, y), [Y]),
    "order of an epoch": (
        lambda order: GradientDescent(NETWORK, X, Y, 0.1, 2).epoch(order),
        [ORDERS[0]],
    ),
    "flow": (
        lambda *parts: gradient_flow_losses(*parts, times=[0, 1]),
        [VALUES, VECTORS, Y],
    ),
    "descent": (
        lambda *parts: gradient_descent_losses(*parts, 0.1, [0, 1]),
        [VALUES, VECTORS, Y],
    ),
    "linearised": (
        lambda theta, residual, *orders: linearised_sgd_losses(theta, residual, orders, 0.1, 2),
        [THETA, Y, *ORDERS],
    ),
    "flow bound": (lambda times: flow_bound(1.0, 1.0, 4, times), [np.array([0.0, 1.0])]),
    "bound of Du": (lambda steps: du_bound(1.0, 1.0, 4, 0.1, steps), [np.array([0, 1])]),
    "kernel between two sets": (lambda x2: empirical_ntk(NETWORK, X, x2), [X]),
    "limit between two sets": (lambda x2: limit_ntk(X, **ARCHITECTURE, x2=x2), [X]),
    "regression": (
        lambda *parts: KernelRegression.from_kernels(*parts[:2]).predictions(*parts[2:]).values,
        [THETA, THETA[:2], Y, Y, Y[:2]],
    ),
    "duals": (
        lambda *parts: dual_activations("relu", *parts).function,
        [np.ones(2), np.ones(2), np.array([0.5, 0.1])],
    ),
    "effective_rank": (diagnostics.effective_rank, [VALUES]),
    "alignment": (diagnostics.kernel_target_alignment, [THETA, Y]),
    "centred_alignment": (diagnostics.centred_alignment, [THETA, Y]),
    "class_contrast": (diagnostics.class_contrast, [THETA, Y.astype(int)]),
    "target shares": (
        lambda *parts: list(diagnostics.leading_target_shares(*parts).values()),
        [VECTORS, Y],
    ),
    "trace shares": (diagnostics.layer_trace_shares, [VALUES]),
    "relative_distance": (diagnostics.relative_distance, [THETA, THETA + 1]),
    "Network": (
        lambda *parts: Network(parts[:2], parts[2:], "relu", "ntk")(X),
        [np.ones((2, 3)), np.ones((1, 2)), np.ones(2), np.zeros(1)],
    ),
}


def same(found, expected):
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


def tensor(values, dtype=None):
    return torch.from_numpy(np.array(values)).to(dtype or torch.from_numpy(values[:0]).dtype)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", OF_INPUTS)
def test_inputs_of_any_form_give_the_same_numbers(name, form):
    function = OF_INPUTS[name]
    dtype = torch.float32 if name.endswith("single precision") else torch.float64
    same(function(FORMS[form](X)), function(tensor(X, dtype)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", OF_OTHERS)
def test_other_arguments_of_any_form_give_the_same_numbers(name, form):
    function, arguments = OF_OTHERS[name]
    same(function(*map(FORMS[form], arguments)), function(*map(tensor, arguments)))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32])
@pytest.mark.usefixtures("unchecked")
def test_numbers_of_other_dtypes_become_those_of_the_network(dtype):
    x = (10 * X).astype(dtype)
    for network, used in ((NETWORK, torch.float64), (SINGLE, torch.float32)):
        same(empirical_ntk(network, x), empirical_ntk(network, torch.from_numpy(x).to(used)))


@pytest.mark.parametrize("column", [Y[:, None], Y[:, None].tolist(), torch.from_numpy(Y[:, None])])
def test_targets_may_be_a_column(column):
    same(trained(X, column), trained(X, Y))
    same(
        gradient_flow_losses(VALUES, VECTORS, column, [0, 1]),
        gradient_flow_losses(VALUES, VECTORS, Y, [0, 1]),
    )
    same(diagnostics.centred_alignment(THETA, column), diagnostics.centred_alignment(THETA, Y))


W, B = [np.ones((2, 3)), np.ones((1, 2))], [np.ones(2), np.zeros(1)]


@pytest.mark.parametrize(
    ("weights", "biases", "dtype"),
    [
        (W, B, torch.float64),
        ([w.astype(np.float32) for w in W], [b.astype(np.float32) for b in B], torch.float32),
        ([w.astype(np.float32) for w in W], [b.tolist() for b in B], torch.float32),
        ([W[0].astype(np.float32), W[1]], B, torch.float64),
        ([w.astype(int) for w in W], [[1, 1], [0]], torch.float64),
        ([W[0], torch.ones(1, 2)], B, torch.float32),
        (W, [[1, 1], torch.zeros(1, dtype=torch.float16)], torch.float16),
    ],
)
def test_parameters_take_the_dtype_of_the_tensors_beside_them(weights, biases, dtype):
    network = Network(weights, biases, "relu", "standard")
    assert {part.dtype for part in (*network.weights, *network.biases)} == {dtype}
    assert network.biases[0].tolist() == [1, 1]


# Refused


NONSENSE = [
    (X + 1j, "x is of dtype complex128, but must hold real numbers"),
    (X.astype(object), "x is of dtype object, but must hold real numbers"),
    ([[Decimal(1), 2, 3]], "x is of dtype object"),
    ([[1, 2, None]], "x is of dtype object"),
    (X.astype(str), "x is of dtype <U"),
    ("abc", "x is of dtype <U3"),
    (None, "x is of dtype object"),
    (
        [[1.0, 2.0, 3.0], [4.0, 5.0]],
        r"x is no array of numbers \(its rows differ in length\): pass",
    ),
    ([torch.ones(3, requires_grad=True)], r"x is no array of numbers \(.*requires grad"),
    ([], r"x has shape \(0,\)"),
    ([[]], r"x has shape \(1, 0\)"),
    (X[:0], "at least one input"),
    (X[0], r"x has shape \(3,\)"),
    (3.0, r"x has shape \(\)"),
    (X[None], r"x has shape \(1, 4, 3\)"),
    (np.where(X[1, 1] == X, np.nan, X), r"x holds values that are not finite \(NaN or infinity\)"),
    ((X * np.inf).tolist(), "x holds values that are not finite"),
    (torch.from_numpy(X) * torch.nan, "x holds values that are not finite"),
    (np.ma.masked_greater(X, X[1, 1]), "x has masked values"),
]


@pytest.mark.parametrize("name", OF_INPUTS)
@pytest.mark.parametrize(("x", "message"), NONSENSE)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.usefixtures("unchecked")
def test_nonsense_gets_a_plain_message(name, x, message):
    if name.endswith("single precision") and isinstance(x, torch.Tensor):
        x = x.float()
    with pytest.raises(ValueError, match=message):
        OF_INPUTS[name](x)


@pytest.mark.usefixtures("unchecked")
def test_a_single_input_is_told_from_a_matrix():
    with pytest.raises(ValueError, match=r"the network takes \(N, 3\): one input is x\[None, :\]"):
        empirical_ntk(NETWORK, X[0].tolist())


@pytest.mark.usefixtures("unchecked")
def test_tensors_of_another_dtype_are_not_converted():
    message = r"x is torch.float32 on cpu, but the network is torch.float64 on cpu: convert one"
    for name in ("network", "empirical_ntk", "ntk_spectrum", "jacobian", "training"):
        with pytest.raises(ValueError, match=message):
            OF_INPUTS[name](torch.from_numpy(X).float())
    for dtype in (torch.float32, torch.int64, torch.complex128):
        with pytest.raises(ValueError, match=f"x is {dtype}, but the limit kernel is computed in"):
            limit_ntk(torch.from_numpy(X).to(dtype), **ARCHITECTURE)


def test_tensors_on_another_device_are_not_copied():
    with pytest.raises(ValueError, match=r"x is torch.float64 on meta, but the network is"):
        empirical_ntk(NETWORK, torch.zeros(4, 3, dtype=torch.float64, device="meta"))


def test_inputs_too_large_for_the_networks_dtype_are_said_to_be():
    with pytest.raises(
        ValueError,
        match="x is not finite: it overflows float32 in its conversion; scale the inputs down, or",
    ):
        empirical_ntk(SINGLE, X * 1e40)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (np.ones((2, 3)) * 1j, "W of layer 1 is of dtype complex128, but must hold real numbers"),
        ([[1, 2, 3], [4, 5]], r"W of layer 1 is no array of numbers \(its rows differ"),
        ([1, 2, 3], r"layer 1: W is \(3,\) and b is \(2,\)"),
        (np.ones((2, 0)), r"layer 1: W is \(2, 0\), but must not be empty"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_parameters_that_are_nonsense_are_named(part, message):
    with pytest.raises(ValueError, match=message):
        Network([part, W[1]], B, "relu", "standard")(X)


@pytest.mark.parametrize(("kind", "layer"), [("W", 1), ("W", 2), ("b", 1), ("b", 2)])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_that_are_not_finite_are_named_when_they_are_used(kind, layer, value):
    weights, biases = [w.copy() for w in W], [b.copy() for b in B]
    {"W": weights, "b": biases}[kind][layer - 1][0] = value
    network = Network(weights, biases, "relu", "standard")
    for function in (network, network.passes, lambda x: empirical_ntk(network, x)):
        with pytest.raises(ValueError, match=f"{kind} of layer {layer} holds values that are not"):
            function(X)
    with pytest.raises(ValueError, match=f"{kind} of layer {layer} holds values that are not"):
        ntk_spectrum(network, X)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.stack([Y, Y], axis=1), r"y is torch.float64 of shape \(4, 2\) on cpu, but must be"),
        (Y * np.nan, "y holds values that are not finite"),
        (Y * 1j, "y is of dtype complex128"),
        (Y[:3], r"y is torch.float64 of shape \(3,\)"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_targets_that_do_not_fit_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        trained(X, y)


@pytest.mark.usefixtures("unchecked")
def test_complex_numbers_lose_no_part_in_predictions():
    with pytest.raises(ValueError, match="residual is of dtype complex128"):
        gradient_flow_losses(VALUES, VECTORS, Y + 1j, [0.0])
    with pytest.raises(ValueError, match=r"theta is no array of numbers \(its rows differ"):
        linearised_sgd_losses([[1.0, 0.0], [0.0]], [1.0, 1.0], [[0, 1]], 0.1, 1)
