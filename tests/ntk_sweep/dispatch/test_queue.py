"""Protects the packing of jobs into chunks: every job once, none too long, lost ones alone."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ntk_sweep.dispatch.cost import expected_seconds
from ntk_sweep.dispatch.queue import Chunk, ChunkQueue


@settings(max_examples=50, deadline=None)
@given(
    widths=st.lists(st.integers(1, 2000), min_size=1, max_size=60, unique=True),
    depths=st.lists(st.integers(2, 12), min_size=1, max_size=3, unique=True),
    slots=st.integers(1, 9),
    slowness=st.floats(0.01, 100),
    seconds=st.floats(0.01, 100),
)
def test_chunks_hold_every_job_once_and_none_is_longer_than_asked(
    plain_jobs, widths, depths, slots, slowness, seconds
):
    jobs = [
        plain_jobs(width, depth, results="rs"[width % 2]) for width in widths for depth in depths
    ]
    queue = ChunkQueue(jobs, seconds)
    seen = []
    while queue:
        chunk = queue.next(slots)
        assert len(chunk.jobs) == 1 or chunk.cost <= max(seconds / queue.slowness, 0) * (1 + 1e-9)
        assert len({job.batch for job in chunk.jobs}) == 1
        seen += chunk.jobs
        queue.observe(chunk.cost, chunk.cost * slowness)
    assert sorted(
        (job.point.architecture.width, job.point.architecture.depth) for job in seen
    ) == sorted((w, d) for w in widths for d in depths)


def test_lost_jobs_travel_alone_and_last(plain_jobs):
    queue = ChunkQueue([plain_jobs(width, 2) for width in range(1, 30)], 1000.0)
    lost = queue.next(1)
    assert isinstance(lost, Chunk)
    for job in lost.jobs:
        queue.put_back_alone(job)
    remaining = []
    while queue:
        remaining.append(queue.next(1))
    alone = remaining[-len(lost.jobs) :]
    assert [len(chunk.jobs) for chunk in alone] == [1] * len(lost.jobs)
    assert [chunk.jobs[0].point for chunk in alone] == [job.point for job in lost.jobs]


def test_expensive_jobs_come_first_and_jobs_on_the_same_draws_together(plain_jobs):
    jobs = [plain_jobs(width, depth) for width in (5, 90, 40) for depth in (2, 7)]
    queue, order = ChunkQueue(jobs, 1e-9), []
    while queue:
        order += [
            (job.point.architecture.width, job.point.architecture.depth)
            for job in queue.next(1).jobs
        ]
    assert order == [(90, 7), (90, 2), (40, 7), (40, 2), (5, 7), (5, 2)]


def test_the_first_chunk_is_half_of_an_equal_share(plain_jobs):
    jobs = [plain_jobs(1, 2) for _ in range(49)]
    assert len(ChunkQueue(jobs, 1e9).next(1).jobs) == 24
    assert len(ChunkQueue(jobs, 1e9).next(3).jobs) == 8


def test_chunks_become_smaller_towards_the_end(plain_jobs):
    """Each is half of what is left."""
    queue, sizes = ChunkQueue([plain_jobs(1, 2) for _ in range(65)], 1e9), []
    while queue:
        sizes.append(len(queue.next(1).jobs))
    assert sizes == [32, 16, 8, 4, 2, 1, 1, 1]


def test_a_chunk_may_take_all_of_its_time(plain_jobs):
    jobs = [plain_jobs(1, 2) for _ in range(49)]
    assert len(ChunkQueue(jobs, 2 * expected_seconds(jobs[0])).next(1).jobs) == 2


def test_slow_workers_get_smaller_chunks(plain_jobs):
    jobs = [plain_jobs(1, 2) for _ in range(100)]
    queue = ChunkQueue(jobs, 1.0)
    first = queue.next(1)
    queue.observe(first.cost, 4 * first.cost)
    assert queue.slowness == 4
    assert len(queue.next(1).jobs) <= len(first.jobs) / 3
