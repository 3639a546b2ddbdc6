"""Pages of the report as tests read them, and rows with stored kernels."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from ntk_sweep.store.store import Store
from tests.helpers.analysis_rows import row

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
