"""What ranks networks by training speed, in words.

Correlations and their intervals are read out, that of λ_min first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.speed.candidates import BY_NAME
from ntk_sweep.analysis.chapters.speed.correlations import ACROSS, WITHIN
from ntk_sweep.analysis.chapters.speed.tables import (
    best,
    correlation_text,
    counts,
    gain_text,
    summary_table,
)
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN, QUANTITIES
from ntk_sweep.analysis.rows.runs import Runs
from ntk_sweep.analysis.writing.tables import Table

REACHED = 0.5
"""The loss that is spoken of is the smallest that at least this share of the runs reach: below it
mostly ties are ranked. A choice."""


def answer_table(every: Sequence[tuple[Runs, pd.DataFrame]]) -> Table:
    """The summary of all settings, with the conclusion below it."""
    table = summary_table(every)
    return replace(table, notes=[*conclusion(every), *table.notes])


def conclusion(every: Sequence[tuple[Runs, pd.DataFrame]]) -> list[str]:
    """A paragraph for each setting.

    Args:
        every: Runs with what `ntk_sweep.analysis.chapters.speed.correlations.correlations` says of
            them.
    """
    return [_paragraph(runs, frame) for runs, frame in every]


def _paragraph(runs: Runs, frame: pd.DataFrame) -> str:
    threshold = spoken_of(runs, frame)
    own = frame[frame["threshold"] == threshold]
    reached, _ = counts(runs, threshold)
    start = (
        f"At learning rate {runs.setting.rate}, epochs to a loss of {threshold:g}, which {reached} "
        f"of {len(runs.rows)} runs reach"
    )
    if best(own) is None:
        return f"{start}: too few for a ranking."
    known = own.set_index(["candidate", "scope"])
    across, within = (known.loc[(LAMBDA_MIN.name, scope)] for scope in (ACROSS, WITHIN))
    sentences = [
        (
            f"{start}. λ_min has ρ = {correlation_text(across)} with them over all runs: "
            f"{reading(across)}."
        ),
        f"Within activations its mean ρ is {correlation_text(within)}: {reading(within)}.",
        _best("Best of all", own, known),
        _best(
            "Best of what is one number of a kernel", own[own["candidate"].isin(_SPECTRAL)], known
        ),
    ]
    return " ".join(sentences)


def spoken_of(runs: Runs, frame: pd.DataFrame) -> float:
    """The smallest loss that at least `REACHED` of the runs reach.

    Where there is none, the greatest of all.
    """
    thresholds = sorted(map(float, frame["threshold"].unique()))
    often = [
        threshold
        for threshold in thresholds
        if counts(runs, threshold)[0] >= REACHED * len(runs.rows)
    ]
    return min(often) if often else thresholds[-1]


def reading(line: pd.Series) -> str:
    """What a correlation with the epochs means, as far as its interval allows."""
    if np.isnan(line["rho"]):
        return "too few networks reach the loss to say"
    if np.isnan(line["low"]) or line["low"] <= 0 <= line["high"]:
        return "no ranking that could be told from chance"
    return (
        "the greater, the fewer epochs"
        if line["rho"] < 0
        else "the greater, the more epochs, against what a bound suggests"
    )


def _best(start: str, frame: pd.DataFrame, known: pd.DataFrame) -> str:
    name = best(frame)
    if name is None:
        return f"{start}: none can be said."
    if name == LAMBDA_MIN.name:
        return f"{start}: λ_min itself."
    line = known.loc[(name, ACROSS)]
    more = "" if np.isnan(line["gain"]) else f", |ρ| less that of λ_min {gain_text(line)}"
    return f"{start}: {_lower(BY_NAME[name].title)}, ρ = {correlation_text(line)}{more}."


def _lower(title: str) -> str:
    return title[0].lower() + title[1:] if title[:1].isascii() else title


_SPECTRAL = set(QUANTITIES) | {f"step_size_{name}" for name in QUANTITIES}
