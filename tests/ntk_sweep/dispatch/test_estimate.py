"""Protects the dry run: it counts, refuses what a sweep refuses, and leaves nothing behind."""

import dataclasses
import os
import socket
import uuid

import numpy as np
import pytest

from ntk_sweep.data import fashion_mnist
from ntk_sweep.data.torchvision_import import torchvision_fashion_mnist
from ntk_sweep.dispatch.cost import SIZES, TRAINING, expected_seconds, seconds_of
from ntk_sweep.dispatch.estimate import CALIBRATION_ROWS, estimate
from ntk_sweep.dispatch.plan import make_plan, open_stores
from ntk_sweep.dispatch.sweep import run_sweep
from ntk_sweep.errors import ConfigError, DataError, StoreError, SweepError
from ntk_sweep.executors.ray import RayExecutor
from ntk_sweep.executors.serial import SerialExecutor
from ntk_sweep.settings.schema import ComputeConfig, DataConfig, TrainingConfig
from ntk_sweep.store.store import Store
from ntk_sweep.store.writer import PartWriter
from tests.helpers.s3 import BUCKET, objects
from tests.helpers.store_rows import make_row
from tests.helpers.sweeps import QUIET, grid


class Never(SerialExecutor):
    """Must not be started."""

    def __init__(self, compute):
        raise AssertionError("the executor was started")


class Several(Never):
    @staticmethod
    def local_workers(compute):
        return compute.num_workers or 3


def jobs_of(configs):
    return make_plan(configs, open_stores(configs)).jobs


def test_nothing_is_started_or_written(base, tmp_path):
    before = sorted(os.listdir(tmp_path))
    found = estimate(grid(base, [3, 4, 4, 5]), Never)
    assert (len(found.plan.points), len(found.plan.jobs), found.plan.skipped) == (4, 3, 0)
    assert sorted(os.listdir(tmp_path)) == before
    assert not os.path.exists(base.results)


def test_what_the_store_has_is_left_out_unless_forced(base):
    run_sweep(grid(base, [3, 4]), SerialExecutor, QUIET)
    before = sorted(os.walk(base.results))
    found = estimate(grid(base, [3, 4, 5]), Never)
    assert (found.plan.skipped, len(found.plan.jobs)) == (2, 1)
    assert len(estimate(grid(base, [3, 4, 5], force=True), Never).plan.jobs) == 3
    done = estimate(grid(base, [3, 4]), Never)
    assert (done.load, done.seconds, len(done.plan.points)) == (None, None, 2)
    assert sorted(os.walk(base.results)) == before


def test_an_object_store_is_read_and_not_written(base, object_store, monkeypatch):
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    prefix = f"dry/{uuid.uuid4().hex}"
    base = dataclasses.replace(base, results=f"s3://{BUCKET}/{prefix}")
    assert len(estimate(grid(base, [3, 4]), Never).plan.jobs) == 2
    assert objects(prefix) == []
    run_sweep(grid(base, [3]), SerialExecutor, QUIET)
    before = objects(prefix)
    assert estimate(grid(base, [3, 4]), Never).plan.skipped == 1
    assert objects(prefix) == before
    nowhere = dataclasses.replace(base, results="s3://there-is-no-such-bucket/x")
    with pytest.raises(StoreError, match="there-is-no-such-bucket"):
        estimate([nowhere], Never)


def test_the_time_is_shared_by_the_workers_but_no_point_is(base):
    configs = grid(base, [3, 4, 5, 6])
    costs = [expected_seconds(job) for job in jobs_of(configs)]
    found = estimate(configs, Several)
    assert (found.workers, found.here) == (3, True)
    assert found.load.seconds == pytest.approx(sum(costs))
    assert found.seconds == pytest.approx(sum(costs) / 3)
    # More workers than points compute nothing faster.
    compute = ComputeConfig(num_workers=50)
    one = [dataclasses.replace(config, compute=compute) for config in grid(base, [3, 900])]
    few = estimate(one, Several)
    assert few.workers == 2
    assert few.seconds == few.load.longest == max(map(expected_seconds, jobs_of(one)))
    assert few.load.largest.point.architecture.width == 900


def test_a_cluster_is_not_asked(base):
    joined = ComputeConfig(address="192.0.2.1:6379")
    found = estimate(grid(base, [3, 4], compute=joined), RayExecutor)
    assert (found.workers, found.here, found.seconds) == (None, False, None)
    assert found.load.seconds > 0
    wanted = dataclasses.replace(joined, num_workers=2)
    found = estimate(grid(base, [3, 4], compute=wanted), RayExecutor)
    assert (found.workers, found.here) == (2, False)
    assert found.seconds < found.load.seconds


def rows_that_took(times_longer, task="spectrum", host=None, number=3, **changes):
    """Rows whose points took so much longer than expected."""
    sizes = {"width": 40, "depth": 3, "n_samples": 6, "n_inputs": 4} | changes
    seconds = times_longer * float(seconds_of(sizes))
    common = {"host": host or socket.gethostname(), "seconds": seconds, "task": task} | sizes
    return [make_row(f"{host}{times_longer}{at}", minutes=at, **common) for at in range(number)]


def commit(base, rows, task="spectrum"):
    PartWriter(Store(base.results, task)).commit(rows)


