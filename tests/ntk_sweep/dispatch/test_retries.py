"""Protects the points of lost chunks: tried again, alone, exclusively, but not for ever."""

import pytest

from ntk_sweep.dispatch.queue import ChunkQueue
from ntk_sweep.dispatch.retries import MAX_NODE_LOSSES, MAX_WORKER_DEATHS, Retries
from ntk_sweep.executors.messages import Lost

DIED = Lost("the process died", worker_died=True)
GONE = Lost("the node is gone", worker_died=False)
OUT_OF_MEMORY = Lost("memory ran out", worker_died=True, out_of_memory=True)


@pytest.fixture
def queue():
    return ChunkQueue([], 1.0)


@pytest.fixture
def job(plain_jobs):
    return plain_jobs(5, 2)


@pytest.mark.parametrize(
    ("lost", "limit"), [(DIED, 3), (GONE, 20)], ids=["worker died", "node lost"]
)
def test_a_job_is_given_up_at_its_last_loss_alone(queue, job, lost, limit):
    assert (MAX_WORKER_DEATHS, MAX_NODE_LOSSES) == (3, 20)
    retries = Retries(queue)
    for _ in range(limit - 1):
        assert retries.put_back(job, lost, alone=True) is None
        assert queue.next(1).jobs == (job,)
    error = retries.put_back(job, lost, alone=True)
    assert error == (
        f"{limit} workers were lost while they computed this point; the last time: {lost.reason}"
    )
    assert not queue
    assert not retries


def test_losses_in_company_do_not_count(queue, job):
    retries = Retries(queue)
    for _ in range(50):
        assert retries.put_back(job, DIED, alone=False) is None
        assert queue.next(1).jobs == (job,)


def test_the_two_kinds_of_loss_are_counted_apart(queue, job):
    retries = Retries(queue)
    for lost in [GONE] * (MAX_NODE_LOSSES - 1) + [DIED] * (MAX_WORKER_DEATHS - 1):
        assert retries.put_back(job, lost, alone=True) is None
    assert retries.put_back(job, DIED, alone=True) is not None


def test_jobs_are_counted_apart(queue, plain_jobs):
    retries = Retries(queue)
    for width in range(1, 10):
        assert retries.put_back(plain_jobs(width, 2), DIED, alone=True) is None


def test_a_job_out_of_memory_is_tried_alone_and_then_exclusively(queue, job):
    retries = Retries(queue)
    assert retries.put_back(job, OUT_OF_MEMORY, alone=False) is None
    assert queue.next(1).jobs == (job,)
    for _ in range(MAX_WORKER_DEATHS + 1):  # beside others it is not blamed
        assert retries.put_back(job, OUT_OF_MEMORY, alone=True) is None
        assert not queue
    assert len(retries) == MAX_WORKER_DEATHS + 1


def test_exclusive_losses_count(queue, job):
    retries = Retries(queue)
    assert retries.put_back(job, OUT_OF_MEMORY, alone=True) is None
    for loss in range(MAX_WORKER_DEATHS):
        assert retries.next_exclusive().jobs == (job,)
        error = retries.put_back(job, OUT_OF_MEMORY, alone=True)
        assert (error is None) == (loss < MAX_WORKER_DEATHS - 1)
    assert not queue
    assert not retries


def test_once_exclusive_no_job_goes_back_beside_others(queue, plain_jobs):
    retries = Retries(queue)
    retries.put_back(plain_jobs(1, 2), OUT_OF_MEMORY, alone=True)
    retries.next_exclusive()
    assert retries.put_back(plain_jobs(1, 2), DIED, alone=True) is None
    assert not queue
    assert len(retries) == 1
