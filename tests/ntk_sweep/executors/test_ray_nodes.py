"""Protects the search for chunks whose node has died: all of them, once, and no others."""

from ntk_sweep.executors.ray_nodes import UNRECORDED_SECONDS, NodeWatch


def node(name, alive):
    return {"NodeID": name, "NodeManagerAddress": f"10.0.0.{name}", "Alive": alive}


NODES = [node("1", True), node("2", True)]
ONE_DIED = [node("1", True), node("2", False)]


def watch(places):
    """A watch of chunks that are called after their numbers."""
    return NodeWatch(lambda spec: places.get(spec))


def chunks(*numbers):
    return {number: number for number in numbers}


def test_chunks_of_a_dead_node_are_given_up_once_and_no_others():
    watched = watch({0: "1", 1: "2", 2: "2"})
    assert watched.lost_chunks(NODES, chunks(0, 1, 2), 0) == {}
    reason = "the machine 10.0.0.2 cannot be reached any more"
    assert watched.lost_chunks(ONE_DIED, chunks(0, 1, 2), 1) == {1: reason, 2: reason}
    assert watched.lost_chunks(ONE_DIED, chunks(0), 2 + UNRECORDED_SECONDS) == {}


def test_a_chunk_begun_in_the_moment_of_the_cut_is_given_up_later():
    places = {}
    watched = watch(places)
    assert watched.lost_chunks(ONE_DIED, chunks(0, 1, 2), 0) == {}
    places[0] = "1"  # one that waited for a worker, and has one now
    assert watched.lost_chunks(ONE_DIED, chunks(0, 1, 2), UNRECORDED_SECONDS - 1) == {}
    assert watched.lost_chunks(ONE_DIED, chunks(0, 2), UNRECORDED_SECONDS + 1) == {
        2: "its machine cannot be reached any more"
    }
    assert watched.lost_chunks(ONE_DIED, chunks(0, 3), 3 * UNRECORDED_SECONDS) == {}


def test_what_is_sent_out_after_a_death_is_not_in_doubt_until_the_next():
    places = {}
    watched = watch(places)
    assert watched.lost_chunks(ONE_DIED, {}, 0) == {}
    assert watched.lost_chunks(ONE_DIED, chunks(5), 2 * UNRECORDED_SECONDS) == {}
    both = [node("1", False), node("2", False)]
    assert watched.lost_chunks(both, chunks(5), 3 * UNRECORDED_SECONDS) == {}
    assert watched.lost_chunks(both, chunks(5), 5 * UNRECORDED_SECONDS) == {
        5: "its machine cannot be reached any more"
    }
