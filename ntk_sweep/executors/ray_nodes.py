"""Which node of a cluster computes a chunk, so that the chunks of a dead node can be given up.

A machine that loses its network closes no connection. Ray declares it dead after about a minute,
but waits for what runs there much longer: seven minutes in version 2.60. So each worker records its
node in the key-value store of the cluster's head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ntk_sweep.executors.messages import ChunkSpec

NAMESPACE = "ntk-sweep"

UNRECORDED_SECONDS = 60
"""A chunk without a record this long after a node died may have begun there just before."""


def record_node(spec: ChunkSpec) -> None:
    """Records, on the worker, that this node computes the chunk."""
    import ray
    from ray.experimental import internal_kv

    internal_kv._internal_kv_put(
        _key(spec), ray.get_runtime_context().get_node_id(), overwrite=True, namespace=NAMESPACE
    )


def recorded_node(spec: ChunkSpec) -> str | None:
    """The node that computes the chunk; None if none has begun it. Asked by the driver."""
    from ray.experimental import internal_kv

    found = internal_kv._internal_kv_get(_key(spec), namespace=NAMESPACE)
    return found.decode() if found else None


def forget_sessions(sessions: Iterable[str]) -> None:
    """Removes the records of these sweeps."""
    from ray.experimental import internal_kv

    for session in sessions:
        internal_kv._internal_kv_del(session, del_by_prefix=True, namespace=NAMESPACE)


def _key(spec: ChunkSpec) -> str:
    return f"{spec.session}-{spec.number}"


class NodeWatch:
    """Finds the chunks whose node has died.

    Args:
        node_of: `recorded_node`.
    """

    def __init__(self, node_of: Callable[[ChunkSpec], str | None] = recorded_node) -> None:
        self._node_of = node_of
        self._dead: set[str] = set()
        self._suspects: dict[int, float] = {}

    def lost_chunks(
        self, nodes: Iterable[Mapping[str, Any]], running: Mapping[int, ChunkSpec], now: float
    ) -> dict[int, str]:
        """Number → reason of the chunks to give up, each told once.

        Args:
            nodes: What `ray.nodes` returns.
            running: Number → chunk, of all that have not ended.
            now: Seconds of a monotonic clock.
        """
        dead = {node["NodeID"]: node["NodeManagerAddress"] for node in nodes if not node["Alive"]}
        if dead.keys() - self._dead:
            self._dead |= dead.keys()
            # Also the chunks that wait for a worker: they will have a record when their time is
            # over, or be lost and sent out again.
            self._suspects |= dict.fromkeys(running.keys() - self._suspects.keys(), now)
        lost = {}
        for number, since in list(self._suspects.items()):
            node = self._node_of(running[number]) if number in running else ""
            if node in dead:
                lost[number] = f"the machine {dead[node]} cannot be reached any more"
            elif node is None and now - since > UNRECORDED_SECONDS:
                lost[number] = "its machine cannot be reached any more"
            if node is not None or number in lost:
                del self._suspects[number]
        return lost
