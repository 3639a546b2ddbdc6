"""Protects the chapter on order and chaos: its theory, its numbers, and when it is shown."""

from __future__ import annotations

import numpy as np
import pytest

from ntk_sweep import critical_point, mean_field
from ntk_sweep.analysis.chapters import order
from ntk_sweep.analysis.chapters.phases import mean_field as theory
from ntk_sweep.analysis.chapters.phases.composition import CHAPTER
from ntk_sweep.analysis.chapters.phases.figures import plane_figure, plane_grids
from ntk_sweep.analysis.chapters.phases.numbers import SCALES, measured, trained
from ntk_sweep.analysis.page import report
from ntk_sweep.analysis.rows.study import put_together, studies
from ntk_sweep.network.activations.registry import ACTIVATIONS
from tests.helpers import analysis_training_rows as training_rows
from tests.helpers.analysis_rows import row, store

WEIGHTS, BIASES, DEPTHS = (0.7, 1.0, 2.0**0.5, 2.0), (0.0, 0.5, 1.0), (3, 5)


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_slopes_are_those_of_mean_field_theory(act):
    for weight in (0.7, 1.0, 1.7, 11.0):
        for bias in (0.0, 0.5):
            exact = mean_field(act, weight, bias)
            found = theory.slope(act, weight, bias)
            assert found == pytest.approx(exact.slope, rel=2e-5), (weight, bias)
            assert theory.phase(found) == exact.phase
    assert theory.slope(act, 1.7, np.nan) == theory.slope(act, 1.7, 0.0)


@pytest.mark.parametrize(
    ("act", "bias"),
    [("elu", 0.5), ("tanh", 0.2), ("tanh", 1.0), ("erf", 0.5), ("sigmoid", 1.0), ("gelu", 1.0)],
)
def test_the_critical_line_is_that_of_mean_field_theory(act, bias):
    weights, biases = theory.critical_line(act)
    assert np.interp(bias, biases, weights) == pytest.approx(
        critical_point(act, bias).weight_std, rel=1e-4
    )


def test_a_line_is_a_point_for_relu_and_left_out_where_it_repels():
    weights, biases = theory.critical_line("relu")
    assert weights == pytest.approx([2**0.5]) and biases == [0]
    # at σ_b = 0.2 the critical point of GELU repels, at 0.5 it attracts
    assert not critical_point("gelu", 0.2).stable and critical_point("gelu", 0.5).stable
    assert 0.2 < theory.critical_line("gelu")[1].min() < 0.5
    lacking = {act: theory.lacks_a_part(act) for act in ("relu", "tanh", "gelu", "silu")}
    assert lacking == {"relu": False, "tanh": False, "gelu": True, "silu": True}


def lambda_min(weight, bias, depth):
    """A layer multiplies it by χ_1 of ReLU, σ_w²/2."""
    return (1 + bias) * (weight**2 / 2) ** depth


def plane(**changes):
    return [
        row(
            depth=depth, seed=seed, lambda_min=lambda_min(weight, bias, depth),
            weight_std=weight, bias_std=bias, parametrisation="ntk", **changes,
        )
        for weight in WEIGHTS
        for bias in BIASES
        for depth in DEPTHS
        for seed in (0, 1)
    ]  # fmt: skip


def runs():
    return [
        training_rows.recorded(
            depth=3, change=weight + bias, weight_std=weight, bias_std=bias, parametrisation="ntk"
        )
        for weight in WEIGHTS
        for bias in BIASES
    ]


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("plane")
    store(folder, plane())
    return training_rows.store(folder, runs())


def test_every_number_stands_at_its_scales_beside_the_prediction(results):
    (study,) = put_together(studies(results), CHAPTER.across())
    table, factors = (
        CHAPTER.content(study).tables[0].numbers,
        CHAPTER.content(study).figures[-1].numbers,
    )
    assert len(table) == len(WEIGHTS) * len(BIASES) * len(DEPTHS)
    for line in table.to_dict("records"):
        weight, bias = line["weight_std"], line["bias_std"]
        expected = lambda_min(weight, bias, line["depth"])
        assert line["lambda_min"] == pytest.approx(expected)
        assert line["limit_lambda_min"] == pytest.approx(2 * expected)
        assert line["lambda_max"] == pytest.approx(1e5 * expected)
        assert line["chi"] == pytest.approx(weight**2 / 2)
        drift = weight + bias if line["depth"] == 3 else np.nan
        assert line["drift"] == pytest.approx(drift, nan_ok=True)
    named = dict(zip(table["weight_std"], table["phase"], strict=True))
    assert named == dict(zip(WEIGHTS, ["ordered", "ordered", "critical", "chaotic"], strict=True))
    assert np.allclose(factors["measured"], factors["chi"])
    assert (factors["shallow"], factors["deep"])[0].unique() == [3]
    shown = CHAPTER.content(study).tables[0].table
    assert [line[2:4] for line in shown.rows] == [["ordered", 6], ["critical", 3], ["chaotic", 3]]


def test_the_critical_point_stands_on_its_cell(results):
    (study,) = put_together(studies(results), SCALES)
    depths, maps = plane_grids(measured(study, trained(study)), "relu", 100)
    assert depths == [3, 5] and list(maps)[-1] == "drift"
    panels = [axes for axes in plane_figure(depths, maps, "relu").axes if axes.lines]
    assert len(panels) == len(depths) * len(maps) - 1, "nothing was trained at depth 5"
    assert panels[0].lines[0].get_xydata().tolist() == [[2, 0]]
    labels = [label.get_text() for label in panels[-1].get_xticklabels()]
    assert labels == ["0.49", "1", "2", "4"]


def test_the_page_shows_a_plane_once_in_the_part_of_its_first_scales(results, tmp_path):
    store(tmp_path, [*plane(), row(weight_std=2.0)])
    every = studies(str(tmp_path))
    assert len(every) == len(WEIGHTS) * len(BIASES) + 1
    parts = [part for part in report.shown(every) if part[1] is CHAPTER]
    assert [(every[place].group.label, study.group.label) for place, _, study in parts] == [
        ("fashion_mnist-ntk-weight_std0.7-bias_std0", "fashion_mnist-ntk"),
    ], "the other parametrisation has no plane"
    # all others show each group for itself
    assert len(list(report.shown(every))) == len(every) * (len(order.CHAPTERS) - 1) + len(parts)


def test_where_there_is_no_plane_the_command_makes_one(tmp_path):
    (study,) = studies(store(tmp_path / "r", [row(parametrisation="ntk", bias_std=0.0)]))
    content = CHAPTER.content(study)
    assert content.missing.command == (
        f"ntk-sweep run +experiment=phase_diagram parametrisation=ntk results={tmp_path / 'r'}"
    )
    (study,) = studies(store(tmp_path / "t", [row()]))
    assert "phase_diagram parametrisation=thesis " in CHAPTER.content(study).missing.command
