"""Protects the answer to why λ_min falls with depth: it follows the rows, both ways."""

from __future__ import annotations

import pytest

from docs.tools import phases
from tests.helpers.analysis_rows import row, store

SCALES = {
    "thesis": (1.0, 1.0),
    "ordered": (1.0, 0.0),
    "critical": (2**0.5, 0.0),
    "chaotic": (2, 0.0),
}
FACTORS = {"thesis": 0.5, "ordered": 0.5, "critical": 1.1, "chaotic": 2.0}
CONDITIONS = {"thesis": 2.0, "ordered": 0.9, "critical": 0.9, "chaotic": 0.9}


def table(tmp_path, factors=FACTORS, conditions=CONDITIONS):
    """ReLU networks; a layer more multiplies λ_min and condition number by a factor."""
    rows = [
        row(
            depth=depth,
            seed=seed,
            lambda_min=factors[line] ** depth * (1 + seed),
            condition_number=100 * conditions[line] ** depth,
            weight_std=float(weight),
            bias_std=bias,
        )
        for line, (weight, bias) in SCALES.items()
        for depth in (3, 5, 10)
        for seed in (0, 1)
    ]
    (study,) = phases.put_together(phases.studies(store(tmp_path, rows)), phases.SCALES)
    return phases.lines(study)


def test_factors_are_those_of_the_rows_and_phases_those_of_theory(tmp_path):
    found = phases.factors(table(tmp_path)).set_index("line")
    assert set(found.index) == set(SCALES)
    assert found["chi"].to_dict() == pytest.approx(
        {"thesis": 0.5, "ordered": 0.5, "critical": 1.0, "chaotic": 2.0}
    )
    assert found["lambda_min"].to_dict() == pytest.approx(FACTORS)
    assert found["condition_number"].to_dict() == pytest.approx(CONDITIONS)
    assert set(found["last"]) == {10} and set(found["seeds"]) == {2}


def test_the_answer_follows_the_rows(tmp_path):
    said = phases.answer(phases.factors(table(tmp_path / "a")))
    assert "λ_min falls with depth for 1" in said and "So it is the choice of scales" in said
    assert "ReLU σ_w without biases does no more than multiply Θ" in said
    falling = FACTORS | {"critical": 0.9}
    other = CONDITIONS | {"chaotic": 0.8}
    said = phases.answer(phases.factors(table(tmp_path / "b", falling, other)))
    assert "It rises on the edge for 0 of 1" in said and "not the choice of scales alone" in said
    assert "multiply Θ" not in said
