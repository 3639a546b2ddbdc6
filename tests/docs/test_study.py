"""Protects the answer of the declared study: verdicts by count, nothing made of what is unknown."""

from __future__ import annotations

import math

import numpy as np
import pytest

from docs.tools.study import __main__ as study
from docs.tools.study import conditions
from docs.tools.study.conditions import Condition
from docs.tools.study.hypotheses import Hypothesis, hypotheses
from ntk_sweep.analysis.chapters.speed.associations import associate
from ntk_sweep.analysis.chapters.speed.candidates import PRIMARY
from tests.helpers.analysis_training_rows import flow, only_runs, run, store

RATES = ((1e-3, "absolute"), (50.0, "inverse_lambda_max"))

GROUPS = (
    ("fashion_mnist", [0, 9], None),
    ("fashion_mnist", [0, 6], None),
    ("fashion_mnist", [0, 9], "random"),
    ("digits", [0, 9], None),
    ("digits", [3, 8], None),
    ("digits", [0, 9], "random"),
)


N_SAMPLES = 200

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


def flows(removed, **changes):
    """Two networks: one keeps the rate of λ_min to the end, one is a hundred times as fast."""
    times = np.linspace(0, 1, 201)
    found = []
    for width, factor in ((10, 1.0), (20, 100.0)):
        values = {"lambda_min": 1.0, "lambda_max": 1e5, "centre_outputs": removed}
        rate = 4 * 1.0 / N_SAMPLES
        end = 46.0 / (factor * rate)
        losses = np.exp(-factor * rate * end * times)
        found.append(flow(end * times, losses, "tanh", width, **values, **changes))
    return found


def study_rows():
    """Rows of every condition."""
    every = []
    for place, (data, classes, labels) in enumerate(GROUPS):
        images = {
            "data": data,
            "data_fingerprint": f"{place}" * 64,
            "data_classes": classes,
            "data_labels": labels,
        }
        for removed in (False, True):
            for rate, unit in RATES:
                how = {"learning_rate": rate, "learning_rate_unit": unit}
                every += networks(removed, **how, **images)
            every += flows(removed, **images)
    return every


@pytest.mark.slow
def test_the_page_is_filled_from_the_rows(tmp_path, monkeypatch):
    page = tmp_path / "reference" / "results.md"
    page.parent.mkdir()
    (tmp_path / "figures").mkdir()
    places = ("answer", "candidates", "flows", "conditions")
    page.write_text("".join(f"<!-- {name} -->\n<!-- end -->\n" for name in places))
    monkeypatch.setattr(conditions, "SHARES", (conditions.SECONDARY, PRIMARY))
    study.main(store(tmp_path / "r", study_rows()), tmp_path)
    text = page.read_text()
    assert "Of 384 runs under 24 conditions" in text
    # Two of 120 pairs are the other way round.
    assert "as drawn, η λ_min has a D from 0.97 to 0.97 (below 0 by its" in text
    below = "below 0 by its simultaneous interval in 12 of 12 conditions"
    assert f"with f₀ removed from -0.97 to -0.97 ({below})" in text
    assert "in 3 of 6 (Fashion-MNIST, f₀ as drawn; there the kernel moves by 0.25 in" in text
    # The conditions that each hypothesis names, holds in, and is contradicted in; its verdict.
    for start, line in (
        ("1a.", ("confirmed", 12, 12, 0)),
        ("1b.", ("confirmed", 12, 12, 0)),
        ("5.", ("confirmed", 24, 24, 0)),
        ("6.", ("refuted", 4, 0, 4)),
        ("7.", ("refuted", 12, 0, 12)),
        ("8.", ("confirmed", 6, 6, 0)),
    ):
        (found,) = lines_of(text, f"| {start}")
        assert found[-6:-2] == list(map(str, line))
    flows = (page.parent / "tables" / "flows.csv").read_text().splitlines()
    assert len([line for line in flows if line.startswith("digits")]) == 6
    assert len((page.parent / "tables" / "conditions.csv").read_text().splitlines()) == 1 + 24
    for single in lines_of(text, "| η · residual rate"):
        assert single[1].startswith("-1.00 ")
    assert (page.parent / "tables" / "study-associations.csv").is_file()
    assert (tmp_path / "figures" / "study-modes.png").stat().st_size > 10_000


def lines_of(text, start):
    """The entries of the lines of tables that begin so."""
    return [
        [entry.strip() for entry in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith(start)
    ]


def test_what_is_unknown_counts_on_neither_side():
    few = associate(only_runs(networks(False)[:3]), PRIMARY)
    condition = Condition("digits", "easy pair", {PRIMARY: few})
    assert math.isnan(condition.d("eta_lambda_min"))
    first = hypotheses([condition], [])[0]
    assert (first.holds, first.contrary) == ([False], [False])
    assert first.verdict == "undecided"


def test_a_hypothesis_without_conditions_is_undecided():
    assert Hypothesis("none", [], []).verdict == "undecided"
