"""Protects the page: what stands on it, that it needs nothing else, the same bytes every time."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from ntk_sweep.analysis.cli import main
from ntk_sweep.analysis.rows.study import studies
from tests.helpers import analysis_training_rows as training_rows
from tests.helpers.analysis_rows import failed, row, store
from tests.helpers.report_pages import Page


def test_the_page_needs_nothing_but_itself(results, tmp_path, undrawn):
    main(["report", results, "-o", str(tmp_path)])
    text = (tmp_path / "index.html").read_text()
    page = Page(text)
    files = [source for source in page.sources if not source.startswith(("data:", "#"))]
    assert files
    assert all((tmp_path / name).is_file() for name in files)
    assert {(tmp_path / name) for name in files} == {
        path for path in tmp_path.glob("*/*") if path.is_file()
    }
    assert all(re.search(rf'<a href="{re.escape(name)}" download>', text) for name in files)
    assert len(page.ids) == len(set(page.ids))
    # The data behind every figure.
    stems = [
        {path.stem for path in tmp_path.glob(f"figures/*.{kind}")}
        for kind in ("png", "svg", "pdf", "csv")
    ]
    assert len(stems[0]) > 10 and stems == [stems[0]] * 4
    # three activations, of which two have a prediction, a convergence and a scaling, two kernels,
    # two spectra
    assert len(page.alts) == 3 + 2 + 3 + 2 + 2 + 2 + 2
    assert all(len(alt) > 40 for alt in page.alts)
    assert "E: &lt;script&gt;alert(1)&lt;/script&gt; &amp; λ" in text
    for expected in (
        "23 with a result, 2 failed",
        "ffffffffffff…",
        "classes 0 and 9",
        "300.0 ± 141.4",
        "cccccccccc",
    ):
        assert expected in text, expected
    # The images, and what needs training.
    listed = re.search(r'<dl class="absent">.*?</dl>', text, re.DOTALL)[0]
    assert listed.count("<dt") == listed.count("<code>") == 7
    assert "This command adds it" not in text
    assert "(width × depth): 300 in the mean of 2 seeds (range: 200 to 400); with" in text
    assert f"ntk-sweep report {results} --images FOLDER" in text


def test_a_page_has_no_date_unless_it_is_told_one(results, tmp_path, undrawn):
    main(["report", results, "-o", str(tmp_path / "a")])
    main(["report", results, "-o", str(tmp_path / "b"), "--date", "1 May 2030"])
    dated = (tmp_path / "b/index.html").read_text()
    assert " 1 May 2030." in dated
    assert dated.replace(" 1 May 2030.", "") == (tmp_path / "a/index.html").read_text()


def test_sections_without_rows_say_what_makes_them(tmp_path, undrawn):
    results = store(tmp_path / "r", [row(width=w, data="digits") for w in range(1, 20)])
    assert main(["report", results, "-o", str(tmp_path)]) == 0
    text = (tmp_path / "index.html").read_text()
    Page(text)
    assert (
        text.count(f"ntk-sweep run +experiment=thesis_kernels data=digits results={results}") == 2
    )


def test_a_store_with_failures_only_still_makes_a_page(tmp_path, capsys, undrawn):
    results = store(tmp_path / "r", [failed(width=w) for w in range(1, 70)])
    assert main(["report", results, "-o", str(tmp_path)]) == 0
    text = (tmp_path / "index.html").read_text()
    Page(text)
    assert "… and 19 more" in text
    assert "ntk-sweep run +experiment=thesis_grid" in text
    assert main(["table1", results, "-o", str(tmp_path)]) == 2
    assert "none of the 69 points" in capsys.readouterr().err


def test_the_page_says_which_methods_were_used_and_what_misses_its_target(
    results, tmp_path, undrawn
):
    main(["report", results, "-o", str(tmp_path)])
    text = (tmp_path / "index.html").read_text()
    assert "<dd>eigh (23)</dd>" in text
    assert "at most 10<sup>−9</sup> of each eigenvalue; more in 2 of 23 spectra" in text


COMMANDS = (
    "thesis_training 'seed=range(0,5)'",
    "thesis_training 'seed=range(0,5)'",
    "drift",
    "study_small",
)


def section(text: str, name: str) -> str:
    """A chapter, or its entry in the list of those without rows."""
    whole = rf'<section id="{name}-[^"]*">\n<h3>.*?</section>|<dt id="{name}-[^"]*">.*?</dd>'
    return re.search(whole, text, re.DOTALL)[0]


def report(results: str, folder: Path, *options: str) -> str:
    assert main(["report", results, "-o", str(folder), *options]) == 0
    return (folder / "index.html").read_text()


def test_without_training_runs_each_part_says_what_makes_them(tmp_path, undrawn, capsys):
    text = report(store(tmp_path / "r", [row()]), tmp_path)
    assert re.fullmatch(r"rows read; drawing \d+ figures\n", capsys.readouterr().err)
    for name, command in zip(("training", "bounds", "drift", "speed"), COMMANDS, strict=True):
        shown = section(text, name)
        assert "There is no training run." in shown
        assert f"ntk-sweep run +experiment={command} ".replace("'", "&#39;") in shown


def test_training_runs_stand_beside_the_spectra_of_their_group(tmp_path, undrawn):
    store(
        tmp_path / "r", [row("relu", 50, 2, seed, 5.0) for seed in (0, 1)] + [row("relu", 800, 3)]
    )
    runs = [training_rows.run("relu", 50, 2, seed) for seed in (0, 1)] + [
        training_rows.run("relu", 800, 3, 0, [1.0, 0.3, 0.2])
    ]
    runs += [
        training_rows.run("relu", 800, 3, 1, [1.0, np.inf], epochs=2),
        training_rows.failed_run("elu"),
        training_rows.recorded("elu", 30),
    ]
    runs += [
        training_rows.recorded("elu", 60, change=0.05),
        training_rows.run("relu", 50, 2, data="digits", data_fingerprint="d" * 64),
    ]
    text = report(training_rows.store(tmp_path / "r", runs), tmp_path, "--data", "fashion_mnist")
    assert "<dt>Training runs</dt><dd>5 with a result, 1 diverged, 1 failed</dd>" in text
    assert "the loss overflowed in training" in text
    names = {path.name for path in tmp_path.glob("figures/*")}
    slug = "lr0.001-b1-e2-fashion_mnist-thesis"
    for stem in (
        "curves-best",
        "predicted-best",
        "curves-thesis",
        "bounds",
        "drift-width",
        "drift-epochs-depth3",
    ):
        assert {f"{stem}-{slug}.{kind}" for kind in ("png", "svg", "pdf", "csv")} <= names, stem
    assert (tmp_path / f"tables/training-best-{slug}.tex").is_file()
    assert "This needs at least 10 networks" in section(text, "speed")
    assert (
        "<dt>Data</dt><dd>fashion_mnist" in text and "d" * 8 not in text
    )  # nothing of the run on other data


def test_a_store_of_training_runs_alone_makes_a_page(tmp_path, undrawn):
    results = training_rows.store(tmp_path / "r", [training_rows.run(), training_rows.run(seed=1)])
    text = report(results, tmp_path)
    assert "<dt>Training runs</dt><dd>2 with a result</dd>" in text
    assert "<dt>Points</dt>" not in text
    assert "There is no network with a result." in section(text, "heatmaps")
    assert (tmp_path / "figures/curves-lr0.001-b1-e2-fashion_mnist-thesis.csv").is_file()
    (only,) = studies(results)
    assert (len(only.group.rows), len(only.training.rows)) == (0, 2)


def test_a_speed_study_has_its_rankings(tmp_path, undrawn):
    runs = training_rows.sweep(widths=(50, 100, 300), depths=(2, 3), seeds=1, acts=("relu", "elu"))
    text = report(training_rows.store(tmp_path / "r", runs), tmp_path)
    assert "This command adds it" not in section(text, "speed")
    assert list(tmp_path.glob("figures/speed-modes-*.png"))
    assert list(tmp_path.glob("figures/speed-ranking-*.csv"))
    assert "--network NAME" in section(
        text, "training"
    )  # twelve networks, none of which Table 1 names


def test_a_name_in_a_row_cannot_end_the_script(tmp_path, undrawn):
    text = report(
        store(tmp_path / "r", [row("</script><evil>", data="<evil>", data_fingerprint="e" * 64)]),
        tmp_path,
    )
    header = re.search(
        r'<script type="application/json" id="header">(.*?)</script>', text, re.DOTALL
    )[1]
    assert json.loads(header)["groups"][0]["activations"][0]["name"] == "</script><evil>"
    assert "<evil>" not in text
    assert all(path.suffix for path in tmp_path.glob("figures/*"))
