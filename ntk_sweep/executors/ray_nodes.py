"""Which node of a cluster computes a chunk, so that the chunks of one that has fallen silent can be
given up.

A machine that loses its network closes no connection. Ray takes it for dead after about a minute,
but goes on waiting for what runs there, for seven minutes in version 2.60. So workers write down
where they are, in the key-value store of the cluster's head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ntk_sweep.executors.messages import ChunkSpec

NAMESPACE = "ntk-sweep"

DOUBT_SECONDS = 60
"""A chunk that nobody has written down this long after a node died may have been begun there in the
moment of the cut."""


def note(spec: ChunkSpec) -> None:
    """The worker's side: writes down which node this is."""
    import ray
    from ray.experimental import internal_kv

    internal_kv._internal_kv_put(
        _key(spec), ray.get_runtime_context().get_node_id(), overwrite=True, namespace=NAMESPACE
    )


def find(spec: ChunkSpec) -> str | None:
    """The driver's side: the node that computes the chunk, if it has been begun."""
    from ray.experimental import internal_kv

    found = internal_kv._internal_kv_get(_key(spec), namespace=NAMESPACE)
    return found.decode() if found else None


def forget(marks: Iterable[str]) -> None:
    """Removes all that the workers of a sweep have written down."""
    from ray.experimental import internal_kv

    for mark in marks:
        internal_kv._internal_kv_del(mark, del_by_prefix=True, namespace=NAMESPACE)


def _key(spec: ChunkSpec) -> str:
    return f"{spec.session}-{spec.number}"


class Watch:
    """Tells which chunks under way will not come back.

    Args:
        look_up: `find`.
    """

    def __init__(self, look_up: Callable[[ChunkSpec], str | None] = find) -> None:
        self._look_up = look_up
        self._dead: set[str] = set()
        self._doubtful: dict[int, float] = {}

    def lost(
        self, nodes: Iterable[Mapping[str, Any]], under_way: Mapping[int, ChunkSpec], now: float
    ) -> dict[int, str]:
        """Ticket → reason of the chunks to give up.

        Args:
            nodes: What `ray.nodes` says.
            under_way: Ticket → chunk.
            now: Seconds of a clock that does not go back.
        """
        dead = {node["NodeID"]: node["NodeManagerAddress"] for node in nodes if not node["Alive"]}
        if dead.keys() - self._dead:
            self._dead |= dead.keys()
            # Also those that wait for a worker; they will have been written down when their time is
            # over, or are sent out again.
            self._doubtful |= dict.fromkeys(under_way.keys() - self._doubtful.keys(), now)
        lost = {}
        for ticket, since in list(self._doubtful.items()):
            place = self._look_up(under_way[ticket]) if ticket in under_way else ""
            if place in dead:
                lost[ticket] = f"the machine {dead[place]} cannot be reached any more"
            elif place is None and now - since > DOUBT_SECONDS:
                lost[ticket] = "its machine cannot be reached any more"
            if place is not None or ticket in lost:
                del self._doubtful[ticket]
        return lost
