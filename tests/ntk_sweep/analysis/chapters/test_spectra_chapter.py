"""Protects spectra, and the thesis's networks beside its values."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ntk_sweep.analysis.chapters.spectra import figures, numbers
from ntk_sweep.analysis.chapters.spectra.tables import comparison_table
from ntk_sweep.analysis.rows import inputs
from ntk_sweep.analysis.rows.cells import cells
from ntk_sweep.analysis.statistics.decay import exponential
from ntk_sweep.analysis.writing.tables import markdown
from tests.helpers.analysis_rows import group, row
from tests.helpers.pixels import colours


def test_a_spectrum_begins_with_the_greatest_eigenvalue():
    points = numbers.spectrum(np.array([1e-12, 2.0, 5.0]), np.array([1e-9, 1e-9, 1e-9]))
    assert points["eigenvalue"].tolist() == [5.0, 2.0, 1e-12]
    assert points["index"].tolist() == [1, 2, 3]
    assert points["resolved"].tolist() == [True, True, False]
    assert "1 lie below the error bound" in figures.alt_text(points, "a network")


def test_unresolved_eigenvalues_are_drawn_as_upper_bounds():
    points = numbers.spectrum(np.array([0.0, 1e-10, 2.0]), np.full(3, 1e-9))
    axes = figures.spectrum_figure(points, "title").axes[0]
    by_label = {line.get_label(): line for line in axes.get_lines()}
    (hollow,) = [line for label, line in by_label.items() if label.startswith("unresolved")]
    assert hollow.get_ydata().tolist() == pytest.approx([1.1e-9, 1e-9])
    assert hollow.get_markerfacecolor() == "none"
    assert by_label["eigenvalue"].get_ydata().tolist() == [2.0]


def test_an_exponential_decay_and_the_rank_of_the_inputs_are_drawn():
    # λ_1 stands apart, and the last eigenvalue is unresolved.
    index = np.arange(1, 9)
    values = np.where(index == 1, 1e6, 5 * np.exp(-0.7 * index))
    points = numbers.spectrum(values, np.where(index == 8, 1.0, 1e-9))
    fit = numbers.decay(points)
    assert (fit.level, fit.rate, fit.explained) == pytest.approx((5, 0.7, 1))
    axes = figures.spectrum_figure(points, "title", 4).axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert lines["rank of the centred inputs + 1 = 4"].get_xdata() == [4, 4]
    (dashed,) = (line for line in lines.values() if line.get_linestyle() == "--")
    assert dashed.get_xdata().tolist() == [2, 7]
    assert dashed.get_ydata() == pytest.approx(5 * np.exp([-1.4, -4.9]))
    assert "R^2$ = 1.00" in dashed.get_label()
    assert "plus 1, 4, is marked" in figures.alt_text(points, "a network", 4)
    whole = figures.spectrum_figure(points, "title", 8).axes[0]
    assert not any(line.get_label().startswith("rank") for line in whole.get_lines())


def test_a_fit_explains_a_part_of_the_variance():
    index, values = np.array([2, 3, 4, 5]), np.array([9.0, 4.0, 3.0, 1.0])
    fit = exponential(index, values)
    slope, level = np.polyfit(index, np.log(values), 1)
    assert (fit.rate, fit.level) == pytest.approx((-slope, np.exp(level)))
    assert fit.explained == pytest.approx(np.corrcoef(index, np.log(values))[0, 1] ** 2)
    assert exponential(index, values[::-1]) is None and exponential(index[:2], values[:2]) is None


def test_the_rank_is_that_of_the_inputs_after_centring(monkeypatch):
    # five points on a line that does not go through 0
    x = np.outer(np.arange(5.0), [1, 2, 3]) + np.array([1, 0, 0])
    monkeypatch.setattr(inputs, "find", lambda group, source: SimpleNamespace(x=x))
    assert inputs.affine_rank(group([row()])) == 2
    monkeypatch.undo()
    assert inputs.affine_rank(group([row(data="npz")])) is None


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ([1.0], 0.0),
        ([0.0], 0.0),
        ([0.0, 0.0], 1e-9),
        ([1e-100, 1e100], 1e-9),
        ([1.0, 1.0], 1e-9),
        ([1.0, 2.0], 0.0),
    ],
)
def test_every_spectrum_can_be_drawn(values, error, recwarn):
    points = numbers.spectrum(np.array(values), np.full(len(values), error))
    assert colours(figures.spectrum_figure(points, "title")) > 10
    assert [str(warning.message) for warning in recwarn] == []


def test_the_networks_of_the_figures_stand_beside_the_thesis():
    one = group(
        [
            row("relu", 800, 3, 0, 3.0),
            row("relu", 800, 3, 1, 4.0),
            row("sigmoid", 300, 8, 0, 1e-10),
            row("elu"),
        ]
    )
    text = markdown(comparison_table(one, cells(one.rows)))
    assert "3.500 ± 0.707" in text
    assert "3.664" in text
    assert "3.935e-10 or 3.262e-10" in text
    assert "unresolved" in text
    assert "ELU" not in text
