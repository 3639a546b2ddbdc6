"""1797 handwritten digits of 8 × 8 pixels, which ship inside scikit-learn.

Alpaydin and Kaynak 1998, the test part.
"""

from __future__ import annotations

import numpy as np

WHITE = 16.0
"""The greatest value of a pixel."""


def load(place: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The images, (1797, 64), and their digits."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.data, digits.target
