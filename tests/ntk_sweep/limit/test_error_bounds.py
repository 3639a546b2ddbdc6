"""The error bound of the limit kernel holds, and is of use: against mpmath and perturbed duals."""

import mpmath as mp
import pytest
import torch

from ntk_sweep.limit import error_bounds
from ntk_sweep.limit.dual_activations import Duals, gram_duals, own_duals
from ntk_sweep.limit.gram_factors import GramFactors
from ntk_sweep.limit.kernel import limit_kernels, limit_ntks
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.numerics.gaussian_pairs import GaussianPairs, area_of
from tests.helpers.exact_limits import exact_limit
from tests.helpers.limit_inputs import inputs


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
@pytest.mark.parametrize("activation", ["relu", "lrelu", "erf"])
@pytest.mark.parametrize("gap", [1e-2, 1e-6, 1e-12, 0.0])
def test_error_bound_against_mpmath(activation, parametrisation, gap):
    x = inputs(4)
    x[1] = x[0] + gap * x[1]
    depth, width = 6, 300
    computed = limit_ntks(x, activation, width, (depth,), parametrisation)[depth]
    with mp.workdps(60):
        exact = exact_limit(x, activation, width, depth, parametrisation)
        difference = torch.tensor(
            [
                [float(mp.mpf(float(computed.kernel[i, j])) - exact[i, j]) for j in range(4)]
                for i in range(4)
            ],
            dtype=torch.float64,
        )
    size = float(torch.linalg.matrix_norm(computed.kernel, 2))
    assert float(torch.linalg.matrix_norm(difference, 2)) <= computed.error_norm
    assert computed.error_norm <= 1e-10 * size  # informative, also for nearly identical inputs


SCALES = [(2.0**0.5, 0.0), (1.5, 0.3), (0.7, 2.0), (3.0, None), (0.1, 0.0), (1e-3, 0.0)]


def rows_of_many_kinds():
    """Nearly equal, opposite, parallel and no length at all."""
    x = inputs(8)
    x[1] = x[0] + 1e-6 * x[1]
    x[2], x[3], x[4], x[5] = 2 * x[0], -x[0], 1.1 * x[0], 0 * x[0]
    x[6] = 3 * (x[0] + 1e-9 * x[6])
    return x


@pytest.mark.parametrize("scales", SCALES, ids=str)
@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
@pytest.mark.parametrize("activation", ["relu", "lrelu", "erf"])
def test_scales_against_mpmath(activation, parametrisation, scales):
    """Without a bias nothing keeps parallel inputs apart, and none has a length of its own."""
    x, depth, width = rows_of_many_kinds(), 6, 300
    computed = limit_ntks(x, activation, width, (depth,), parametrisation, *scales)[depth]
    with mp.workdps(80):
        exact = exact_limit(x, activation, width, depth, parametrisation, *scales)
        count = len(x)
        difference, size = (
            torch.tensor(
                [[float(f(i, j)) for j in range(count)] for i in range(count)], dtype=torch.float64
            )
            for f in (
                lambda i, j: mp.mpf(float(computed.kernel[i, j])) - exact[i, j],
                lambda i, j: mp.sqrt(exact[i, i] * exact[j, j]),
            )
        )
    assert (difference.abs() <= 1e-12 * size).all(), (difference.abs() / size).max()
    assert float(torch.linalg.matrix_norm(difference, 2)) <= computed.error_norm
    assert computed.error_norm <= 1e-10 * float(torch.linalg.matrix_norm(computed.kernel, 2))


