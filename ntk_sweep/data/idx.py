"""The IDX format of MNIST's files (LeCun, Cortes, Burges 1998), for arrays of unsigned bytes.

Two zero bytes, the type (8: unsigned byte), the number of dimensions, the size of each as a
big-endian integer of four bytes, then the values, the last index fastest.
"""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

import numpy as np

_START = b"\x00\x00\x08"
"""Of a file of unsigned bytes."""


def read_idx(path: Path, n_dimensions: int) -> np.ndarray:
    """The array of a file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds something else, or not all of it.
    """
    return parse_idx(path.read_bytes(), n_dimensions)


def read_packed_idx(path: Path, n_dimensions: int) -> np.ndarray:
    """As `read_idx`, from ``PATH.gz`` where only that is there."""
    packed = path.with_name(path.name + ".gz")
    if path.is_file() or not packed.is_file():
        return read_idx(path, n_dimensions)
    return parse_idx(gzip.decompress(packed.read_bytes()), n_dimensions)


def parse_idx(content: bytes, n_dimensions: int) -> np.ndarray:
    """The array that a file's bytes hold; raises a ValueError if they hold something else."""
    start = len(_START) + 1 + 4 * n_dimensions
    if len(content) < start or content[: len(_START) + 1] != _START + bytes([n_dimensions]):
        raise ValueError(f"no IDX file of unsigned bytes in {n_dimensions} dimensions")
    shape = struct.unpack(f">{n_dimensions}I", content[len(_START) + 1 : start])
    if len(content) - start != math.prod(shape):
        raise ValueError(
            f"the IDX file announces {' × '.join(map(str, shape))} values, but holds "
            f"{len(content) - start}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
