"""A claim of the thesis and what the rows say of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ntk_sweep.analysis.writing.tables import Table, markdown

CONFIRMED, REFUTED, UNDECIDED = "confirmed", "refuted", "undecided"


@dataclass(frozen=True)
class Claim:
    """A claim.

    Attributes:
        where: Table, figure or part of the thesis.
        text: The claim in short.
        verdict: `CONFIRMED`, `REFUTED` or `UNDECIDED`.
        numbers: What was found, in words.
    """

    where: str
    text: str
    verdict: str
    numbers: str


def verdict(confirmed: bool, refuted: bool | None = None) -> str:
    """The verdict.

    Args:
        confirmed: Whether the numbers bear the claim out.
        refuted: Whether they contradict it; None for whether they do not bear it out.
    """
    if confirmed:
        return CONFIRMED
    return REFUTED if refuted is None or refuted else UNDECIDED


def claims_table(every: Sequence[Claim]) -> str:
    """The claims as a table."""
    lines: list[list[str | int]] = [
        [one.where, one.text, one.verdict, one.numbers] for one in every
    ]
    columns = ["Where", "claim", "verdict", "found"]
    return markdown(Table("Claims of the thesis", columns, lines))