@pytest.mark.parametrize(
    "activation", [name for name, entry in ACTIVATIONS.items() if entry.closed_dual is None]
)
def test_error_bound_covers_perturbed_duals(activation, monkeypatch):
    # The bound is of first order and linear in the error of the duals: so give these a large one,
    # on purpose and at random.
    unit, x, depth = 1e-8, inputs(12), 6
    exact = limit_kernels(x, activation, 100, depth, "thesis")
    monkeypatch.setattr(error_bounds, "dual_error", lambda *_: unit)
    generator = torch.Generator().manual_seed(3)

    def own(name, variance):
        duals = own_duals(name, variance)
        function, derivative = (
            of * (1 + unit * torch.randn(len(of), generator=generator, dtype=torch.float64).sign())
            for of in duals[:2]
        )
        return duals._replace(function=function, derivative=derivative)

    def perturbed(name, pairs, rows, columns):
        assert columns is rows
        # of single inputs the errors are those of `own`
        duals, count = gram_duals(name, pairs, rows, columns), len(pairs.cov)
        signs = [
            torch.randn(count, count, generator=generator, dtype=torch.float64).triu(1).sign()
            for _ in range(2)
        ]
        function, derivative = (
            value + unit * (sign + sign.T) * (size[:, None] * size[None, :]).sqrt()
            for value, sign, size in zip(
                (duals.function, duals.derivative), signs, rows[:2], strict=True
            )
        )
        size = rows.function
        distance = (size[:, None] + size[None, :] - 2 * function).clamp(min=0).fill_diagonal_(0)
        return Duals(function, derivative, distance)

    monkeypatch.setattr("ntk_sweep.limit.recursion.own_duals", own)
    monkeypatch.setattr("ntk_sweep.limit.recursion.gram_duals", perturbed)
    found = limit_kernels(x, activation, 100, depth, "thesis")
    for result, wanted in ((found.ntk, exact.ntk), (found.nngp, exact.nngp)):
        error = float(torch.linalg.matrix_norm(result.kernel - wanted.kernel, 2))
        assert error <= result.error_norm
        # Random signs mostly cancel, whereas a bound adds them up, over 12 inputs and 6 layers.
        assert result.error_norm <= 1e3 * error


def sides(second_moment):
    """Those of rows and columns."""
    return second_moment[:, None], second_moment[None, :]


def of_layer(activation, variance, error):
    """Single inputs whose variances have these errors."""
    return error_bounds.Own(
        variance,
        own_duals(activation, variance),
        error_bounds.OwnErrors.of(activation, variance, error),
    )


@pytest.mark.parametrize(
    "perturbed", ["near distance", "covariance", "less variance", "more variance", "one variance"]
)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_errors_of_the_inputs_reach_the_duals(activation, perturbed, monkeypatch):
    """One layer with a large rounding unit, and moments that are off by as much as is granted."""
    monkeypatch.setattr(error_bounds, "_EPS", 1e-9)
    n_in = 9
    unit = (n_in**0.5 + error_bounds._ROUNDINGS) * 1e-9
    second_moment = torch.tensor([1.0, 1.1, 0.9], dtype=torch.float64)
    distance = torch.tensor([[0, 0.04, 1.5], [0.04, 0, 1.2], [1.5, 1.2, 0]], dtype=torch.float64)
    pairs = GaussianPairs.from_layer(*sides(second_moment), distance, 1.0)
    area = area_of(*sides(second_moment), distance)
    # what errors of distances and moments make of it
    lengths = second_moment[:, None] + second_moment[None, :]
    spread = 1e2 * unit * distance * lengths + unit * (distance + lengths) * (lengths + 2)
    area_error = torch.minimum(spread / area.clamp(min=1e-300), spread.sqrt()).fill_diagonal_(0)
    errors = error_bounds.ErrorPropagation(
        activation,
        pairs,
        (second_moment, second_moment),
        n_in,
        area,
        area_error,
        GramFactors(1.0, 1.0, 1.0, 1.0),
    )
    variance, far = 0.98 * unit * (second_moment + 1), distance > 0.1
    if perturbed == "one variance":
        variance[1:], errors._cov, far = 0, torch.diag(variance / 0.98), distance > 0
        errors._cov[1:] = 0
    own = of_layer(activation, second_moment + 1, errors._cov.diagonal())
    duals = gram_duals(activation, pairs, own.duals, own.duals)
    errors.pass_activation(pairs, duals, own, own)
    if perturbed == "near distance":
        distance = torch.where(far, distance, distance * (1 + 98 * unit))
    else:
        sign = {"covariance": 0, "less variance": -1}.get(perturbed, 1)
        shift = sign * (variance[:, None] + variance[None, :]) - 2 * variance.min()
        second_moment = second_moment + sign * variance
        distance = torch.where(far, distance + shift, distance)
    shifted = GaussianPairs.from_layer(*sides(second_moment), distance, 1.0)
    duals_of = own_duals(activation, second_moment + 1)
    moved = gram_duals(activation, shifted, duals_of, duals_of)
    bounds = {"function": errors._function, "derivative": errors._derivative}
    if errors._jump:
        errors.pass_distance(duals)
        bounds["distance"] = errors._distance
    for name, bound in bounds.items():
        change = (getattr(moved, name) - getattr(duals, name)).abs()
        assert (change <= bound + 1e-13).all(), name


