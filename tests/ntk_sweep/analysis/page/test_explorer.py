"""Protects the interactive part of the page: what is kept of a large sweep."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import gmean

from ntk_sweep.analysis.page import explorer
from ntk_sweep.analysis.page.explorer import ENDS, thinned
from ntk_sweep.analysis.page.packing import Packer
from ntk_sweep.analysis.rows.study import studies
from tests.helpers.analysis_rows import row, store
from tests.helpers.report_pages import inflated, numbers_at


def test_a_large_sweep_is_thinned_and_a_small_one_is_not(tmp_path, monkeypatch):
    rows = [
        row(
            "relu", w, 2, s, eigenvalues=list(10.0 ** np.arange(100)), eigenvalue_errors=[1.0] * 100
        )
        for w in (1, 2)
        for s in range(8)
    ]
    (study,) = studies(store(tmp_path, rows))
    spectra = explorer.explorer(study, Packer())["spectra"]
    assert (spectra["kind"], spectra["values"]["length"], spectra["index"]["length"]) == (
        "seeds",
        1600,
        100,
    )
    monkeypatch.setattr(explorer, "MOST_EIGENVALUES", 1000)
    spectra = explorer.explorer(study, Packer())["spectra"]
    assert (spectra["kind"], spectra["values"]["length"]) == ("cells", 2 * 3 * 100)
    monkeypatch.setattr(explorer, "MOST_EIGENVALUES", 10)
    spectra = explorer.explorer(study, Packer())["spectra"]
    assert spectra["values"]["length"] == 2 * 3 * explorer.LEAST_POINTS
    assert spectra["count"] == 100


def test_error_bounds_on_a_page_are_never_smaller_than_those_of_the_rows(tmp_path):
    errors = [1.03e-9, 1.1e-9, 0.0, 3.7e-12, 9.9e-10, 1.0]
    (study,) = studies(store(tmp_path, [row(eigenvalue_errors=errors, lambda_min_error=1.03e-9)]))
    packer = Packer()
    data = explorer.explorer(study, packer)
    raw = inflated(packer.text())

    def numbers(place):
        return numbers_at(raw, place)

    shown = numbers(data["spectra"]["errors"])
    truth = np.array(errors[::-1])  # the greatest eigenvalue first
    assert (shown >= truth).all() and (shown <= truth * 1.0625).all()
    (bound,) = numbers(data["quantities"][0]["error"])
    assert 1.03e-9 <= bound <= 1.1e-9
    np.testing.assert_allclose(
        numbers(data["spectra"]["values"]), 10.0 ** np.arange(5, -1, -1), rtol=1.7e-4
    )


def test_the_interval_on_a_page_is_that_of_the_mean_beside_it(tmp_path):
    rows = [row(seed=seed, lambda_min=2.0**seed, effective_rank=2.0**seed) for seed in range(5)]
    (study,) = studies(store(tmp_path, rows))
    packer = Packer()
    shown = {item["name"]: item for item in explorer.explorer(study, packer)["quantities"]}
    raw = inflated(packer.text())
    for name, mean in (("lambda_min", gmean), ("effective_rank", np.mean)):
        found = [numbers_at(raw, shown[name][part])[0] for part in ("value", "low", "high")]
        # The 95 % interval of five seeds leaves out the draw of one seed five times.
        draws = ([1, 2, 4, 8, 16], [1, 1, 1, 1, 2], [16, 16, 16, 16, 8])
        assert found == pytest.approx([mean(draw) for draw in draws], rel=1e-5)


def test_curves_of_a_cell_have_the_greatest_bound_of_its_seeds(tmp_path, monkeypatch):
    rows = [row(seed=seed, eigenvalue_errors=[10.0 ** (seed - 9)] * 6) for seed in range(4)]
    (study,) = studies(store(tmp_path, rows))
    monkeypatch.setattr(explorer, "MOST_EIGENVALUES", 20)
    packer = Packer()
    spectra = explorer.explorer(study, packer)["spectra"]
    assert spectra["kind"] == "cells"
    shown = numbers_at(inflated(packer.text()), spectra["errors"])
    assert shown == pytest.approx(np.full(18, 1e-6), rel=0.0625)


def test_thinned_spectra_keep_their_ends():
    np.testing.assert_array_equal(thinned(30, 40), np.arange(30))
    kept = thinned(1000, 50)
    assert len(kept) <= 50
    assert kept[:ENDS].tolist() == list(range(ENDS))
    assert kept[-ENDS:].tolist() == list(range(1000 - ENDS, 1000))
    assert (np.diff(kept) > 0).all()
