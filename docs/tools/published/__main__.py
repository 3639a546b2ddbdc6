"""Fills docs/published.md and draws its figure.

    python -m docs.tools.published [PLACE …]

PLACE is one that the page names, or linear-width, the figure; without any all are made. Everything
is drawn from fixed seeds. Parts run in two processes.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import torch

from docs.tools.pages import fill
from docs.tools.published.parts import PARTS, picture, tables

DOCS = Path(__file__).parents[2]
PAGE = "published.md"
FIGURE = Path("figures") / "linear-width.png"


def main(wanted: Sequence[str] = (), docs: Path = DOCS) -> None:
    """Fills the page of a folder, or some places of it."""
    unknown = set(wanted) - {FIGURE.stem, *(name for part in PARTS for name in part)}
    if unknown:
        raise SystemExit(f"{', '.join(sorted(unknown))}: no place of {PAGE}")
    places = [n for n, part in enumerate(PARTS) if not wanted or set(wanted) & set(part)]
    # Not forked: torch's threads may hold locks. One thread each, so that sums keep their order.
    start = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, start, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        running = [pool.submit(tables, place) for place in places]
        drawn = pool.submit(picture) if not wanted or FIGURE.stem in wanted else None
        for done in as_completed(running):
            for name, table in done.result().items():
                fill(docs / PAGE, name, table)
        if drawn:
            (docs / FIGURE).write_bytes(drawn.result())


if __name__ == "__main__":
    main(sys.argv[1:])
