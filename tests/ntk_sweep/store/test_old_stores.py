"""Protects old results: stores of every past schema version are read, and their points are not
computed again."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from ntk_sweep.analysis.cli import main
from ntk_sweep.data.labelling import COLUMNS
from ntk_sweep.dispatch.sweep import run_sweep
from ntk_sweep.executors.serial import SerialExecutor
from ntk_sweep.settings.schema import (
    LEADING_EIGENVALUES,
    DataConfig,
    SweepConfig,
    TrainingConfig,
)
from ntk_sweep.store.columns import SCHEMA_VERSION, VERSION_KEY, schema
from ntk_sweep.store.compaction import merge
from ntk_sweep.store.reading import finished, load_array, load_results
from ntk_sweep.store.store import Store
from tests.helpers.places import STORES

NUMERICS = {
    **{"schema-1": 1, "schema-2-first": 2, "schema-2": 2},
    **{"schema-3": 2, "schema-3-last": 2, "schema-4": 2},
}
OLD = [name for name in NUMERICS if (STORES / name).is_dir()]
NAMES = schema("spectrum").names
RESULTS = NAMES[NAMES.index("eigenvalues") : NAMES.index("kernel_file")]
SINCE_2 = {*RESULTS[RESULTS.index("target") :]}
SINCE_3 = {*NAMES[NAMES.index("kernel_file") + 1 : NAMES.index("status")]} | {*COLUMNS}
LATER_IN_3 = {*NAMES[NAMES.index("layer_kernels_file") : NAMES.index("status")]}
NOT_ASKED_FOR = {
    *("data_label_seed", "layer_kernels_file", "eigenvectors_file"),
    *(f"lambda_{count}" for count in LEADING_EIGENVALUES),
}
"""Null in rows of any version: these have few samples, true labels, and no file but the kernel."""
DATA = DataConfig("digits", classes=[0, 9], n_per_class=3)


@pytest.fixture
def old(request, tmp_path):
    """A copy of an old store."""
    shutil.copytree(STORES / request.param, tmp_path / "results")
    return Store(str(tmp_path / "results"), "spectrum")


each_old = pytest.mark.parametrize("old", OLD, indirect=True)


def contents(store):
    return {path: path.read_bytes() for path in Path(store.folder).glob("*.parquet")}


def sweep(configs):
    return run_sweep(configs, SerialExecutor, Console(quiet=True))


def test_every_version_has_its_store():
    assert {path.name for path in STORES.iterdir() if path.is_dir()} == set(NUMERICS)
    versions = [
        int(pq.read_schema(path).metadata[VERSION_KEY])
        for name in OLD
        for path in (STORES / name).rglob("*.parquet")
    ]
    assert set(versions) == set(range(1, SCHEMA_VERSION + 1)), "see tests/data/stores/README.md"


@pytest.mark.parametrize("name", OLD)
def test_old_rows_are_read_with_nulls_for_what_they_lack(name):
    frame = load_results(STORES / name / "spectrum")
    assert list(frame.columns) == NAMES
    assert len(frame) == 17
    assert set(frame.status) == {"ok"}
    assert set(frame.numerics_version) == {NUMERICS[name]}
    missing = SINCE_2 if name == "schema-1" else set()
    assert {column for column in RESULTS if frame[column].isna().all()} == missing
    assert {column for column in RESULTS if frame[column].isna().any()} == missing


@pytest.mark.parametrize("name", OLD)
def test_old_rows_lack_the_columns_of_schema_3(name):
    frame = load_results(STORES / name / "spectrum")
    lacking = SINCE_3 if name < "schema-3" else LATER_IN_3 if name == "schema-3" else set()
    missing = lacking | NOT_ASKED_FOR
    assert {column for column in SINCE_3 if frame[column].isna().all()} == missing
    assert {column for column in SINCE_3 if frame[column].isna().any()} == missing


def test_old_runs_took_steps_of_the_plain_network():
    frame = load_results(STORES / "schema-2" / "training")
    assert set(frame.optimiser) == {"sgd"} and set(frame.centre_outputs) == {False}
    for name in ("stop_at_loss", "flow_time", "flow_tolerance", "times", "flow_steps_missed"):
        assert frame[name].isna().all(), name


@pytest.mark.parametrize("name", OLD)
def test_columns_that_no_part_has_are_as_long_as_the_others(name):
    store = Store(str(STORES / name), "spectrum")
    for columns in (["target"], ["numerics_version"], ["target", "key", "meets_target"]):
        table = store.read(columns)
        assert table.schema.names == columns
        assert table.num_rows == 18


def test_versions_agree_on_the_numbers():
    frames = [load_results(STORES / name / "spectrum") for name in OLD]
    for frame in frames[:-1]:
        difference = (frame.lambda_min - frames[-1].lambda_min).abs()
        assert (difference <= frame.lambda_min_error + frames[-1].lambda_min_error).all()


@pytest.mark.parametrize("name", OLD)
def test_old_kernels_are_read(name):
    rows = load_results(STORES / name / "spectrum").dropna(subset="kernel_file")
    assert len(rows) == 2
    for row in rows.itertuples():
        theta = load_array(STORES / name / "spectrum", row.kernel_file)
        assert np.linalg.eigvalsh(theta) == pytest.approx(row.eigenvalues)


@each_old
def test_old_points_count_as_finished_where_their_key_matches(old, request):
    """Keys hold the version of the numerics: points of an older one are computed again."""
    configs = [
        SweepConfig(act=act, width=10, depth=2, seed=seed, data=DATA, results=old.results)
        for act in ("relu", "elu")
        for seed in (0, 1)
    ]
    older, before = NUMERICS[request.node.callspec.params["old"]] == 1, contents(old)
    assert len(sweep(configs).plan.jobs) == (4 if older else 0)
    after = contents(old)
    assert len(after) == len(before) + older
    assert {path: after[path] for path in before} == before, "old parts stay as they are"
    frame = load_results(old.folder)
    assert len(frame) == 17, "a new row takes the place of an old one of its network"
    assert (frame.numerics_version == 2).sum() == (4 if older else 17)


OLD_TASKS = {
    "schema-2": [TrainingConfig(epochs=4, learning_rate=rate) for rate in (0.001, 0.002)],
    "schema-3": [TrainingConfig(optimiser="flow", stop_at_loss=0.01, centre_outputs=True)],
}


@pytest.mark.parametrize(
    ("name", "task"),
    [
        (name, task)
        for name in OLD
        if name in OLD_TASKS
        for version, tasks in OLD_TASKS.items()
        if version <= name
        for task in tasks
    ],
)
def test_old_runs_of_training_count_as_finished(tmp_path, name, task):
    shutil.copytree(STORES / name, tmp_path / "results")
    configs = [
        SweepConfig(
            act=act, width=20, depth=2, task=task, data=DATA, results=str(tmp_path / "results")
        )
        for act in ("relu", "elu")
    ]
    assert not sweep(configs).plan.jobs


@each_old
def test_a_merge_upgrades_old_parts(old, merging):
    before, done = load_results(old.folder), finished(old)
    merge(old, own=[part.base_name for part in old.parts()])
    (part,) = old.parts()
    assert pq.read_schema(part.path).equals(schema("spectrum"))
    assert int(pq.read_schema(part.path).metadata[VERSION_KEY]) == SCHEMA_VERSION
    assert load_results(old.folder).equals(before)
    assert finished(old) == done


@pytest.mark.parametrize("command", ["summary", "table1", "prediction", "diagnostics"])
def test_chapters_take_rows_of_all_versions_in_one_folder(tmp_path, command, capsys):
    for name in OLD:
        shutil.copytree(STORES / name, tmp_path / "results", dirs_exist_ok=True)
    for results in (tmp_path / "results", STORES / "schema-1"):
        assert main([command, str(results), "-o", str(tmp_path / "out")]) == 0
        assert "ELU" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [OLD[0], *(pytest.param(name, marks=pytest.mark.long) for name in OLD[1:])]
)
def test_a_report_of_an_old_store(tmp_path, name, monkeypatch):
    """With every figure built of the rows; that figures become files does not depend on these."""
    built = []

    def build(draws):
        draws = list(draws)
        built.extend(draw() for draw in draws)
        return [
            {"svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "png": b"", "pdf": b""}
        ] * len(draws)

    monkeypatch.setattr("ntk_sweep.analysis.writing.publishing.render_many", build)
    assert main(["report", str(STORES / name), "-o", str(tmp_path)]) == 0
    assert (tmp_path / "index.html").stat().st_size > 10_000
    assert built and all(figure.axes for figure in built)
