"""Numbers inside a page: rounded to what the eye can use, compressed, as text.

A page holds hundreds of thousands of eigenvalues. Each keeps its exponent and the leading bits of
its mantissa; the bytes of equal significance of all numbers stand together (planes), where they
compress well. Spectra keep differences of logarithms, which are small. `data.js` reads both back.
"""

from __future__ import annotations

import base64
import gzip
from typing import NotRequired, TypedDict

import numpy as np

BITS = 20
"""Of a mantissa: six digits, all that hovering shows."""

EXACT_BITS = 52
"""Of a mantissa: all of them."""

SPECTRUM_STEPS = 2048
"""To a factor of two, of an eigenvalue in a spectrum: a relative error of 1.7e-4, far below the
width of a line."""

BOUND_BITS = 4
"""Of an error bound, which is rounded up, by at most 6 %."""

BOUND_STEPS = 16
"""To a factor of two, of an error bound in a spectrum, which is rounded up, by at most 5 %."""

COMPRESSION = 7
"""From 1 to 9: a hundredth larger than with 9, in a quarter of the time."""

_LOWEST = 1100
"""Less than this is no base-2 exponent of a float64, negated."""

_INFINITE, _UNKNOWN = 1 << 30, (1 << 30) + 1
"""Codes of what has no logarithm."""

_ABOVE = 1e-6
"""Of a step, added before rounding up: another machine's power of two may be smaller by an ulp."""


class Place(TypedDict):
    """Where an array lies in the packed bytes.

    Attributes:
        offset: Of its first byte.
        length: How many numbers.
        columns: Of a table of logarithms.
        steps: Of a logarithm, to a factor of two.
    """

    offset: int
    length: int
    columns: NotRequired[int]
    steps: NotRequired[int]


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
        return {"offset": self._take(_planes(flat.astype("<f8"))), "length": len(flat)}

    def add_logs(self, values: np.ndarray, steps: int, up: bool = False) -> Place:
        """Adds a table of numbers as logarithms; rows change little from column to column.

        Args:
            values: A table.
            steps: Of the logarithm, to a factor of two.
            up: Round away from zero instead of to the nearest.
        """
        codes = log_codes(values, steps, up)
        steps_right = np.diff(codes, axis=1, prepend=0).astype(np.int32).astype(np.int64)
        # Small numbers of either sign become small ones without: 0, -1, 1, -2 to 0, 1, 2, 3.
        small = ((steps_right << 1) ^ (steps_right >> 63)).astype("<u4")
        offset = self._take(_planes(small.ravel()))
        return {"offset": offset, "length": values.size, "columns": values.shape[1], "steps": steps}

    def text(self) -> str:
        """The block, compressed, as text."""
        return compressed(b"".join(self._blocks))

    def _take(self, block: bytes) -> int:
        """Appends a block, and returns where it begins."""
        self._blocks.append(block)
        self._size += len(block)
        return self._size - len(block)


def log_codes(values: np.ndarray, steps: int, up: bool = False) -> np.ndarray:
    """Numbers as whole numbers: 0 as 0, others as 1 + steps · (log2 |v| + 1100) with their sign."""
    size = np.abs(values.astype(float))
    known = np.isfinite(size) & (size > 0)
    logs = steps * (np.log2(np.where(known, size, 1.0)) + _LOWEST)
    whole = np.ceil(logs + _ABOVE) if up else np.rint(logs)
    codes = np.where(known, 1 + whole.astype(np.int64), 0)
    codes = np.where(np.isinf(size), _INFINITE, codes) * np.where(values < 0, -1, 1)
    return np.where(np.isnan(size), _UNKNOWN, codes)


def _planes(numbers: np.ndarray) -> bytes:
    """The bytes of equal significance together, the least significant first."""
    return numbers.view(np.uint8).reshape(-1, numbers.itemsize).T.tobytes()


def rounded(values: np.ndarray, bits: int, up: bool = False) -> np.ndarray:
    """Values with only the first `bits` of the mantissa, to the nearest or away from zero.

    What is not finite stays.
    """
    if bits >= EXACT_BITS:
        return values
    drop = np.uint64(EXACT_BITS - bits)
    low = (np.uint64(1) << drop) - np.uint64(1)
    raw = np.ascontiguousarray(values, dtype=np.float64).view(np.uint64)
    step = low if up else np.uint64(1) << (drop - np.uint64(1))
    result = ((raw + step) & ~low).view(np.float64)
    return np.where(np.isfinite(values), result, values)


def compressed(raw: bytes) -> str:
    """Bytes as text of a gzip stream without a date: the same bytes give the same text."""
    return as_text(gzip.compress(raw, COMPRESSION, mtime=0))


def as_text(raw: bytes) -> str:
    """Bytes in base 85, five letters for four of them, without the letters that HTML reads."""
    return base64.b85encode(raw).decode().translate(_PLAIN)


_PLAIN = str.maketrans("<>&", ",.:")
