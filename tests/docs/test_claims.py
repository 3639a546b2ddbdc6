"""Protects the table of the thesis's claims: verdicts follow the rows, both ways."""

from __future__ import annotations

import numpy as np
import pytest

from docs.tools.claims import __main__ as claims
from docs.tools.claims.claim import CONFIRMED, REFUTED, UNDECIDED, verdict
from docs.tools.claims.spectra import spectra
from docs.tools.study import conditions
from ntk_sweep.analysis.chapters.speed.candidates import PRIMARY
from tests.docs.test_study import study_rows
from tests.helpers import analysis_rows
from tests.helpers.analysis_training_rows import run, store

GREATEST = {"relu": 4.0, "elu": 0.7, "lrelu": 4.1, "sigmoid": 0.04}
WIDTHS, DEPTHS, SEEDS = (300, 800), (2, 3, 4, 8), 3


def lambda_min(act, width, depth, seed):
    """Greatest at depth 2 and width 800; a layer divides it by 2, for the sigmoid by 20."""
    factor = 20.0 if act == "sigmoid" else 2.0
    return GREATEST[act] * (width / 800) ** 0.1 * factor ** (2 - depth) * (1 + 0.01 * seed)


def grid(decay=None, method="compensated"):
    """Spectra of all activations; `decay` makes the eigenvalues λ_1, λ_2, … from k."""
    rows = []
    for act in GREATEST:
        for width in WIDTHS:
            for depth in DEPTHS:
                for seed in range(SEEDS):
                    least = lambda_min(act, width, depth, seed)
                    changes = {"method": method, "error_bound": 1e-20}
                    if decay is not None:
                        values = decay(np.arange(1, 201))
                        changes["eigenvalues"] = list(least * values[::-1] / values[-1])
                        changes["eigenvalue_errors"] = [1e-20] * 200
                    rows.append(analysis_rows.row(act, width, depth, seed, least, **changes))
    return rows


def training():
    """The best networks and those of Figure 10, in both orders."""
    rows = []
    for shuffle in (True, False):
        for seed in range(SEEDS):
            for act in GREATEST:
                values = {"seed": seed, "shuffle": shuffle, "lambda_min": 1e-3}
                rows.append(run(act, 800, 2, losses=[9.0, 1.0, 0.5], **values))
            stuck = [9.0, 0.25, 0.25] if shuffle else [9.0, 0.5, 0.5]
            rows.append(run("sigmoid", 300, 8, losses=stuck, **values))
    return rows


@pytest.fixture(scope="module")
def thesis(tmp_path_factory):
    """The thesis's networks and runs."""
    folder = tmp_path_factory.mktemp("thesis")
    analysis_rows.store(folder, grid(lambda k: np.exp(-0.1 * k)))
    store(folder, training())
    return str(folder)


def found(every, start):
    """The claim whose text begins so."""
    (one,) = (one for one in every if one.text.startswith(start))
    return one


def own(folder, rows):
    analysis_rows.store(folder, rows)
    return claims.of_thesis(str(folder))


@pytest.mark.parametrize(
    ("decay", "expected"),
    [(lambda k: np.exp(-0.1 * k), CONFIRMED), (lambda k: k**-2.0, REFUTED)],
)
def test_the_decay_is_told_from_a_power_law(tmp_path, decay, expected):
    study = own(tmp_path, grid(decay))
    assert found(spectra(study, study), "eigenvalues decay").verdict == expected


def test_spectra_are_judged_from_the_rows(tmp_path):
    study = own(tmp_path, grid(lambda k: 1.0 / k))
    every = spectra(study, study)
    for start, expected in (
        ("ReLU 800 × 3 has", REFUTED),
        ("ELU: the greatest", CONFIRMED),
        ("ReLU: the greatest", REFUTED),
        ("the greatest λ_min of ReLU", REFUTED),
        ("ReLU and LeakyReLU have", CONFIRMED),
        ("λ_min of sigmoid networks", REFUTED),
        ("it is nearly independent of the width", CONFIRMED),
    ):
        assert found(every, start).verdict == expected, start


def test_a_verdict_is_undecided_between():
    assert verdict(confirmed=False, refuted=False) == UNDECIDED
    assert verdict(confirmed=False) == REFUTED
    assert verdict(confirmed=True, refuted=True) == CONFIRMED


@pytest.mark.slow
def test_the_table_is_filled(tmp_path, thesis, monkeypatch):
    page = tmp_path / "results.md"
    page.write_text("<!-- claims -->\n<!-- end -->\n")
    monkeypatch.setattr(conditions, "SHARES", (conditions.SECONDARY, PRIMARY))
    study = store(tmp_path / "study", study_rows())
    claims.main(thesis, thesis, study, page)
    text = page.read_text()
    assert "0.250 to 0.250 shuffled, 0.500 to 0.500 in a kept order" in text
    assert "of 24 gradient flows to a loss of 1e-20, 0 exceed" in text
    (line,) = [one for one in text.splitlines() if "best networks do not reach" in one]
    # All losses are the same: in order by the median, apart in no seed.
    assert "3 of 3 neighbours are in order by the median, 0 in all seeds" in line
