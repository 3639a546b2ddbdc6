"""``make partition``: a host of a cluster is cut off from the network in the middle of its work,
and comes back.

Three hosts with addresses of their own, the results on a disk that all of them reach at any time:
the hardest case, since the worker that was given up goes on and still could write.
"""

import time
from contextlib import contextmanager

import pandas as pd
import pytest

from tests.helpers.hosts import hosts
from tests.helpers.processes import (
    GRID,
    POINTS,
    TIME_LIMIT,
    assert_same_numbers,
    is_alive,
    start,
    stop,
    stored,
    wait_for,
)
from tests.helpers.ray_clusters import ray_head, ray_node, raylet_of, workers_at

pytestmark = pytest.mark.partition

HEALTH_CHECKS = {"RAY_health_check_timeout_ms": "500", "RAY_health_check_failure_threshold": "4"}
"""With the rest of `FAST_HEALTH_CHECKS`: a node is taken for dead four seconds after its link was
cut."""

SHORT = 1.5
"""Seconds that nobody should notice."""


@pytest.fixture(scope="module")
def network():
    with hosts(3) as made:
        yield made


@contextmanager
def three_nodes(network, slow):
    """A head and two nodes on hosts of their own, with one worker each, and points that take so
    long, by width; yields the second."""
    with (
        ray_head(cpus=1, host=network[0], faults=slow, **HEALTH_CHECKS) as cluster,
        ray_node(cluster, host=network[1]) as node,
        ray_node(cluster, host=network[2]) as other,
    ):
        wait_for(lambda: raylet_of(other), "the third node", other)
        yield cluster, node


@contextmanager
def sweep_on(cluster, network, results):
    """A sweep started on the head's host; the second host is back in the network when it ends."""
    options = (results, *GRID, "compute=cluster", "compute.chunk_seconds=60")
    sweep = start(*options, prefix=network[0].prefix, RAY_ADDRESS=cluster.address, **cluster.token)
    try:
        yield sweep
    finally:
        network[1].mend()
        stop(sweep)


def read_until(ended, results):
    """Reads as a user does, all the time: each row is there once, and none goes away."""
    seen, deadline = 0, time.monotonic() + 2 * TIME_LIMIT
    while not ended():
        assert time.monotonic() < deadline
        if stored(results):
            rows = pd.read_parquet(results / "spectrum")
            assert rows.key.is_unique
            assert len(rows) >= seen
            seen = len(rows)
        time.sleep(0.1)


def test_a_short_cut_is_not_noticed(network, tmp_path, undisturbed):
    with three_nodes(network, dict.fromkeys(range(20, 61, 10), 2)) as (cluster, node):
        with sweep_on(cluster, network, tmp_path) as sweep:
            wait_for(lambda: workers_at(node), "work on the second host", sweep, node)
            network[1].cut()
            time.sleep(SHORT)
            network[1].mend()
            read_until(lambda: sweep.poll() is not None, tmp_path)
            output = sweep.stdout.read()
        assert sweep.returncode == 0, output
        assert f"{POINTS} points computed" in output
        assert "lost" not in output
        assert is_alive(raylet_of(node))
    assert_same_numbers(tmp_path, undisturbed)


def test_the_rows_of_a_host_that_was_given_up_are_stored_by_others_and_once(
    network, tmp_path, undisturbed
):
    # Dear points go out first, so that the first chunk of each host takes longer than it takes to
    # be given up.
    with three_nodes(network, {20: 0.5, 30: 0.5, 40: 10, 50: 10, 60: 10}) as (cluster, node):
        with sweep_on(cluster, network, tmp_path) as sweep:
            (worker,) = wait_for(lambda: workers_at(node), "work on the second host", sweep, node)
            time.sleep(1)  # for it to write down where it is
            network[1].cut()
            said = next(line for line in sweep.stdout if "lost" in line)
            assert (
                f"a worker was lost (the machine {network[1].address} cannot be reached any more)"
                in said
            )
            # It does not know, and goes on until its chunk is done, cut off as it is; then it is
            # back.
            assert workers_at(node) == [worker]
            read_until(lambda: not workers_at(node), tmp_path)
            network[1].mend()
            read_until(lambda: sweep.poll() is not None, tmp_path)
            output = sweep.stdout.read()
        assert sweep.returncode == 0, output
        assert f"{POINTS} points computed" in output
        assert "0 failed, 1 worker lost" in output
        wait_for(lambda: node.poll() is not None, "the end of the node that was given up")
    assert_same_numbers(tmp_path, undisturbed)
    assert not list((tmp_path / "spectrum").glob(".*"))
