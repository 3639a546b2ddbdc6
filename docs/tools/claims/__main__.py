"""Fills the table of the thesis's claims in docs/reference/results.md.

    python -m docs.tools.claims RESULTS RESULTS_EIGH RESULTS_STUDY

RESULTS and RESULTS_EIGH are those of `docs.tools.remake`, RESULTS_STUDY those of
`docs.tools.study`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from docs.tools.claims.claim import claims_table
from docs.tools.claims.spectra import spectra
from docs.tools.claims.training import training
from docs.tools.pages import fill
from docs.tools.study.conditions import conditions, declared
from ntk_sweep.analysis.rows.study import Study, studies
from ntk_sweep.analysis.rows.thesis import applies

PAGE = Path(__file__).parents[2] / "reference" / "results.md"


def main(results: str, results_eigh: str, results_study: str, page: Path = PAGE) -> None:
    """Fills the table."""
    study, eigh = of_thesis(results), of_thesis(results_eigh)
    found = declared(results_study)
    every = [*spectra(study, eigh), *training(study, found, conditions(found))]
    fill(page, "claims", claims_table(every))


def of_thesis(results: str) -> Study:
    """The rows on the thesis's data and scaling."""
    (found,) = (
        one for one in studies(results) if applies(one.group) and one.group.dtype == "float64"
    )
    return found


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
