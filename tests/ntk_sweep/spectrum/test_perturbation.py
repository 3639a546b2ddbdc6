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
