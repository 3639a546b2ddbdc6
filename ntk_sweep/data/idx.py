"""The IDX format of MNIST's files (LeCun, Cortes, Burges 1998), for arrays of unsigned bytes.

Two zero bytes, the type (8: unsigned byte), the number of dimensions, the size of each as a
big-endian integer of four bytes, then the values, the last index fastest.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

_START = b"\x00\x00\x08"
"""Of a file of unsigned bytes."""


PACKED = ".gz"
"""Behind the name of a file as it is downloaded."""


def read_idx(path: Path, n_dimensions: int) -> np.ndarray:
    """The array of a file, or of ``PATH.gz`` where only that is there.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds something else, or not all of it; the message names it.
    """
    packed = path.with_name(path.name + PACKED)
    used = path if path.is_file() or not packed.is_file() else packed
    content = used.read_bytes()
    try:
        return parse_idx(content if used is path else gzip.decompress(content), n_dimensions)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{used.name} is no whole gzip file, download it again: {error}"
        ) from error
    except ValueError as error:
        raise ValueError(f"{used.name} is {error}") from error


def parse_idx(content: bytes, n_dimensions: int) -> np.ndarray:
    """The array that a file's bytes hold; raises a ValueError if they hold something else."""
    start = len(_START) + 1 + 4 * n_dimensions
    if len(content) < start or content[: len(_START) + 1] != _START + bytes([n_dimensions]):
        raise ValueError(f"no IDX file of unsigned bytes in {n_dimensions} dimensions")
    shape = struct.unpack(f">{n_dimensions}I", content[len(_START) + 1 : start])
    if len(content) - start != math.prod(shape):
        raise ValueError(
            f"an IDX file that announces {' × '.join(map(str, shape))} values, but holds "
            f"{len(content) - start}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
