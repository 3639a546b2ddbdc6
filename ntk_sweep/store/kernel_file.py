"""A kernel matrix, or another array of a point: one NumPy file, beside the folder of its rows.

In that folder readers of Parquet that list every file would stumble over it.
"""

from __future__ import annotations

import io
import posixpath

import numpy as np
from pyarrow import fs

from ntk_sweep.errors import StoreError
from ntk_sweep.settings.point import EIGENVECTORS, KERNEL, LAYER_KERNELS
from ntk_sweep.store.filesystems import FAILURES, cause

KERNELS = "_kernels"
"""Holds a folder of kernels a task. Rows of earlier versions name one in the task's folder."""


SUFFIXES = {KERNEL: "", LAYER_KERNELS: "-layers", EIGENVECTORS: "-eigenvectors"}
"""How the file of a column is told from the others of its point."""


def kernel_name(task: str, key: str, column: str = KERNEL) -> str:
    """The name of the kernel of a point, or of what another column names, relative to the results.

    >>> kernel_name("spectrum", "0a1b")
    '_kernels/spectrum/0a1b.npy'
    >>> kernel_name("spectrum", "0a1b", "layer_kernels_file")
    '_kernels/spectrum/0a1b-layers.npy'
    """
    return posixpath.join(KERNELS, task, f"{key}{SUFFIXES[column]}.npy")


def serialise_kernel(kernel: np.ndarray) -> bytes:
    """The bytes of the file; raises a ValueError for an array of objects."""
    buffer = io.BytesIO()
    np.save(buffer, kernel, allow_pickle=False)
    return buffer.getvalue()


def read_kernel(filesystem: fs.FileSystem, root: str, task: str, name: str) -> np.ndarray:
    """The kernel matrix, or other array, that a row names.

    Args:
        filesystem: Of the results.
        root: The path of the results.
        task: Of the row.
        name: ``_kernels/<task>/<key>.npy``, or ``_kernels/<key>.npy`` in earlier rows. The file may
            lie in the place of either, so that those of an old store may be moved.

    Raises:
        StoreError: It is missing, unreadable or outside the folders of kernels.
    """
    folder, file = posixpath.split(posixpath.normpath(name))
    if folder not in (KERNELS, posixpath.join(KERNELS, task)):
        raise StoreError(
            f"a row names the kernel {name}, which does not lie in {KERNELS}: "
            "ntk-sweep did not write the part of that row"
        )
    path = posixpath.join(root, KERNELS, task, file)
    earlier = posixpath.join(root, task, KERNELS, file)
    try:
        new, old = filesystem.get_file_info([path, earlier])
        if not new.is_file and old.is_file:
            path = earlier
        with filesystem.open_input_file(path) as opened:
            return np.lib.format.read_array(io.BytesIO(opened.read()), allow_pickle=False)
    except (ValueError, *FAILURES) as error:
        raise StoreError(
            f"the kernel {path} cannot be read ({cause(error)}): recompute its point with "
            "force=true"
        ) from error