@pytest.mark.parametrize(
    "activation", [name for name, entry in ACTIVATIONS.items() if entry.kinked]
)
def test_the_bias_turns_an_error_of_the_distance_into_one_of_the_angle(activation, monkeypatch):
    """Of parallel inputs, which have no angle of their own."""
    monkeypatch.setattr(error_bounds, "_EPS", 1e-9)
    lengths, none = torch.tensor([1.0, 1.2], dtype=torch.float64), torch.zeros(2, 2).double()
    distance = (lengths[:, None] - lengths) ** 2
    pairs, moved = (
        GaussianPairs.from_layer(*sides(lengths**2), d, 1.0, 1.0, none)
        for d in (distance, (1 + 98 * (3 + error_bounds._ROUNDINGS) * 1e-9) * distance)
    )
    factors = GramFactors(1.0, 1.0, 1.0, 1.0)
    own = (lengths**2, lengths**2)
    errors = error_bounds.ErrorPropagation(activation, pairs, own, 9, none, none, factors)
    assert ((moved.angle - pairs.angle).abs() <= errors._angle + 1e-15).all()
    assert errors._angle[0, 1] <= 3 * (moved.angle - pairs.angle)[0, 1]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_inputs_that_rounding_makes_equal_keep_their_errors(activation):
    """Squared distances of 1e-14 and less are rounding where they are differences."""
    x = inputs(6)
    x[1], x[2] = x[0] + 1e-8 * x[1], (1 + 1e-9) * x[0]
    limit = limit_ntks(x, activation, 100, (5,), "ntk", 0.7, 2.0)[5]
    assert torch.equal(limit.kernel, limit.kernel.T)
    moved = limit_ntks(x[[1, 0, 2, 3, 4, 5]], activation, 100, (5,), "ntk", 0.7, 2.0)[5]
    difference = moved.kernel[[1, 0, 2, 3, 4, 5]][:, [1, 0, 2, 3, 4, 5]] - limit.kernel
    size = float(torch.linalg.matrix_norm(limit.kernel, 2))
    assert float(torch.linalg.matrix_norm(difference, 2)) <= min(2 * limit.error_norm, 1e-12 * size)


@pytest.mark.parametrize("between", [False, True])
def test_near_duplicates_that_rounding_makes_equal(between):
    """The distance of SiLU's outputs rounds to zero: the entry must not become the row's diagonal.

    Their true correlation is 1 - 1e-16; what the diagonals give is off by 1e-11.
    """
    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    x[2] = x[0] + 1e-8 * x[1]
    others = x if between else None
    for kernels in (
        limit_kernels(x, "silu", 50, depth, "standard", x2=others) for depth in range(2, 6)
    ):
        for kernel, error in (
            (kernels.ntk.kernel, kernels.ntk.error_norm),
            (kernels.nngp.kernel, kernels.nngp.error_norm),
        ):
            size = (kernel[0, 0] * kernel[2, 2]).sqrt()
            for entry in (kernel[0, 2], kernel[2, 0]):
                assert abs(float(entry / size) - 1) <= 1e-14
            assert float(torch.linalg.eigvalsh(kernel)[0]) >= -error
