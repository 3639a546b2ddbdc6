"""Protects the chapter on width and depth: fits by hand, and rows of every kind."""

from __future__ import annotations

import numpy as np
import pytest

from ntk_sweep.analysis.chapters.scaling import figures, numbers, tables
from ntk_sweep.analysis.chapters.scaling.composition import CHAPTER
from ntk_sweep.analysis.chapters.scaling.laws import Inputs
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.tables import html, latex, markdown
from ntk_sweep.data.dataset import load_dataset
from ntk_sweep.store.store import Store
from tests.helpers.analysis_rows import failed, group, row
from tests.helpers.pixels import colours

ONE = Inputs(1, 200)


def powers(exponent=0.5, factor=0.5, widths=(50, 100, 200), depths=(2, 3), seeds=2, **changes):
    """Rows with λ_min = width^exponent factor^depth, of seeds that differ by a factor."""
    return [
        row(width=w, depth=d, seed=s, lambda_min=w**exponent * factor**d * 1.1**s, **changes)
        for w in widths
        for d in depths
        for s in range(seeds)
    ]


def study(rows, results="results") -> Study:
    return Study(group(rows, results), Store(results, "spectrum"))


def fits_of(rows, inputs=ONE):
    one = study(rows)
    table = numbers.points(one)
    scaling = one.group.parametrisation
    return table, {
        axis.name: numbers.slopes(table, axis, inputs, scaling)
        for axis in (numbers.WIDTH, numbers.DEPTH)
    }


def test_a_power_law_gives_its_exponent_and_its_factor():
    _, fits = fits_of(powers(0.75, 0.3))
    over_width, over_depth = fits["width"].iloc[0], fits["depth"].iloc[0]
    assert over_width["slope"] == pytest.approx(0.75)
    assert over_width["limit_slope"] == pytest.approx(0.75)
    assert over_width["law"] == 0.5
    assert (over_width["points"], over_width["seeds"]) == (3, 2)
    assert (over_width["first"], over_width["last"]) == (50, 200)
    assert np.exp(over_depth["slope"]) == pytest.approx(0.3)
    assert np.exp(over_depth["law"]) == pytest.approx(1.6547, rel=1e-4)  # 2/√3 + 1/2


def test_the_interval_of_a_slope_comes_from_the_seeds():
    _, fits = fits_of(powers(seeds=1))
    assert np.isnan(fits["width"][["low", "high"]].to_numpy()).all()
    _, fits = fits_of(powers(seeds=5))
    ends = fits["width"].iloc[0]
    assert ends["low"] < 0.5 < ends["high"]
    inside, rng = 0, np.random.default_rng(0)
    x = np.log([50.0, 100, 200, 400])
    for _ in range(200):
        logs = [0.5 * place + rng.standard_normal(20) for place in x]
        _, low, high = numbers._fit(x, logs, rng)
        inside += low <= 0.5 <= high
    assert 0.89 <= inside / 200 <= 0.99


def test_what_is_unresolved_or_failed_is_left_out():
    rows = [
        *powers(),
        row(width=400, depth=2, lambda_min=1e-12),  # one seed unresolved
        row(width=400, depth=2, seed=1, lambda_min=3.0),
        failed(width=800, depth=2),
        row("sigmoid", 50, 2, lambda_min=1e-12),
    ]
    _, fits = fits_of(rows)
    assert list(fits["width"]["act"].unique()) == ["relu"]
    assert fits["width"].iloc[0]["last"] == 200


def test_rows_without_a_limit_have_a_slope_and_no_prediction_by_it():
    nothing = {"limit_lambda_min": None, "limit_lambda_min_error": None, "limit_distance": None}
    content = CHAPTER.content(study(powers(**nothing)))
    assert content.missing is None
    table = content.tables[0].table
    assert [line[5] for line in table.rows] == ["—", "—"]
    assert colours(content.figures[0].draw()) > 10


def test_the_tables_say_measured_limit_and_law():
    rows = [*powers(), *powers(0.0, 0.1, act="sigmoid", seeds=1), *powers(act="swish")]
    one = study(rows)
    content = CHAPTER.content(one)
    over_width, over_depth = (named.table for named in content.tables)
    by_act = {line[0]: line for line in over_width.rows}
    assert by_act["ReLU"][2:4] == ["50 to 200", 2]
    assert by_act["ReLU"][4].startswith("0.50 [0.4")
    assert by_act["ReLU"][5:] == ["0.50", "0.50"]
    assert by_act["Sigmoid"][4:] == ["0.00", "0.00", "0.00"]
    assert by_act["swish"][6] == "—"
    by_act = {line[0]: line for line in over_depth.rows}
    assert by_act["ReLU"][5:] == ["0.500", "1.65", "0.707"]
    assert by_act["swish"][6:] == ["—", "—"]
    for write in (html, latex, markdown):
        assert "0.707" in write(over_depth)


