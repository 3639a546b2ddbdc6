"""Protects the answer of the declared study: verdicts by count, nothing made of what is unknown."""

from __future__ import annotations

import math

import numpy as np
import pytest

from docs.tools import study
from ntk_sweep.analysis.chapters.speed.associations import associate
from ntk_sweep.analysis.chapters.speed.candidates import PRIMARY
from tests.helpers.analysis_training_rows import only_runs, run, store

RATES = ((1e-3, "absolute"), (50.0, "inverse_lambda_max"))

GROUPS = (
    ("fashion_mnist", [0, 9], None),
    ("fashion_mnist", [0, 6], None),
    ("fashion_mnist", [0, 9], "random"),
    ("digits", [0, 9], None),
    ("digits", [3, 8], None),
    ("digits", [0, 9], "random"),
)


ORDER = (1, 0, *range(2, 14), 15, 14)
"""Nearly that of the widths, so that an interval is left."""


def networks(removed, **changes):
    """Sixteen networks, of which a wider one is faster; with f₀ as drawn its λ_min is smaller."""
    return [
        run(
            "relu",
            10 * (n + 1),
            lambda_min=1.0 + ORDER[n] if removed else 16.0 - ORDER[n],
            lambda_max=1e5,
            residual_rate=300.0 * (1 + n),
            losses=list(np.exp(-(0.2 + 0.02 * n) * np.arange(41))),
            epochs=40,
            centre_outputs=removed,
            **changes,
        )
        for n in range(16)
    ]


@pytest.fixture
def rows():
    """Rows of every condition."""
    return [
        row
        for place, (data, classes, labels) in enumerate(GROUPS)
        for rate, unit in RATES
        for removed in (False, True)
        for row in networks(
            removed,
            data=data,
            data_fingerprint=f"{place}" * 64,
            data_classes=classes,
            data_labels=labels,
            learning_rate=rate,
            learning_rate_unit=unit,
        )
    ]


@pytest.mark.slow
def test_the_page_is_filled_from_the_rows(tmp_path, monkeypatch, rows):
    page = tmp_path / "reference" / "results.md"
    page.parent.mkdir()
    (tmp_path / "figures").mkdir()
    page.write_text("<!-- answer -->\n<!-- end -->\n")
    monkeypatch.setattr(study, "DOCS", tmp_path)
    monkeypatch.setattr(study, "PAGE", page)
    monkeypatch.setattr(study, "TABLES", page.parent / "tables")
    monkeypatch.setattr(study, "SHARES", (PRIMARY,))
    study.main(store(tmp_path / "r", rows))
    text = page.read_text()
    assert "Of 384 runs under 24 conditions" in text
    # Two of 120 pairs are the other way round.
    assert "as drawn, η λ_min has a D from 0.97 to 0.97" in text
    assert "removed D goes from -0.97 to -0.97, below 0 in 12 of 12" in text
    # The conditions that each hypothesis names, holds in, and is contradicted in; its verdict.
    for start, line in (
        ("1a.", (12, 12, 0, "confirmed")),
        ("1b.", (12, 12, 0, "confirmed")),
        ("5.", (24, 24, 0, "confirmed")),
        ("6.", (4, 0, 4, "refuted")),
        ("8.", (6, 6, 0, "confirmed")),
    ):
        (found,) = [one for one in text.splitlines() if one.startswith(f"| {start}")]
        assert [entry.strip() for entry in found.split("|")[-5:-1]] == list(map(str, line))
    assert (page.parent / "tables" / "study-associations.csv").is_file()
    assert (tmp_path / "figures" / "study-modes.png").stat().st_size > 10_000


def test_what_is_unknown_counts_on_neither_side():
    few = associate(only_runs(networks(False)[:3]), PRIMARY)
    condition = study.Condition("digits", "easy pair", {PRIMARY: few})
    assert math.isnan(condition.d("eta_lambda_min"))
    first = study.hypotheses([condition])[0]
    assert first.named(condition)
    assert not first.holds(condition)
    assert not first.contrary(condition)
    assert study.verdict(first, [condition])[1:] == [1, 0, 0, "undecided"]
