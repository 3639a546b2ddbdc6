"""What the report takes its chapters from: spectra and training runs of a store, the inputs behind
them, and what a page may hold."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest

from analysis import explorer, inputs
from analysis.cli import main
from analysis.frame import AnalysisError
from analysis.material import materials
from analysis.packing import Packer
from analysis.parts import PARTS
from ntk_sweep.data.dataset import load_dataset
from ntk_sweep.settings.schema import DataConfig
from tests.helpers import analysis_training_rows as training_rows
from tests.helpers.analysis_rows import failed, grid, group, row, store

COMMANDS = (
    "thesis_training 'seed=range(0,5)'",
    "thesis_kernels_training 'seed=range(0,5)'",
    "drift",
    "speed_study",
)


@pytest.fixture
def undrawn(monkeypatch):
    drawn = {"svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "png": b"", "pdf": b""}
    monkeypatch.setattr("analysis.report.render_many", lambda draws: [drawn for _ in draws])


def section(text: str, name: str) -> str:
    return re.search(rf'<section id="{name}-[^"]*">\n<h3>.*?</section>', text, re.DOTALL)[0]


def report(results: str, folder: Path, *options: str) -> str:
    assert main(["report", results, "-o", str(folder), *options]) == 0
    return (folder / "index.html").read_text()


def test_without_training_runs_each_part_says_what_makes_them(tmp_path, undrawn):
    text = report(store(tmp_path / "r", [row()]), tmp_path)
    for name, command in zip(("training", "bounds", "drift", "speed"), COMMANDS, strict=True):
        shown = section(text, name)
        assert "There is no training run." in shown
        assert f"python launch.py +experiment={command} ".replace("'", "&#39;") in shown


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
    assert "A ranking needs at least 10 networks" in section(text, "speed")
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
    (only,) = materials(results)
    assert (len(only.group.rows), len(only.training.rows)) == (0, 2)


def test_groups_of_both_tasks_are_told_apart(tmp_path):
    results = store(tmp_path / "r", [row(), row(data_fingerprint="a" * 64, lambda_min=2.0)])
    training_rows.store(
        tmp_path / "r", [training_rows.run(), training_rows.run(parametrisation="ntk")]
    )
    found = {
        one.group.slug: (len(one.group.rows), one.training is not None)
        for one in materials(results)
    }
    assert found == {
        "fashion_mnist-aaaaaaaaaaaa-thesis": (1, False),
        "fashion_mnist-ffffffffffff-thesis": (1, True),
        "fashion_mnist-ffffffffffff-ntk": (0, True),
    }


def test_a_speed_study_has_its_rankings(tmp_path, undrawn):
    runs = training_rows.sweep(widths=(50, 100, 300), depths=(2, 3), seeds=1, acts=("relu", "elu"))
    text = report(training_rows.store(tmp_path / "r", runs), tmp_path)
    assert "This command adds it" not in section(text, "speed")
    assert list(tmp_path.glob("figures/speed-loss0.1-*.png"))
    assert list(tmp_path.glob("figures/speed-scatter-loss0.1-*.csv"))
    assert "--network NAME" in section(
        text, "training"
    )  # twelve networks, none of which Table 1 names


@pytest.mark.parametrize(
    "rows",
    [[failed()], [row(lambda_min=0.0)], [row()], grid(1)],
    ids=["failed", "unresolved", "one", "grid"],
)
def test_every_part_can_be_made_of_whatever_there_is(rows, tmp_path):
    (material,) = materials(store(tmp_path, rows))
    for part in PARTS:
        missing = part.missing(material)
        if missing:
            assert part.command(material.group).startswith("python launch.py ")
        else:
            content = part.make(material)
            assert (
                any(block.sheets for block in content.blocks)
                or content.pictures
                or content.lead
                or (content.missing and content.command)
            )


def test_a_large_sweep_is_thinned_and_a_small_one_is_not(tmp_path, monkeypatch):
    rows = [
        row(
            "relu", w, 2, s, eigenvalues=list(10.0 ** np.arange(100)), eigenvalue_errors=[1.0] * 100
        )
        for w in (1, 2)
        for s in range(8)
    ]
    (material,) = materials(store(tmp_path, rows))
    spectra = explorer.explorer(material, Packer())["spectra"]
    assert (spectra["kind"], spectra["values"]["length"], spectra["index"]["length"]) == (
        "seeds",
        1600,
        100,
    )
    monkeypatch.setattr(explorer, "MOST_EIGENVALUES", 1000)
    spectra = explorer.explorer(material, Packer())["spectra"]
    assert (spectra["kind"], spectra["values"]["length"]) == ("cells", 2 * 3 * 100)
    monkeypatch.setattr(explorer, "MOST_EIGENVALUES", 10)
    spectra = explorer.explorer(material, Packer())["spectra"]
    assert spectra["values"]["length"] == 2 * 3 * explorer.LEAST_POINTS
    assert spectra["count"] == 100


def test_error_bounds_on_a_page_are_never_smaller_than_those_of_the_rows(tmp_path):
    errors = [1.03e-9, 1.1e-9, 0.0, 3.7e-12, 9.9e-10, 1.0]
    (material,) = materials(
        store(tmp_path, [row(eigenvalue_errors=errors, lambda_min_error=1.03e-9)])
    )
    packer = Packer()
    data = explorer.explorer(material, packer)
    planes = np.frombuffer(gzip.decompress(base64.b64decode(packer.text())), np.uint8)

    def numbers(place):
        start, length = place["offset"], place["length"]
        return planes[start : start + 8 * length].reshape(8, length).T.copy().view("<f8").ravel()

    shown = numbers(data["spectra"]["errors"])
    truth = np.array(errors[::-1])  # the greatest eigenvalue first
    assert (shown >= truth).all() and (shown <= truth * 1.0625).all()
    (bound,) = numbers(data["quantities"][0]["error"])
    assert 1.03e-9 <= bound <= 1.1e-9
    np.testing.assert_allclose(
        numbers(data["spectra"]["values"]), 10.0 ** np.arange(5, -1, -1), rtol=2**-12
    )


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


def test_the_inputs_are_told_by_their_fingerprint(tmp_path, npz):
    data = load_dataset("digits", [0, 9], 100)
    one = group([row(data="digits", data_fingerprint=data.fingerprint, n_inputs=64)])
    assert inputs.find(one).fingerprint == data.fingerprint
    assert inputs.drawable(one)
    with pytest.raises(AnalysisError, match=r"has the fingerprint .*, the rows have f{12}"):
        inputs.find(group([row(data="digits")]))
    arrays = {"x": np.random.default_rng(0).random((6, 9)), "y": np.arange(6.0)}
    path = npz(**arrays)
    own = load_dataset("npz", place=path)
    one = group(
        [
            row(
                data="npz",
                data_classes=None,
                data_fingerprint=own.fingerprint,
                n_samples=6,
                n_inputs=9,
            )
        ]
    )
    assert inputs.find(one, path).x.shape == (6, 9)
    table = inputs.numbers(inputs.find(one, path))
    assert (table["input"].tolist(), table["y"].tolist()) == (
        [1, 2, 3, 4, 5, 6],
        arrays["y"].tolist(),
    )
    np.testing.assert_array_equal(table.iloc[:, 2:], arrays["x"])
    table = inputs.numbers(data)
    assert table["input"].tolist() == [*range(1, 9), *range(101, 109)]
    np.testing.assert_array_equal(table.iloc[8:, 2:], data.x[100:108])
    with pytest.raises(AnalysisError, match="where the npz file lies is not in the rows"):
        inputs.find(one)


def test_fashion_mnist_is_read_from_its_files_and_never_downloaded(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    images, labels = (
        rng.integers(0, 256, (40, 784), dtype=np.uint8),
        np.arange(40, dtype=np.uint8) % 10,
    )
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    (folder / "train-images-idx3-ubyte").write_bytes(bytes(16) + images.tobytes())
    (folder / "train-labels-idx1-ubyte").write_bytes(bytes(8) + labels.tobytes())
    config = DataConfig("fashion_mnist", classes=[9, 0], n_per_class=3)
    found = inputs._load(config, str(tmp_path))
    np.testing.assert_array_equal(
        found.x, np.concatenate([images[labels == 9][:3], images[labels == 0][:3]]) / 255
    )
    monkeypatch.setenv("NTK_SWEEP_DATA", str(tmp_path / "none"))
    with pytest.raises(AnalysisError, match="train-images-idx3-ubyte is not there"):
        inputs.find(group([row()]))
