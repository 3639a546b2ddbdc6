"""What is seen of a picture."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ntk_sweep.analysis.drawing.rendering import render


def pixels(drawn: Figure | bytes) -> np.ndarray:
    """Red, green and blue of each pixel, (N, 3), of a figure or of a PNG file."""
    content = drawn if isinstance(drawn, bytes) else render(drawn, "png")
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).reshape(-1, 3)


def colours(drawn: Figure | bytes) -> int:
    """How many different colours there are: a blank picture has one."""
    return len(
        np.unique(pixels(drawn).astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32))
    )
