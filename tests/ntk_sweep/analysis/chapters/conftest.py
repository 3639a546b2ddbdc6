"""What the tests of the chapters share: a store of spectra and of training runs."""

import pytest

from tests.helpers import analysis_rows
from tests.helpers.analysis_training_rows import run, store


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> str:
    """A store: of its spectra ReLU 100 × 2 and Sigmoid 50 × 2 have the greatest λ_min."""
    folder = tmp_path_factory.mktemp("results")
    spectra = [
        analysis_rows.row(act, width, 2, seed, float(value))
        for act, width, value in (
            ("relu", 50, 1),
            ("relu", 100, 2),
            ("sigmoid", 50, 3),
            ("sigmoid", 70, 1),
        )
        for seed in (0, 1)
    ]
    analysis_rows.store(folder, spectra)
    rows = [
        run(act, width, 2, seed)
        for act in ("relu", "sigmoid")
        for width in (50, 100, 200, 300, 400)
        for seed in (0, 1)
    ]
    rows += [
        run(width=800, depth=3, learning_rate=0.5, learning_rate_unit="inverse_lambda_max"),
        run(width=800, depth=3),
    ]
    return store(folder, rows)
