"""Protects the chapters as a function: the frames and figures of the command's files."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

from ntk_sweep import chapter
from ntk_sweep.analysis.chapters import order
from ntk_sweep.analysis.errors import AnalysisError
from tests.helpers import analysis_rows
from tests.helpers.command_line import analyse


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return analysis_rows.store(tmp_path_factory.mktemp("results"), analysis_rows.grid(2))


def test_a_chapter_gives_the_frames_and_figures_that_the_command_writes(results, tmp_path):
    shown = chapter("heatmaps", results, quantity="lambda_max")
    analyse("heatmaps", results, "--quantity", "lambda_max", "-o", str(tmp_path))
    assert list(shown.figures) == ["heatmap-lambda_max-relu", "heatmap-lambda_max-sigmoid"]
    for name, figure in shown.figures.items():
        assert isinstance(figure, Figure)
        assert len(list(tmp_path.glob(f"{name}-*.png"))) == 1
        (numbers,) = tmp_path.glob(f"{name}-*.csv")
        data, size = figure._repr_png_()
        assert data.startswith(b"\x89PNG") and 100 < size["width"] < 2000
        written = pd.read_csv(numbers)
        pd.testing.assert_frame_equal(shown.frames[name], written, check_dtype=False)


def test_a_notebook_displays_figures_with_their_words(results):
    html = chapter("heatmaps", results)._repr_html_()
    assert html.count("<img alt=") == html.count("data:image/png;base64,") == 2
    assert "heatmap-sigmoid" in html


def test_a_chapter_of_tables_alone_is_displayed_as_tables(results):
    shown = chapter("table1", results)
    assert (list(shown.frames), dict(shown.figures)) == (["table1"], {})
    assert "<table" in shown._repr_html_()
    assert repr(shown).startswith("frames: table1\nfigures: none")


def test_options_are_those_of_the_command(results):
    shown = chapter("spectrum", results, act="relu", width=400, depth=3, seed=None)
    assert all(name.startswith("spectrum-relu-400x3-seed") for name in shown.figures)
    assert len(shown.figures) == 2


def test_several_groups_are_told_apart_by_name(tmp_path):
    both = [
        *analysis_rows.grid(1),
        *(one | {"dtype": "float32", "key": one["key"] + "f"} for one in analysis_rows.grid(1)),
    ]
    shown = chapter("table1", analysis_rows.store(tmp_path, both))
    assert len(shown.frames) == 2
    assert all(name.startswith("table1-") for name in shown.frames)
    assert list(chapter("table1", tmp_path, dtype="float32").frames) == ["table1"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("heat", {}, "there is no chapter 'heat': choose one of .*heatmaps"),
        ("heatmaps", {"act": "relu"}, r"has no option 'act': it takes bias_std, data, .*quantity"),
        ("heatmaps", {"output": "x"}, "has no option 'output'"),
        ("heatmaps", {"quantity": "mu"}, "heatmaps: argument --quantity: invalid choice: 'mu'"),
        ("spectrum", {"width": "wide"}, "argument --width: invalid int value: 'wide'"),
        ("spectrum", {"act": "-x", "width": 7}, "no spectrum for"),
        ("training", {"best": True, "network": ["relu-1x2", "relu-1x3"]}, "ntk-sweep run"),
    ],
)
def test_mistakes_are_raised_and_say_what_there_is(results, name, options, message):
    with pytest.raises(AnalysisError, match=message):
        chapter(name, results, **options)


def test_every_command_of_a_chapter_is_known(tmp_path):
    for one in order.CHAPTERS:
        if one.command:
            with pytest.raises(AnalysisError, match="ntk-sweep run"):
                chapter(one.command.name, tmp_path)
