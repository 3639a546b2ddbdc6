"""Numbers inside a page: rounded to what the eye can use, compressed, as text.

A page holds hundreds of thousands of eigenvalues. Each keeps its exponent and the leading bits of
its mantissa; the bytes of equal significance of all numbers stand together (planes), where they
compress well. `data.js` reads them back.
"""

from __future__ import annotations

import base64
import gzip
from typing import TypedDict

import numpy as np

BITS = 20
"""Of a mantissa: six digits, all that hovering shows."""

SPECTRUM_BITS = 12
"""Of an eigenvalue in a spectrum: a relative error of 1.2e-4, far below the width of a line."""

BOUND_BITS = 4
"""Of an error bound, which is rounded up, by at most 6 %."""


class Place(TypedDict):
    """Where an array lies in the packed bytes."""

    offset: int
    length: int


class Packer:
    """Collects arrays of float64 in one block of bytes."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._size = 0

    def add(self, values: np.ndarray, bits: int = BITS, up: bool = False) -> Place:
        """Adds an array, and returns where it lies.

        Args:
            values: Any shape; stored row by row.
            bits: How many of the mantissa are kept.
            up: Round away from zero instead of to the nearest.
        """
        flat = rounded(np.asarray(values, dtype=float).ravel(), bits, up)
        block = flat.astype("<f8").view(np.uint8).reshape(-1, 8).T.tobytes()
        place = Place(offset=self._size, length=len(flat))
        self._blocks.append(block)
        self._size += len(block)
        return place

    def text(self) -> str:
        """The block, compressed, as Base64."""
        return compressed(b"".join(self._blocks))


def rounded(values: np.ndarray, bits: int, up: bool = False) -> np.ndarray:
    """Values with only the first `bits` of the mantissa, to the nearest or away from zero.

    What is not finite stays.
    """
    drop = np.uint64(52 - bits)
    low = (np.uint64(1) << drop) - np.uint64(1)
    raw = np.ascontiguousarray(values, dtype=np.float64).view(np.uint64)
    step = low if up else np.uint64(1) << (drop - np.uint64(1))
    result = ((raw + step) & ~low).view(np.float64)
    return np.where(np.isfinite(values), result, values)


def compressed(raw: bytes) -> str:
    """Bytes as Base64 of a gzip stream without a date: the same bytes give the same text."""
    return base64.b64encode(gzip.compress(raw, 9, mtime=0)).decode()