@pytest.mark.parametrize(
    ("inputs", "changes", "words"),
    [
        (ONE, {}, "affinely independent (the rank of [x, 1] is 200)"),
        (ONE, {}, "tends to 0.5 for ReLU; to 0 for Sigmoid, which is no dependence on the width."),
        (
            Inputs(2, 54),
            {},
            "rank of [x, 1] is 54, below the 200 inputs: only polynomials of degree 2",
        ),
        (Inputs(2, 54), {}, "no stand-in"),
        (Inputs(2, 54), {}, "tends to 0.5 for ReLU; to -1 for Sigmoid."),
        (Inputs(None, 3), {}, "some are equal or nearly so"),
        (
            Inputs(1, None, "why"),
            {},
            "assumed to be in general position, since their ranks are not known (why)",
        ),
        (Inputs(None, None, "why"), {}, "degree above 10 take"),
        (ONE, {"parametrisation": "ntk"}, "every slope of it is 0"),
        (ONE, {"parametrisation": "standard"}, "Nguyen et al. 2021"),
        (ONE, {"parametrisation": "mup"}, "No law is known for the parametrisation mup."),
    ],
)
def test_the_case_is_said(inputs, changes, words):
    assert words in tables.case_text(group([row(**changes)]), inputs, ["relu", "sigmoid"])


@pytest.mark.parametrize(
    "rows",
    [
        powers(),
        powers(seeds=1),
        powers(widths=(50, 51)),
        powers(depths=(2,)),
        powers(widths=(50,)),
        powers(depths=range(2, 40)),
        powers(act="swish"),
        powers(parametrisation="standard"),
        powers(act="sigmoid", exponent=-3),
        powers(data="npz", data_classes=None, n_samples=3),
    ],
    ids=[
        "seeds",
        "one seed",
        "near",
        "one depth",
        "one width",
        "deep",
        "unknown",
        "standard",
        "steep",
        "npz",
    ],
)
def test_every_scaling_can_be_drawn(rows, recwarn):
    table, fits = fits_of(rows)
    act, scaling = rows[0]["act"], rows[0]["parametrisation"]
    figure = figures.scaling_figure(table, fits, act, ONE, scaling, "subtitle")
    assert colours(figure) > 10
    assert "against width and against depth" in figures.alt_text(table, fits, act)
    assert [str(warning.message) for warning in recwarn] == []


def test_the_line_of_the_law_has_its_slope():
    table, fits = fits_of(powers(0.9))
    for axes, expected in zip(
        figures.scaling_figure(table, fits, "relu", ONE, "thesis").axes, (0.5, None), strict=True
    ):
        (line,) = [line for line in axes.get_lines() if line.get_linestyle() == ":"]
        x, y = line.get_data()
        if expected is not None:
            assert np.log(y[-1] / y[0]) / np.log(x[-1] / x[0]) == pytest.approx(expected)
        else:
            assert y[1] / y[0] == pytest.approx(1.6547, rel=1e-4)


def test_a_single_width_names_what_is_missing_and_shows_the_depths():
    content = CHAPTER.content(study(powers(widths=(500,))))
    assert "have the same width (500)" in content.missing.sentence
    assert content.missing.command.startswith("ntk-sweep run +experiment=thesis_grid")
    assert [named.name for named in content.tables] == ["scaling-depth"]
    content = CHAPTER.content(study(powers(widths=(500,), depths=(3,))))
    assert not content.tables and not content.figures
    content = CHAPTER.content(study([row(width=50, depth=2), row(width=60, depth=3)]))
    assert "No activation and depth has a resolved λ_min at two widths" in content.missing.sentence
    content = CHAPTER.content(study([row(lambda_min=1e-12)]))
    assert content.missing.sentence == "There is no cell with a resolved λ_min."


def test_the_case_stands_below_the_first_table():
    for rows in (powers(), powers(widths=(50,))):
        first, *others = (named.table for named in CHAPTER.content(study(rows)).tables)
        assert "general position" in first.notes[0] or "affinely independent" in first.notes[0]
        assert not any(first.notes[0] in other.notes for other in others)


def test_own_data_are_found_where_they_are_said_to_be(tmp_path):
    x = np.random.default_rng(0).standard_normal((6, 2))
    np.savez(tmp_path / "own.npz", x=x, y=np.arange(6) % 2)
    data = load_dataset("npz", None, None, str(tmp_path / "own.npz"))
    changes = {"data": "npz", "data_classes": None, "n_samples": 6, "n_inputs": 2}
    one = study(powers(act="tanh", data_fingerprint=data.fingerprint, **changes))
    content = CHAPTER.content(one, images=str(tmp_path / "own.npz"))
    assert "The rank of [x, 1] is 3, below the 6 inputs" in content.tables[0].table.notes[0]
    assert content.tables[0].numbers["law"].tolist() == [-1.0, -1.0]
    assert content.tables[1].numbers["law"].isna().all()
    assumed = CHAPTER.content(one).tables[0].table.notes[0]
    assert "assumed to be in general position" in assumed and "npz file" in assumed


@pytest.mark.parametrize("parametrisation", ["standard", "ntk", "mup"])
def test_over_depth_other_parametrisations_have_the_deep_factor_only(parametrisation):
    content = CHAPTER.content(study(powers(parametrisation=parametrisation)))
    assert [line[6:] for line in content.tables[1].table.rows] == [["—", "0.707"]] * 3
    expected = {"standard": "1.00", "ntk": "0.00", "mup": "—"}[parametrisation]
    assert [line[6] for line in content.tables[0].table.rows] == [expected] * 2
