"""The sources of data sets: one entry each, and nothing to change elsewhere to add one.

Beside the entry a source needs a file here that reads it, and one in `conf/data` with its defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ntk_sweep.data import digits, fashion_mnist, npz

Reader = Callable[[str | None], tuple[np.ndarray, np.ndarray]]
"""place ↦ (inputs (N, ...), labels (N,)), or a DataError; without a place it looks where it would
by itself."""


@dataclass(frozen=True)
class Source:
    """Where data sets come from.

    Attributes:
        name: What `data.name` and the column `data` call it.
        load: Reads all inputs and labels for a sweep; may download them.
        find: Reads the same without a download, for a report.
        downloads: Whether `load` would download the files.
        scale: What values are divided by.
        place: The setting of `data` that says where its files lie; None if it has none.
        test_place: The setting of `data` that says where files of test inputs lie, likewise.
        example: What this setting must be, where the source cannot do without.
        free_targets: Whether labels may be taken as the targets, without two classes.
    """

    name: str
    load: Reader
    find: Reader
    scale: float = 1.0
    place: str | None = None
    test_place: str | None = None
    example: str | None = None
    free_targets: bool = False
    downloads: Callable[[str | None], bool] = lambda place: False


SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            "fashion_mnist",
            load=fashion_mnist.load,
            find=fashion_mnist.find,
            downloads=fashion_mnist.downloads,
            scale=fashion_mnist.WHITE,
            place="root",
        ),
        Source("digits", load=digits.load, find=digits.load, scale=digits.WHITE),
        Source(
            "npz",
            load=npz.load,
            find=npz.find,
            place="path",
            test_place="test_path",
            example="FILE.npz, a file with the arrays x and y",
            free_targets=True,
        ),
    )
}