def test_rows_in_the_store_tell_the_speed(base):
    plain = estimate([base], Never)
    assert (plain.load.speed.factor, plain.load.speed.rows) == (1, 0)
    commit(base, rows_that_took(7.0, host="elsewhere"))
    other = estimate([base], Never).load
    assert (other.speed.rows, other.speed.here) == (3, False)
    assert other.seconds == pytest.approx(7 * plain.load.seconds)
    commit(base, rows_that_took(2.5))
    failed = [row | {"status": "failed"} for row in rows_that_took(90.0)]
    unknown = [row | {"seconds": None} for row in rows_that_took(91.0)]
    commit(base, [*failed, *unknown])
    own = estimate([base], Never).load
    assert (own.speed.rows, own.speed.here) == (3, True)
    assert own.seconds == pytest.approx(2.5 * plain.load.seconds)
    assert own.longest == pytest.approx(own.seconds)


def test_only_the_latest_rows_tell_the_speed(base):
    rows = rows_that_took(4.0, number=CALIBRATION_ROWS + 5)
    for row in rows[:5]:
        row["seconds"] = 1000.0
    commit(base, rows)
    speed = estimate([base], Never).load.speed
    assert (speed.rows, speed.factor) == (CALIBRATION_ROWS, pytest.approx(4))


def test_runs_of_training_are_costed_like_their_jobs(base):
    settings = TrainingConfig(batch_size=4, epochs=20, record_kernel_every=6)
    config = dataclasses.replace(base, width=40, task=settings)
    (job,) = jobs_of([config])
    columns = settings.columns(6) | {"width": 40, "depth": 3, "n_samples": 6, "n_inputs": 4}
    assert float(seconds_of(columns)) == pytest.approx(expected_seconds(job))
    arrays = {name: np.array([columns[name]] * 2, float) for name in (*SIZES, *TRAINING)}
    arrays["record_kernel_every"][1] = np.nan
    without = dataclasses.replace(
        config, task=dataclasses.replace(settings, record_kernel_every=None)
    )
    expected = [expected_seconds(job) for job in jobs_of([config, without])]
    assert seconds_of(arrays) == pytest.approx(expected)
    commit(base, rows_that_took(3.0, "training", **columns), "training")
    assert estimate([config], Never).load.speed.factor == pytest.approx(3)
    # What is slow at training is slow at spectra, as long as nothing else is known of them.
    both = estimate([config, base], Never).load
    assert both.seconds == pytest.approx(3 * sum(map(expected_seconds, jobs_of([config, base]))))


WRONG = {
    "no point": lambda base, tmp: [],
    "two computes": lambda base, tmp: [
        base,
        dataclasses.replace(base, compute=ComputeConfig(num_cpus=2)),
    ],
    "two kinds of run": lambda base, tmp: [base, dataclasses.replace(base, dry_run=True)],
    "no data": lambda base, tmp: [
        dataclasses.replace(base, data=DataConfig("npz", path="/nowhere.npz"))
    ],
    "data that nobody reads": lambda base, tmp: [
        dataclasses.replace(base, data=DataConfig("digits", path="x.npz", classes=[0, 9]))
    ],
    "a file": lambda base, tmp: [dataclasses.replace(base, results=base.data.path)],
    "below a file": lambda base, tmp: [dataclasses.replace(base, results=f"{base.data.path}/x/y")],
    "a broken link": lambda base, tmp: [dataclasses.replace(base, results=str(tmp / "link"))],
    "a part of others": lambda base, tmp: [dataclasses.replace(base, results=str(tmp / "others"))],
    "too large": lambda base, tmp: [dataclasses.replace(base, width=10**6, depth=50)],
    "credentials": lambda base, tmp: [dataclasses.replace(base, results="s3://me:secret@bucket/x")],
}


@pytest.mark.parametrize("configs", WRONG.values(), ids=WRONG)
def test_what_a_sweep_refuses_a_dry_run_refuses_too(base, tmp_path, configs):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / "below")
    (tmp_path / "others" / "spectrum").mkdir(parents=True)
    (tmp_path / "others" / "spectrum" / "part-a.parquet").write_text("")
    refusals = []
    for refuse in (
        lambda wrong: estimate(wrong, Never),
        lambda wrong: run_sweep(wrong, Never, QUIET),
    ):
        with pytest.raises(SweepError) as refused:
            refuse(configs(base, tmp_path))
        refusals.append((type(refused.value), str(refused.value).split("(")[0]))
    assert refusals[0] == refusals[1]


def test_more_cores_than_there_are_is_refused_before_ray_starts(base):
    configs = [dataclasses.replace(base, compute=ComputeConfig(num_cpus=10**6))]
    for refuse in (
        lambda: estimate(configs, RayExecutor),
        lambda: run_sweep(configs, RayExecutor, QUIET),
    ):
        with pytest.raises(ConfigError, match=r"a worker wants compute.num_cpus=1e\+06, but"):
            refuse()


def test_a_folder_without_permission_is_refused(base, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(SweepError, match=r"cannot be written .*Permission denied"):
        estimate([base], Never)


def test_no_data_is_downloaded(base, tmp_path, monkeypatch):
    monkeypatch.delenv("NTK_SWEEP_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(torchvision_fashion_mnist(), "download", lambda self: 1 / 0)
    images = dataclasses.replace(
        base, data=DataConfig("fashion_mnist", classes=[0, 9], n_per_class=2), dry_run=True
    )
    with pytest.raises(DataError, match="is not on this machine yet: a sweep downloads it first"):
        estimate([images], Never)
    assert not (tmp_path / "cache").exists()
    assert fashion_mnist.downloads(None)
    assert not fashion_mnist.downloads("elsewhere")
