"""Figures inside a page: smaller, and compressed together, since many are alike.

The files beside the page stay as they were drawn.
"""

from __future__ import annotations

import base64
import io
import re

import numpy as np

LEAST_IMAGE = 4096
"""Bytes of an image inside a figure that are worth another look."""

_NEEDLESS = (
    (
        re.compile(rb"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>|<!--.*?-->", re.DOTALL),
        b"",
    ),
    # A hundredth of a point is a seventh of a screen's smallest dot at the closest zoom.
    (re.compile(rb"([1-9]\d*\.\d\d)\d+"), rb"\1"),
    # Below one stand the scales of letters, which are points by the thousand.
    (re.compile(rb"(\b0\.\d{4})\d+"), rb"\1"),
    (re.compile(rb"\n\s*"), b"\n"),
    # Names of parts that nothing refers to.
    (re.compile(rb' id="[A-Za-z]+[A-Za-z0-9.]*_\d+"'), b""),
)

_IMAGE = re.compile(rb'data:image/png;base64,\s*([^"]*)"')


def slimmed(svg: bytes) -> bytes:
    """A figure for the page: the same to the eye, with fewer digits and without remarks."""
    parts = _IMAGE.split(svg)  # what is drawn, an image, what is drawn, …
    for place, part in enumerate(parts):
        if place % 2:
            image = base64.b64encode(_with_palette(base64.b64decode(part)))
            parts[place] = b"data:image/png;base64," + image + b'"'
        else:
            for pattern, text in _NEEDLESS:
                part = pattern.sub(text, part)
            parts[place] = part
    return b"".join(parts)


def _with_palette(png: bytes) -> bytes:
    """An image of few colours as one byte a dot; any other, and small ones, as they are."""
    if len(png) < LEAST_IMAGE:
        return png
    from PIL import Image  # matplotlib brings it along

    dots = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))
    # A colour as one number: rows of four are sorted thirty times as slowly.
    numbers, places = np.unique(dots.view(">u4").astype(np.uint32), return_inverse=True)
    colours = numbers.astype(">u4").view(np.uint8).reshape(-1, 4)
    if len(colours) > 256 or (colours[:, 3] < 255).any():
        return png
    image = Image.fromarray(places.reshape(dots.shape[:2]).astype(np.uint8), "P")
    image.putpalette(colours[:, :3].tobytes())
    smaller = io.BytesIO()
    image.save(smaller, "PNG", optimize=True)
    return min(smaller.getvalue(), png, key=len)
