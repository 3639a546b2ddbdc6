"""Limit kernels in Ray's object store: computed once a sweep, shared by its workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.tasks.limit_request import LimitRequest

SHARE = 0.4
"""Part of the object store that they may take.

The thesis's nine depths are 3 MB an architecture at 200 inputs.
"""


class SharedLimits:
    """References to limit kernels; the least recently wanted are dropped first.

    Args:
        compute: Starts the computation of an architecture's limits on a data set that is in the
            object store, and returns a reference to them.
        store_bytes: The size of the object store.
    """

    def __init__(self, compute: Callable[[LimitRequest, Any], Any], store_bytes: float) -> None:
        self._compute = compute
        self._room = store_bytes * SHARE
        self._known: dict[tuple[str, LimitRequest], Any] = {}

    def reference(self, wanted: LimitRequest, dataset: Dataset, sent: Any) -> Any:
        """The reference to an architecture's limits, which are computed if they are not known.

        Args:
            wanted: The architecture and its depths.
            dataset: The data set.
            sent: The reference to it.
        """
        key = (dataset.fingerprint, wanted)
        reference = self._known.pop(key, None)
        if reference is None:
            reference = self._compute(wanted, sent)
        size = 8 * len(dataset.x) ** 2 * len(wanted.depths)
        while len(self._known) >= max(int(self._room / size), 1):
            del self._known[next(iter(self._known))]
        self._known[key] = reference
        return reference

    def forget(self) -> None:
        """Drops them all: those on a lost worker's node may be lost too."""
        self._known.clear()
