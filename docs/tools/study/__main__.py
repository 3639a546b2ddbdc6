"""Fills the answer of docs/reference/results.md from the rows of the declared study.

    python -m docs.tools.study RESULTS

docs/study.md declares the study; `make study` computes RESULTS. Every number and every verdict of
the answer comes from here.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import pandas as pd

from docs.tools.pages import fill, fill_filed, write_csv
from docs.tools.study.answer import answer, figure
from docs.tools.study.conditions import SECONDARY, conditions, declared, flows
from docs.tools.study.hypotheses import hypotheses_table
from docs.tools.study.tables import (
    candidate_numbers,
    candidates_table,
    conditions_table,
    flow_table,
)
from ntk_sweep.analysis.chapters.speed.candidates import PRIMARY
from ntk_sweep.analysis.chapters.speed.tables import numbers
from ntk_sweep.analysis.drawing.rendering import render

DOCS = Path(__file__).parents[2]
PAGE = Path("reference") / "results.md"
FIGURE = Path("figures") / "study-modes.png"


def main(results: str, docs: Path = DOCS) -> None:
    """Fills the page.

    Args:
        results: The rows.
        docs: The folder of the pages.
    """
    matplotlib.use("agg")
    page, tables = docs / PAGE, (docs / PAGE).parent / "tables"
    found = declared(results)
    every, followed = conditions(found), flows(found)
    (docs / FIGURE).write_bytes(render(figure(every), "png"))
    candidates = candidate_numbers(every)
    head = (
        answer(every, followed, candidates),
        f"![D of η λ_k against k, f₀ as drawn and removed](../{FIGURE})",
        hypotheses_table(every, followed).strip(),
    )
    fill(page, "answer", "\n\n".join(head))
    second = candidate_numbers([one.at(SECONDARY) for one in every])
    caption, lines = candidates_table(second, SECONDARY).strip().split("\n\n")[:2]
    write_csv(tables / "candidates.csv", lines.splitlines())
    link = f"[{caption}](tables/candidates.csv)"
    fill(page, "candidates", candidates_table(candidates, PRIMARY) + "\n" + link)
    caption, lines = flow_table(followed).strip().split("\n\n")[:2]
    fill_filed(page, "flows", caption, lines.splitlines())
    caption, lines = conditions_table(every).strip().split("\n\n")[:2]
    fill_filed(page, "conditions", caption, lines.splitlines())
    together = pd.concat(
        [numbers(list(one.shares.values())).assign(data=one.data, task=one.task) for one in every]
    )
    tables.mkdir(exist_ok=True)
    together.to_csv(tables / "study-associations.csv", index=False, float_format="%.4g")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
