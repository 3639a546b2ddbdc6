"""Protects what errors of the Jacobian do to eigenvalues: bounds hold for Jacobians made wrong."""

import pytest
import torch

from ntk_sweep.kernel.pass_errors import PassErrors
from ntk_sweep.spectrum.perturbation import eigenvalue_errors, perturbation_bound

GENERATOR = torch.Generator().manual_seed(1)


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=GENERATOR)


def jacobian(*singular_values):
    size = len(singular_values)
    left, right = torch.linalg.qr(normal(size, size)).Q, torch.linalg.qr(normal(30, size)).Q
    return left * torch.tensor(singular_values, dtype=torch.float64) @ right.T


def eigenvalues(matrix):
    return torch.linalg.svdvals(matrix).flip(0) ** 2


def errors_of(shared, rows):
    return PassErrors(shared.norm()[None], rows.norm(dim=1))


@pytest.mark.parametrize("size", [1e-2, 1e-6, 1e-9])
def test_a_shared_error_is_a_relative_one(size):
    """Of every eigenvalue, up to ‖e‖ times ‖w‖ with J w = 1."""
    exact = jacobian(1e-4, 1e-2, 1.0, 50.0)
    shared = 1e-4 * size * normal(30)
    wrong = exact + shared
    values, vectors = eigenvalues(wrong), torch.linalg.svd(wrong).U.flip(1)
    own = values * 1e-12
    bound = eigenvalue_errors(errors_of(shared, torch.zeros(4, 30).double()), values, own, vectors)
    changes = (values - eigenvalues(exact)).abs()
    assert (changes <= bound + own).all() and (changes > 1e-4 * size * bound).any()
    inverse_norm = (vectors.sum(0) ** 2 / values).sum().sqrt()
    expected = 2 * values * shared.norm() * inverse_norm
    torch.testing.assert_close(bound, expected, rtol=0.1, atol=0)


def test_errors_of_rows_are_absolute_ones():
    exact, rows = jacobian(1e-2, 1.0, 50.0), 1e-3 * normal(3, 30)
    wrong = exact + rows
    values, vectors = eigenvalues(wrong), torch.linalg.svd(wrong).U.flip(1)
    errors = errors_of(torch.zeros(30).double(), rows)
    bound = eigenvalue_errors(errors, values, values * 1e-12, vectors)
    assert ((values - eigenvalues(exact)).abs() <= bound).all()
    torch.testing.assert_close(bound, 2 * values.sqrt() * rows.norm() + rows.norm() ** 2)


@pytest.mark.parametrize(("inverse_norm", "unresolved"), [(None, 0.0), (1e9, 0.0), (0.0, 2.0)])
def test_a_shared_error_without_a_known_inverse_is_one_of_every_row(inverse_norm, unresolved):
    """Also where the relative bound says nothing; and what lies along unresolved eigenvectors."""
    errors = PassErrors(torch.tensor([1e-3]).double(), torch.zeros(4).double())
    values, none = torch.tensor([1.0, 4.0]).double(), torch.zeros(2).double()
    bound = perturbation_bound(errors, values, none, inverse_norm, unresolved)
    torch.testing.assert_close(bound, 2 * values.sqrt() * 2e-3 + 2e-3**2)


def diagonal(*singular_values):
    """A Jacobian with orthogonal rows."""
    values = torch.tensor(singular_values, dtype=torch.float64)
    return torch.diag(values)


def covariance_bound(wrong, rows, own=1e-13):
    """From C = EEᵀ, with errors of rows too large to say anything."""
    values, vectors = eigenvalues(wrong), torch.linalg.svd(wrong).U.flip(1)
    errors = PassErrors(torch.zeros(1).double(), 1e6 * rows.norm(dim=1), rows @ rows.T)
    return eigenvalue_errors(errors, values, own * values, vectors) + own * values


# the greater eigenvalue gains what its row does, and is pushed by the smaller one
PUSHED = (diagonal(0.75**0.5, 1.0), -9e-3 * torch.tensor([[0, 0.75**0.5], [0, 1]]).double())
ROWS = {
    "along the row": (diagonal(1e-3, 0.1, 1.0), -9e-3 * diagonal(1e-3, 0.1, 1.0)),
    "a neighbour pushes": PUSHED,
    "rows that are left out": (diagonal(1e-4, 1.0), torch.tensor([[0, 1e-2], [0, 0]]).double()),
    "a row that is nearly lost": (diagonal(1e-4, 1.0), diagonal(-9e-4, 0.0)),
    "equal eigenvalues": (diagonal(1.0, 1.0, 1.0, 4.0), -4e-3 * torch.ones(4, 4).double()),
}


@pytest.mark.parametrize("case", ROWS)
def test_each_eigenvalue_gets_what_its_vector_sees(case):
    wrong, rows = ROWS[case]
    changes = (eigenvalues(wrong) - eigenvalues(wrong - rows)).abs()
    bound = covariance_bound(wrong, rows)
    assert (changes <= bound).all()
    assert (changes > 0.3 * bound).any()


@pytest.mark.parametrize("size", [1e-1, 1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("least", [1.0, 1e-3, 1e-8])
@pytest.mark.parametrize("beside", [1.0, 1.001, 3.0])
def test_bounds_from_a_covariance_hold_for_any_errors(size, least, beside):
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        exact = jacobian(least, beside * least, 30 * least, 50.0)
        rows = size * least * torch.randn(4, 30, dtype=torch.float64, generator=generator)
        rows += size * exact * torch.randn(4, 1, dtype=torch.float64, generator=generator)
        wrong = exact + rows
        bound = covariance_bound(wrong, rows) + 1e-14 * eigenvalues(wrong)[-1]
        assert ((eigenvalues(wrong) - eigenvalues(exact)).abs() <= bound).all()


@pytest.mark.parametrize("matrix", [True, False])
def test_turned_vectors_see_more(matrix):
    """Vector 1, the column, has 1e-3 of the exact vector 0, the row, and sees no error itself."""
    wrong, turn, size = diagonal(1.0, 2.0), 1e-3, 1e-6
    vectors = torch.tensor([[1, turn], [-turn, 1]], dtype=torch.float64)
    # an error of the direction that vector 1 does not see moves the exact λ_1 still
    rows = size * torch.tensor([[0, 1], [0, -turn]], dtype=torch.float64)
    changes = (eigenvalues(wrong) - eigenvalues(wrong - rows)).abs()
    values, nothing = eigenvalues(wrong), torch.zeros(2).double()
    errors = PassErrors(torch.zeros(1).double(), rows.norm(dim=1), rows @ rows.T)
    sines = torch.tensor([[0, turn], [0, 0]], dtype=torch.float64) if matrix else turn
    bound = eigenvalue_errors(errors, values, nothing + 1e-14, vectors, sines)
    assert 2 * bound[1] > changes[1] > 0.5 * bound[1] - 1e-10
    assert (changes <= bound + 1e-14).all()
