"""Own arrays: x (N, ...) and y (N,) or (N, 1) of an npz file, with their values as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ntk_sweep.errors import DataError

ARRAYS = ("x", "y")

SEVERAL_COLUMNS = (
    ". The network has one output: keep one column of y, or y.argmax(axis=1) where a column "
    "stands for a class"
)


def load(path: str | None) -> tuple[np.ndarray, np.ndarray]:
    """The arrays of a file.

    Raises:
        DataError: The file cannot be read, or its arrays are not what they must be.
    """
    file = Path(path or "").expanduser()
    arrays = _read(file)
    for name, array in arrays.items():
        if array.dtype.kind not in "buif":
            raise DataError(f"{file}: {name} is of dtype {array.dtype}, but must hold real numbers")
    x, y = arrays["x"], arrays["y"]
    if y.ndim > 1 and y.size == len(y):
        y = y.reshape(-1)
    if x.ndim < 2 or y.ndim != 1 or len(x) != len(y) or x.size == 0:
        several = y.ndim == 2 and len(x) == len(y)
        raise DataError(
            f"{file}: x is {x.shape} and y is {y.shape}, but must be (N, ...) and (N,) or (N, 1) "
            f"with the same N ≥ 1{SEVERAL_COLUMNS if several else ''}"
        )
    return x.astype(np.float64), y


def find(path: str | None) -> tuple[np.ndarray, np.ndarray]:
    """As `load`; rows do not say where their file lies.

    Raises:
        DataError: No path is given, or as `load`.
    """
    if not path:
        raise DataError("where the npz file lies is not in the rows")
    return load(path)


def _read(file: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            names = archive.files
            # What is no array comes as bytes, and is refused for its dtype later.
            arrays = {name: np.asarray(archive[name]) for name in ARRAYS if name in names}
    except Exception as error:
        # A damaged file makes NumPy, zipfile, zlib and struct fail, each with errors of its own.
        raise DataError(
            f"data.path={file} cannot be read as an npz file ({type(error).__name__}: {error}): "
            "numpy.savez(FILE, x=…, y=…) writes one"
        ) from error
    if missing := [name for name in ARRAYS if name not in arrays]:
        raise DataError(
            f"{file} has no array {' and '.join(missing)}: it must hold x (N, ...) and y (N,), but "
            f"holds {names}"
        )
    return arrays
