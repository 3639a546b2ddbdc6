"""1797 handwritten digits of 8 × 8 pixels, which ship inside scikit-learn.

Alpaydin and Kaynak 1998, the test part.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

WHITE = 16.0
"""The greatest value of a pixel."""

_FILE = Path("datasets", "data", "digits.csv.gz")
"""In the folder of scikit-learn: a line an image, its pixels and then its digit."""


def load(place: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The images, (1797, 64), and their digits."""
    # scikit-learn itself takes longer to import than all else that a command needs.
    found = find_spec("sklearn")
    file = Path(found.origin).parent / _FILE if found and found.origin else _FILE
    if not file.is_file():
        from sklearn.datasets import load_digits

        digits = load_digits()
        return digits.data, digits.target
    rows = np.loadtxt(file, delimiter=",")
    return rows[:, :-1], rows[:, -1].astype(int)
