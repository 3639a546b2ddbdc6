"""Pages of the report as tests read them, and rows with stored kernels."""

import base64
import gzip
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from ntk_sweep.store.store import Store
from tests.helpers.analysis_rows import row

LETTERS = str.maketrans(",.:", "<>&")
"""Those of the page, as Python's base 85 has them."""


def inflated(text: str) -> bytes:
    """The bytes of a block of the page."""
    return gzip.decompress(base64.b85decode(text.translate(LETTERS)))


def numbers_at(raw: bytes, place: dict) -> np.ndarray:
    """An array out of the bytes of the block of numbers."""
    start, length = place["offset"], place["length"]
    kind, size = ("<i4", 4) if "columns" in place else ("<f8", 8)
    block = np.frombuffer(raw, np.uint8)[start : start + size * length].reshape(size, length)
    numbers = block.T.copy().view(kind)[:, 0]
    if kind == "<f8":
        return numbers
    small = numbers.view(np.uint32).astype(np.int64)
    steps = (small >> 1) ^ -(small & 1)
    codes = steps.reshape(-1, place["columns"]).cumsum(axis=1).astype(np.int32).ravel()
    logs = (np.abs(codes) - 1) / place["steps"] - 1100
    values = np.where(codes == 0, 0.0, np.sign(codes) * np.exp2(np.clip(logs, -1100, 1023.9)))
    values = np.where(np.abs(codes) == 1 << 30, np.copysign(np.inf, codes), values)
    return np.where(codes > 1 << 30, np.nan, values)


VOID = {"meta", "link", "img", "br", "input"}


class Page(HTMLParser):
    """Checks that tags close in order, and collects what the page refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.sources, self.alts, self.ids, self.tags = [], [], [], [], set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        values = dict(attributes)
        self.sources += [values[name] for name in ("src", "href") if name in values]
        self.ids += [values["id"]] if "id" in values else []
        if tag == "img":
            self.alts.append(values["alt"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def kernel_rows(folder: Path) -> list[dict]:
    rows = [row("relu", 800, 3, 0, 3.6), row("sigmoid", 300, 8, 0, 1e-10)]
    for number, one in enumerate(rows):
        one["kernel_file"] = Store(str(folder), "spectrum").save_kernel(
            one["key"], np.random.default_rng(number).random((200, 200))
        )
    return rows
