"""A page of whatever a store may hold, and the same bytes however it holds it."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from ntk_sweep.analysis.cli import main
from ntk_sweep.store.store import Store
from ntk_sweep.store.writer import PartWriter
from tests.helpers import analysis_rows
from tests.helpers import analysis_training_rows as training_rows
from tests.helpers.places import ROOT

UNDRAWN = {"svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "png": b"", "pdf": b""}

ODD = (
    {"limit_lambda_min": None, "limit_lambda_min_error": None, "limit_distance": None},
    {"limit_distance": 0.0},
    {"alignment": None},
    {"target_share_1": 0.0},
    {"eigenvalues": [1.0] * 3, "eigenvalue_errors": [0.1] * 3},
    {"eigenvalues": None, "eigenvalue_errors": None, "effective_rank": None, "method": "extreme"},
    {"layer_trace_shares": None},
    {"lambda_min_error": 0.0},
    {"class_contrast": -0.2},
    {"parametrisation": "ntk"},
)
"""What a row may hold beside the usual."""

LOSSES = (1.0, 0.5, 0.25, 0.01, 0.0, 1e300, float("inf"), float("nan"))


def any_rows(seed: int) -> tuple[list[dict], list[dict]]:
    """Spectra and training runs, some of them failed, unresolved, diverged, odd or missing."""
    rng = random.Random(seed)
    acts = rng.sample(["relu", "elu", "sigmoid", "tanh", "a name"], rng.randint(1, 3))
    widths, depths = (
        rng.sample([1, 2, 7, 33, 300, 800], rng.randint(1, 3)),
        rng.sample([2, 3, 8], rng.randint(1, 2)),
    )
    spectra, runs = [], []
    for act, width, depth, number in (
        (a, w, d, s)
        for a in acts
        for w in widths
        for d in depths
        for s in range(rng.choice([1, 2, 7]))
    ):
        least = (
            rng.choice([1e-13, 0.0, 5e-324, float("nan"), -1e-12])
            if rng.random() < 0.15
            else 10 ** rng.uniform(-8, 3)
        )
        changes = rng.choice(ODD) if rng.random() < 0.4 else {}
        kind = rng.random()
        if kind < 0.1:
            spectra.append(analysis_rows.failed(act, width, depth, number))
        elif kind < 0.85:
            spectra.append(analysis_rows.row(act, width, depth, number, least, **changes))
        losses = [rng.choice([1.0, 20.0]), *(rng.choice(LOSSES) for _ in range(rng.randint(1, 3)))]
        rate = {"learning_rate": rng.choice([0.001, 0.1])}
        kind = rng.random()
        if kind < 0.4:
            runs.append(training_rows.run(act, width, depth, number, losses, epochs=3, **rate))
        elif kind < 0.5:
            runs.append(
                training_rows.recorded(
                    act, width, depth, number, rng.choice([0.0, 0.1, 1e-9]), **rate
                )
            )
        elif kind < 0.55:
            runs.append(
                training_rows.recorded(
                    act, width, depth, number, losses=[1.0, float("inf")], epochs=2, **rate
                )
            )
        elif kind < 0.6:
            runs.append(training_rows.failed_run(act, width, depth, number, **rate))
    return spectra, runs


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.long) for n in (2, 3, 4))])
def test_a_page_of_any_store(seed, tmp_path, monkeypatch):
    def drawn(draws):
        files = []
        for draw in draws:
            draw()
            plt.close("all")
            files.append(UNDRAWN)
        return files

    monkeypatch.setattr("ntk_sweep.analysis.writing.publishing.render_many", drawn)
    spectra, runs = any_rows(seed)
    if spectra:
        analysis_rows.store(tmp_path / "r", spectra)
    if runs:
        training_rows.store(tmp_path / "r", runs)
    with warnings.catch_warnings():
        # What a reader of the terminal could make nothing of.
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("error", UserWarning)
        assert main(["report", str(tmp_path / "r"), "-o", str(tmp_path / "page")]) == 0
    text = (tmp_path / "page/index.html").read_text().partition('<script type="text/plain"')[0]
    assert not re.search(
        r"\bnan\b",
        re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL),
        re.IGNORECASE,
    )
    assert not re.search(r'="[^"]*\bnan\b', text, re.IGNORECASE)


def test_extreme_eigenvalues_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "ntk_sweep.analysis.writing.publishing.render_many",
        lambda draws: [UNDRAWN for draw in draws if draw()],
    )
    extreme = {
        "eigenvalues": None,
        "eigenvalue_errors": None,
        "effective_rank": None,
        "method": "extreme",
    }
    rows = [analysis_rows.row("relu", width, **extreme) for width in (30, 60)]
    results = analysis_rows.store(tmp_path / "r", rows)
    assert main(["report", results, "-o", str(tmp_path / "page")]) == 0
    assert not list(tmp_path.glob("page/figures/spectrum-*"))
    assert main(["spectrum", results, "--width", "30", "-o", str(tmp_path / "out")]) == 2
    assert "no spectrum for --width 30" in capsys.readouterr().err


def test_runs_that_all_diverge_with_their_kernels_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "ntk_sweep.analysis.writing.publishing.render_many",
        lambda draws: [UNDRAWN for draw in draws if draw()],
    )
    rows = [
        training_rows.recorded("relu", width, losses=[1.0, float("inf")], epochs=2)
        for width in (30, 60)
    ]
    assert (
        main(["report", training_rows.store(tmp_path / "r", rows), "-o", str(tmp_path / "page")])
        == 0
    )
    assert not list(tmp_path.glob("page/figures/drift-width-*"))


def test_the_same_rows_in_other_parts_and_another_process_give_the_same_bytes(
    tmp_path, monkeypatch
):
    spectra = analysis_rows.grid(seeds=3)
    runs = training_rows.sweep(
        widths=(50, 100, 300), depths=(2, 3), seeds=1, acts=("relu", "elu"), epochs=3, record=True
    )
    monkeypatch.setattr(
        "ntk_sweep.analysis.writing.publishing.render_many", lambda draws: [UNDRAWN for _ in draws]
    )
    command = ["report", "r", "-o", "page"]
    script = (
        "from ntk_sweep.analysis import cli\n"
        "from ntk_sweep.analysis.writing import publishing\n"
        f"publishing.render_many = lambda draws: [{UNDRAWN!r} for _ in draws]\n"
        f"raise SystemExit(cli.main({command!r}))"
    )
    pages = []
    for shuffled in (False, True):
        folder = tmp_path / str(shuffled)
        for task, rows in (("spectrum", spectra), ("training", runs)):
            rows = random.Random(1).sample(rows, len(rows)) if shuffled else rows
            written = Store(str(folder / "r"), task)
            with written.open_session():
                for part in (rows[::3], rows[1::3], rows[2::3]) if shuffled else (rows,):
                    PartWriter(written).commit(part)
        if shuffled:
            environment = {**os.environ, "PYTHONHASHSEED": "12", "PYTHONPATH": str(ROOT)}
            subprocess.run(
                [sys.executable, "-c", script],
                cwd=folder,
                env=environment,
                check=True,
                capture_output=True,
            )
        else:
            with contextlib.chdir(folder):
                assert main(command) == 0
        pages.append(
            {
                path.relative_to(folder): path.read_bytes()
                for path in sorted((folder / "page").rglob("*.*"))
            }
        )
        shutil.rmtree(folder)
    assert len(pages[0]) > 90
    assert pages[0] == pages[1]


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_drawn(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(
        "ntk_sweep.analysis.writing.publishing.render_many",
        lambda draws: pytest.fail("drawn in vain"),
    )
    (tmp_path / "file").write_text("")
    results = analysis_rows.store(tmp_path / "r", [analysis_rows.row()])
    assert main(["report", results, "-o", str(tmp_path / "file" / "page")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert Path(tmp_path / "file").read_text() == ""
