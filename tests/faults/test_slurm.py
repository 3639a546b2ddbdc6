"""``make slurm``: the batch script of the documentation, submitted to a real Slurm on the loopback.

Whatever Slurm does to the job, the rows are those of a serial run.
"""

from pathlib import Path

import pytest

from ntk_sweep.store.reading import load_results
from tests.helpers.processes import GRID, POINTS, assert_same_numbers, run, stored, wait_for
from tests.helpers.slurm import processes_of, slurm

pytestmark = pytest.mark.slurm

SLOW = dict.fromkeys(range(20, 61, 10), 1)
"""Width → seconds a point takes, long enough to be interrupted."""

TOGETHER = "compute.chunk_seconds=2"
"""So that rows are stored early."""


@pytest.fixture(scope="module")
def cluster():
    with slurm() as made:
        yield made


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serial")
    ended = run(folder / "R", *GRID, "hydra/launcher=serial")
    assert ended.returncode == 0, ended.stderr
    return load_results(folder / "R" / "spectrum")


@pytest.fixture
def interrupted(cluster, tmp_path):
    """Starts a slow sweep and waits until it is in the middle of its work; job and results."""

    def start(**others):
        results = tmp_path / "R"
        job = cluster.sweep(results, *GRID, TOGETHER, faults=SLOW, **others)
        wait_for(lambda: stored(results), "the first rows")
        assert stored(results) < POINTS
        return job, results

    return start


def assert_left_nothing(job):
    wait_for(lambda: not processes_of(job), "the end of the job's processes")
    assert list(Path("/tmp").glob(f"ray-{job}-*")) == []


def finish(cluster, job, results, serial):
    cluster.wait(job, "COMPLETED")
    assert_same_numbers(results, serial)
    assert_left_nothing(job)


def test_a_sweep_on_two_nodes_has_the_rows_of_a_serial_one(cluster, serial, tmp_path):
    job = cluster.sweep(tmp_path / "R", *GRID)
    finish(cluster, job, tmp_path / "R", serial)
    assert f"{POINTS} points computed" in cluster.output(job)


def test_two_jobs_on_one_machine_do_not_meet(cluster, serial, tmp_path):
    jobs = [cluster.sweep(tmp_path / name, *GRID, nodes=1) for name in ("R", "S")]
    for job, name in zip(jobs, ("R", "S"), strict=True):
        finish(cluster, job, tmp_path / name, serial)


def test_a_preempted_sweep_goes_on(cluster, serial, interrupted):
    job, results = interrupted()
    other = cluster.submit("--partition=urgent", "--nodes=2", "--wrap=true")
    cluster.wait(other, "COMPLETED")
    assert_left_nothing(job)
    before = stored(results)
    cluster.start_again(job)
    finish(cluster, job, results, serial)
    assert cluster.of(job)["Restarts"] == "1"
    assert f"{POINTS - before} points computed" in cluster.output(job)
    assert f"{before} were there" in cluster.output(job)


def test_a_sweep_whose_time_is_up_goes_on(cluster, serial, interrupted):
    """`#SBATCH --signal` sends this signal two minutes before the end."""
    job, results = interrupted()
    cluster.call("scancel", "--batch", "--signal=USR1", job)
    assert_left_nothing(job)
    cluster.start_again(job)
    finish(cluster, job, results, serial)
    assert cluster.of(job)["Restarts"] == "1"
    assert "SIGTERM: stopped. Finished points are in the store" in cluster.output(job)


def test_a_sweep_that_may_not_be_queued_again_says_how_to_go_on(cluster, serial, interrupted):
    job, results = interrupted(SBATCH_NO_REQUEUE="1")
    cluster.call("scancel", "--batch", "--signal=USR1", job)
    cluster.wait(job, "FAILED")
    assert "submit the same command, which goes on from here" in cluster.output(job)
    assert_left_nothing(job)
    finish(cluster, cluster.sweep(results, *GRID, TOGETHER), results, serial)


def test_a_cancelled_sweep_ends_and_the_same_command_goes_on(cluster, serial, interrupted):
    job, results = interrupted()
    cluster.call("scancel", job)
    cluster.wait(job, "CANCELLED")
    assert_left_nothing(job)
    assert 0 < stored(results) < POINTS
    finish(cluster, cluster.sweep(results, *GRID, TOGETHER), results, serial)


def test_a_sweep_that_cannot_start_ends_with_its_message(cluster, tmp_path):
    job = cluster.sweep(tmp_path / "R", "act=rellu")
    cluster.wait(job, "FAILED")
    assert "rellu" in cluster.output(job)
    assert_left_nothing(job)
