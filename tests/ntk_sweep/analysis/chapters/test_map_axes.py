"""Protects heat maps over any two coordinates: what is never averaged, names, and commands."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ntk_sweep.analysis.cli import main
from ntk_sweep.analysis.drawing import cell_grid, heatmap
from ntk_sweep.analysis.rows.cells import cells
from ntk_sweep.analysis.rows.grouping import groups
from ntk_sweep.analysis.rows.study import put_together, studies
from tests.helpers.analysis_rows import frame, group, row, store

WEIGHTS, BIASES = (0.5, 1.0, 2.0), (None, 0.0, 1.0)


def value(weight, bias, seed=0):
    return weight * {None: 1.0, 0.0: 10.0, 1.0: 100.0}[bias] * (1 + seed)


def plane(**changes):
    """A network at every scale, with two seeds; one cell is missing."""
    return [
        row(
            seed=seed, lambda_min=value(weight, bias, seed), weight_std=weight, bias_std=bias,
            **changes,
        )
        for weight in WEIGHTS
        for bias in BIASES
        for seed in (0, 1)
        if (weight, bias) != (2.0, 0.0)
    ]  # fmt: skip


def written(folder, results, *options):
    assert main(["heatmaps", results, "-o", str(folder), *options]) == 0
    return {path.stem: pd.read_csv(path) for path in folder.glob("*.csv")}


def test_a_map_over_scales_has_a_cell_for_each_and_one_for_no_biases(tmp_path, undrawn):
    rows = [*plane(), *plane(width=300)]
    tables = written(
        tmp_path / "maps", store(tmp_path / "r", rows), "--x", "weight_std", "--y", "bias_std"
    )
    name = "heatmap-weight_std-bias_std-relu-width{}-depth3-fashion_mnist-thesis"
    assert set(tables) == {name.format(100), name.format(300)}
    table = tables[name.format(300)]
    assert len(table) == 9 and (table["width"] == 300).all()
    for line in table.to_dict("records"):
        bias = None if np.isnan(line["bias_std"]) else line["bias_std"]
        if (line["weight_std"], bias) == (2.0, 0.0):
            assert line["state"] == "missing"
        else:
            expected = value(line["weight_std"], bias) * 2**0.5
            assert line["geometric_mean"] == pytest.approx(expected), line
            assert line["seeds"] == 2


def test_what_lies_on_no_axis_makes_a_map_each_or_is_chosen(tmp_path, undrawn):
    results = store(tmp_path / "r", [*plane(), *plane(width=300)])
    over = ("--x", "weight_std", "--y", "width")
    tables = written(tmp_path / "a", results, *over)
    # a map for each scale of the biases, in files of its own
    assert set(tables) == {
        f"heatmap-weight_std-width-relu-depth3-fashion_mnist-thesis{bias}"
        for bias in ("-bias_stdnull", "-bias_std0", "")
    }
    chosen = written(tmp_path / "b", results, *over, "--bias-std", "null", "--width", "300")
    (table,) = chosen.values()
    assert set(table["width"]) == {300} and set(table["weight_std"]) == set(WEIGHTS)


def test_ticks_and_words_name_the_scales_and_no_biases(tmp_path):
    (study,) = put_together(studies(store(tmp_path, plane())), ("weight_std", "bias_std"))
    shown = cell_grid.grid(study.cells(), "relu", axes=("weight_std", "bias_std"))
    axes = heatmap.heatmap(shown).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["none", "0", "1"]
    assert axes.get_ylabel() == r"$\sigma_b$"
    assert shown.best == (2, 2)
    words = cell_grid.alt_text(shown)
    assert "the scale of weights (0.5 to 2) and the scale of biases (none, 0 to 1)" in words
    assert "1 hold no result" in words


def test_a_command_of_groups_put_together_reaches_all_of_them(tmp_path):
    (study,) = put_together(
        studies(store(tmp_path, plane(parametrisation="ntk"))), ("weight_std", "bias_std")
    )
    own = study.group
    base = "ntk-sweep run -m width=300 parametrisation=ntk"
    end = f"results={tmp_path}"
    assert own.command("-m", "width=300") == (f"{base} weight_std=0.5,1,2 bias_std=null,0,1 {end}")
    cell = ("weight_std=2", "bias_std=0")
    assert own.command(*cell) == f"ntk-sweep run {' '.join(cell)} parametrisation=ntk {end}"
    assert own.label == "fashion_mnist-ntk"
    assert "parametrisation ntk, weight_std 0.5 to 2, bias_std none, 0 to 1, float64" in own.title


def test_a_map_over_numbers_of_inputs_takes_the_data_sets_of_one_name(tmp_path, undrawn):
    sizes = {"a": 100, "b": 400}
    rows = [
        row(width=width, lambda_min=float(size), data_fingerprint=letter * 64, n_samples=size)
        for letter, size in sizes.items()
        for width in (10, 20)
    ]
    results = store(tmp_path / "r", rows)
    (table,) = written(tmp_path / "maps", results, "--y", "n_samples").values()
    assert sorted(table["width"]) == [10, 10, 20, 20]
    assert table["geometric_mean"].to_numpy() == pytest.approx(table["n_samples"].to_numpy())
    (study,) = put_together(studies(results), ("n_samples",))
    assert "data.n_per_class=50,200" in study.group.command("-m")
    assert "N = 100 to 400" in study.group.title


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--x", "depth"], "--x and --y are both depth"),
        (["--y", "weight_std", "--depth", "9"], "no network has depth 9; there are 3"),
        (["--y", "n_samples"], r"two data sets called fashion_mnist have N = 200"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, message, tmp_path, capsys):
    rows = [row(), row(data_fingerprint="a" * 64)]
    assert main(["heatmaps", store(tmp_path, rows), *options, "-o", str(tmp_path / "o")]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_rows_of_several_scales_are_never_averaged():
    own = group([row()])
    with pytest.raises(AssertionError, match="several weight_std"):
        cells(frame([row(), row(weight_std=2.0)]))
    assert len(groups(frame(plane()), "results")) == 8
    assert own.coordinates == ["act", "width", "depth"]
