"""Fills docs/published.md and draws its figure.

    python -m docs.tools.published

Everything is drawn from fixed seeds. Parts run in two processes.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from docs.tools.pages import fill
from docs.tools.published.parts import PARTS, picture, tables

DOCS = Path(__file__).parents[2]
PAGE = "published.md"
FIGURE = Path("figures") / "linear-width.png"


def main(docs: Path = DOCS) -> None:
    """Fills the page of a folder."""
    # Not forked: torch's threads may hold locks. One thread each, so that sums keep their order.
    start = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, start, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        drawn = pool.submit(picture)
        for part in pool.map(tables, range(len(PARTS))):
            for name, table in part.items():
                fill(docs / PAGE, name, table)
        (docs / FIGURE).write_bytes(drawn.result())


if __name__ == "__main__":
    main()
