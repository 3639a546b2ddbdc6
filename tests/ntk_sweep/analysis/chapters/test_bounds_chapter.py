"""Protects the bounds from λ_min, by hand."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from ntk_sweep.analysis.chapters.bounds import figures, numbers, tables
from ntk_sweep.analysis.cli import main
from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.writing.tables import html, latex, markdown
from tests.helpers import analysis_rows
from tests.helpers.analysis_training_rows import EDGES, only_runs, run, store, table_row
from tests.helpers.pixels import colours


def test_bounds_by_hand():
    # N = 200, batch size 1, λ_min = 20, η = 0.1: an epoch is 200 steps and 20 units of flow time.
    rows = [run(losses=[2.0, 1e-4, 1e-9], lambda_min=20.0, learning_rate=0.1)]
    values = numbers.bound_values(only_runs(rows))
    assert values["flow"].tolist() == pytest.approx([2.0, 2 * math.exp(-8), 2 * math.exp(-16)])
    assert values["du"].tolist() == pytest.approx([2.0, 2 * 0.99**200, 2 * 0.99**400])
    assert values["thesis"].tolist() == pytest.approx([2.0, 0.0, 0.0], abs=1e-8)
    batches = numbers.bound_values(
        only_runs([run(losses=[2.0, 1.0], lambda_min=20.0, learning_rate=0.01, batch_size=100)])
    )
    assert batches["flow"].tolist() == pytest.approx([2.0, 2 * math.exp(-4 / 200 * 20 * 0.02)])
    assert batches["du"].tolist() == pytest.approx([2.0, 2 * 0.999**2])
    assert batches["thesis"].tolist() == pytest.approx([2.0, 2 * 0.9])


def test_the_first_epoch_above_a_bound_by_hand():
    # The flow bound falls by e^-1 an epoch, that of the thesis by 1 - 0.125.
    step = {"lambda_min": 50.0, "learning_rate": 0.005}
    falls = math.exp(-1)
    rows = [
        run(
            seed=0, losses=[1.0, 0.9 * falls, 1.1 * falls**2, 0.9 * falls**3], **step
        ),  # above in epoch 2 only
        run(
            seed=1, losses=[1.0, 1.1 * falls, 1.1 * falls**2, 1.1 * falls**3], **step
        ),  # from epoch 1
        run(seed=2, losses=[1.0, 0.9 * falls, 0.9 * falls**2, 0.9 * falls**3], **step),  # never
    ]
    found = only_runs(rows)
    table = numbers.violations(numbers.bound_values(found)).set_index("bound")
    flow = table.loc["flow"]
    assert (flow["seeds"], flow["exceeding"], flow["first_low"], flow["first_high"]) == (3, 2, 1, 2)
    assert flow["epochs"] == pytest.approx(4 / 9)
    assert (flow["ratio"], flow["ratio_low"], flow["ratio_high"]) == pytest.approx((0.9, 0.9, 1.1))
    assert table.loc["thesis", "exceeding"] == 0
    assert math.isnan(table.loc["thesis", "first"])
    shown = tables.violation_table(found, numbers.bound_values(found))
    assert table_row(shown, "ReLU 100 × 3", "gradient flow")[2:5] == [
        "2 of 3 seeds",
        "1 to 2",
        "44 %",
    ]
    assert table_row(shown, "ReLU 100 × 3", numbers.TITLES["thesis"])[2:5] == ["never", "—", "0 %"]


def test_a_step_too_large_for_a_bound_has_none():
    found = only_runs([run(losses=[1.0, 0.5], lambda_min=5.0, learning_rate=1.0)])
    values = numbers.bound_values(found)
    assert values["thesis"].isna().all()
    assert values["du"].notna().all()
    table = tables.violation_table(found, values)
    assert table_row(table, "ReLU 100 × 3", numbers.TITLES["thesis"])[2:] == [
        "no bound",
        "—",
        "—",
        "—",
    ]
    assert "No bound: the step is so large" in markdown(table)
    figure = figures.bound_figure(found, values)
    assert colours(figure) > 10
    (panel,) = figure.axes
    assert [text.get_text() for text in panel.texts] == ["as the thesis draws it: no bound"]


def test_loss_and_bounds_are_drawn_over_the_loss_before_training():
    step = {"lambda_min": 50.0, "learning_rate": 0.005}  # the flow bound falls by e^-1 an epoch
    losses = ([2.0, 1.0], [8.0, 2.0], [4.0, math.inf])
    found = only_runs([run(seed=s, losses=own, **step) for s, own in enumerate(losses)])
    points = numbers.relative(numbers.bound_values(found))
    assert points["seeds"].tolist() == [3, 3]
    ends = [points[f"loss{end}"].tolist() for end in ("", "_low", "_high")]
    assert ends == [[1.0, 0.5], [1.0, 0.25], [1.0, 0.5]]
    for end in ("", "_low", "_high"):
        assert points[f"flow{end}"].tolist() == pytest.approx([1, math.exp(-1)])
    (panel,) = figures.bound_figure(found, numbers.bound_values(found)).axes
    assert panel.get_ylabel() == r"$L\,/\,L(0)$"
    assert panel.lines[0].get_ydata().tolist() == [1.0, 0.5]
    assert len(panel.collections) == 1  # the band of the loss alone is filled


def test_the_bound_is_that_of_the_eigenvalue_less_its_error():
    values = numbers.bound_values(
        only_runs([run(losses=[1.0, 0.5], lambda_min=1.0, error_bound=0.5, learning_rate=0.1)])
    )
    assert values["flow"].tolist() == pytest.approx([1.0, math.exp(-4 / 200 * 0.5 * 20)])


def test_a_diverged_run_is_above_every_bound():
    table = numbers.violations(
        numbers.bound_values(
            only_runs([run(losses=[1.0, 0.1, math.inf], epochs=4, lambda_min=1.0)])
        )
    )
    assert table["first"].tolist() == [2.0, 2.0, 2.0]
    assert np.isinf(table["ratio"]).all()


def test_a_run_that_stopped_at_its_loss_is_compared_up_to_there():
    step = {"lambda_min": 50.0, "learning_rate": 0.005}  # the flow bound falls by e^-1 an epoch
    values = numbers.bound_values(only_runs([run(losses=[2.0, 0.5], epochs=4, **step)]))
    flow = numbers.violations(values).set_index("bound").loc["flow"]
    assert (flow["seeds"], flow["exceeding"], flow["epochs"]) == (1, 0, 0)
    assert flow["ratio"] == pytest.approx(0.25 / math.exp(-1))
    assert numbers.relative(values)["loss"].tolist() == [1.0, *[0.25] * 4]


def test_without_a_resolved_eigenvalue_there_is_no_bound():
    mixed = only_runs([run(lambda_min=1e-12), run(seed=1)])
    values = numbers.bound_values(mixed)
    assert values["seed"].unique().tolist() == [1]
    assert "1 of 2 runs are left out" in markdown(tables.violation_table(mixed, values))
    with pytest.raises(
        AnalysisError,
        match=r"does not exceed its error bound in any run, so there is no bound to compare with$",
    ):
        numbers.bound_values(only_runs([run(lambda_min=1e-12)]))
    with pytest.raises(
        AnalysisError, match=r"to compare with: networks of dtype=float64 have smaller errors$"
    ):
        numbers.bound_values(only_runs([run(lambda_min=1e-12, dtype="float32")]))


@pytest.mark.long
@pytest.mark.parametrize("rows", EDGES.values(), ids=EDGES)
def test_every_bound_can_be_drawn(rows, recwarn):
    found = only_runs(rows)
    values = numbers.bound_values(found)
    assert colours(figures.bound_figure(found, values, "title")) > 10
    assert "three bounds" in figures.alt_text(values)
    table = tables.violation_table(found, values)
    assert markdown(table) and latex(table) and html(table)
    assert [str(warning.message) for warning in recwarn] == []


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_bounds_shows_the_best_relu_network_of_the_spectra(trained, tmp_path, capsys):
    assert main(["bounds", trained, "-o", str(tmp_path)]) == 0
    assert "bounds-lr0.001-b1-e2-fashion_mnist-thesis.svg" in names(tmp_path)
    shown = capsys.readouterr().out
    assert re.search(r"\| ReLU 100 × 2 \| gradient flow +\| never ", shown)
    assert set(re.findall(r"\| (\w+ \d+ × \d+) \|", shown)) == {"ReLU 100 × 2"}


@pytest.mark.parametrize(
    ("spectra", "runs", "message"),
    [
        (
            [],
            [run()],
            r"there is no ReLU network with a resolved λ_min. Make it with\n"
            r"  ntk-sweep run \+experiment=thesis_grid (.|\n)*--network:\n  relu-100x3$",
        ),
        (
            [analysis_rows.row("elu"), analysis_rows.row("relu", lambda_min=1e-12)],
            [run()],
            r"there is no ReLU network with a resolved λ_min. Make it with\n"
            r"  ntk-sweep run \+experiment=thesis_grid ",
        ),
        (
            [analysis_rows.row("relu", 70, 2)],
            [run(width=width) for width in range(10, 24)],
            r"no run with a resolved λ_min of ReLU 70 × 2, the ReLU network with the greatest "
            r"mean λ_min. Make it with\n  ntk-sweep run \+experiment=thesis_training "
            r"'seed=range\(0,5\)' (.|\n)*relu-21x3, … and 2 more$",
        ),
        (
            [analysis_rows.row("relu", 70, 2)],
            [run(width=70, depth=2, lambda_min=1e-12)],
            r"no run with a resolved λ_min of ReLU 70 × 2, ",
        ),
    ],
    ids=["no spectra", "unresolved", "not trained", "trained unresolved"],
)
def test_without_figure_11_it_is_said_what_makes_it(spectra, runs, message, tmp_path, capsys):
    if spectra:
        analysis_rows.store(tmp_path / "r", spectra)
    results = store(tmp_path / "r", runs)
    assert main(["bounds", results, "-o", str(tmp_path / "out")]) == 2
    assert re.search(message, capsys.readouterr().err.strip())
