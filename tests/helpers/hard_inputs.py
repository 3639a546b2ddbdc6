"""Inputs on which small eigenvalues, or bounds of their errors, go wrong first."""

from __future__ import annotations

import numpy as np

KINDS = (
    *("normal", "positive", "pixels 0 to 255", "times 1e4", "times 1e-6", "offset 1e3"),
    *("offset 1e6", "rows of all sizes", "features of all sizes", "zero rows", "mirrored"),
    *("collinear", "one-hot", "duplicates"),
    *("1e-3 apart", "1e-6 apart", "1e-9 apart", "1e-12 apart"),
)


def hard_inputs(kind: str, count: int, features: int, draws: np.random.Generator) -> np.ndarray:
    """N inputs of a kind of `KINDS`; of fewer features than N they are dependent, too."""
    x = draws.standard_normal((count, features))
    half = np.resize(x[: (count + 1) // 2], x.shape)
    if kind.endswith("apart"):
        return half + float(kind.split()[0]) * x
    return {
        "normal": x,
        "positive": np.abs(x),
        "pixels 0 to 255": np.floor(np.clip(np.abs(x) * 100, 0, 255)),
        "times 1e4": x * 1e4,
        "times 1e-6": x * 1e-6,
        "offset 1e3": x + 1e3,
        "offset 1e6": x + 1e6,
        "rows of all sizes": x * 10.0 ** np.linspace(-6, 5, count)[:, None],
        "features of all sizes": x * 10.0 ** np.linspace(-5, 5, features),
        "zero rows": x * (np.arange(count) % 3 != 0)[:, None],
        "mirrored": half * np.resize([1.0, -1.0], count)[:, None],
        "collinear": x[:1] * np.arange(-1, count - 1)[:, None],
        "one-hot": np.eye(count, features),
        "duplicates": half,
    }[kind]
