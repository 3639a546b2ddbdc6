"""The hypotheses of docs/study.md, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from docs.tools.study.conditions import DATA, SECONDARY, Condition, Flow, like
from ntk_sweep.analysis.chapters.flow.numbers import all_seeds
from ntk_sweep.analysis.chapters.speed.associations import LEAST_REACHING
from ntk_sweep.analysis.chapters.speed.candidates import LAMBDA_MIN, PRIMARY
from ntk_sweep.analysis.chapters.speed.tables import share_text
from ntk_sweep.analysis.writing.tables import Table, markdown

Test = Callable[[Condition], bool]


@dataclass(frozen=True)
class Hypothesis:
    """A hypothesis under each condition that it names.

    Attributes:
        text: In short.
        holds: Whether it holds.
        contrary: Whether its contrary does. Neither does where a number is not known.
    """

    text: str
    holds: Sequence[bool]
    contrary: Sequence[bool]

    @property
    def verdict(self) -> str:
        """What follows of the counts."""
        if self.holds and all(self.holds):
            return "confirmed"
        return "refuted" if self.contrary and all(self.contrary) else "undecided"


def hypotheses(every: Sequence[Condition], flows: Sequence[Flow]) -> list[Hypothesis]:
    """All of them, in their order."""
    removed = [one for one in every if one.removed]
    drawn = [one for one in every if not one.removed]
    return [
        *_initial_function(drawn, removed),
        _over(
            "2. f₀ removed: one of η λ_50, η λ_100, η λ_150 has at least the |D| of η λ_min, "
            "which has more than η λ_1",
            removed,
            lambda one: one.bulk >= abs(one.d()) > abs(one.d("eta_lambda_max")),
            lambda one: one.bulk < abs(one.d()),
        ),
        _over(
            "3. no run lasts an e-fold of the mode of λ_min",
            every,
            lambda one: one.e_folds < 1,
            lambda one: one.e_folds >= 1,
        ),
        _over(
            "4. f₀ removed: D of η λ_min is below 0 also given the covariates, and within "
            "activations",
            removed,
            lambda one: one.d(column="partial_high") < 0 and one.d(column="within_high") < 0,
            lambda one: one.d(column="partial_low") > 0 or one.d(column="within_low") > 0,
        ),
        _over(
            "5. the residual rate exceeds λ_min more than a hundredfold in the median",
            every,
            lambda one: one.looseness > 100,
            lambda one: one.looseness <= 100,
        ),
        *_tasks(removed),
        _flow(flows),
        *_images(removed),
    ]


def _over(text: str, named: Sequence[Condition], holds: Test, contrary: Test) -> Hypothesis:
    return Hypothesis(text, [*map(holds, named)], [*map(contrary, named)])


def _initial_function(
    drawn: Sequence[Condition], removed: Sequence[Condition]
) -> tuple[Hypothesis, Hypothesis]:
    return (
        _over(
            "1a. f₀ as drawn: D of η λ_min is not below 0",
            drawn,
            lambda one: one.d(LAMBDA_MIN, "high") >= 0,
            lambda one: one.d(LAMBDA_MIN, "high") < 0,
        ),
        _over(
            "1b. f₀ removed: D of η λ_min is below 0",
            removed,
            lambda one: one.d(LAMBDA_MIN, "high") < 0,
            lambda one: one.d(LAMBDA_MIN, "low") > 0,
        ),
    )


def _tasks(removed: Sequence[Condition]) -> list[Hypothesis]:
    named = [one for one in removed if one.task == "random labels"]
    easy = [like(removed, one, task="easy pair") for one in named]
    more = [abs(one.d()) > abs(other.d()) for one, other in zip(named, easy, strict=True)]
    less = [abs(one.d()) <= abs(other.d()) for one, other in zip(named, easy, strict=True)]
    text = "6. f₀ removed: |D| of η λ_min is greater for random labels than for the easy pair"
    return [Hypothesis(text, more, less)]


def _images(removed: Sequence[Condition]) -> list[Hypothesis]:
    named = [one for one in removed if one.data == DATA["fashion_mnist"]]
    products = [one.d() * like(removed, one, data=DATA["digits"]).d() for one in named]
    text = "8. f₀ removed: D of η λ_min has one sign on Fashion-MNIST and digits"
    return [Hypothesis(text, [one > 0 for one in products], [one <= 0 for one in products])]


def _flow(flows: Sequence[Flow]) -> Hypothesis:
    near = [all_seeds(one.values, one.values["onset"] > 0) for one in flows]
    return Hypothesis(
        "7. the local rate of the flow comes within a factor 2 of 4 λ_min/N, in all networks",
        [bool(one.all()) for one in near],
        [not one.all() for one in near],
    )


def hypotheses_table(every: Sequence[Condition], flows: Sequence[Flow]) -> str:
    """The verdicts by the primary endpoint, and the counts at the first secondary one."""
    first = hypotheses(every, flows)
    second = hypotheses([one.at(SECONDARY) for one in every], flows)
    lines: list[list[str | int]] = [
        [
            one.text,
            one.verdict,
            len(one.holds),
            *(sum(one.holds), sum(one.contrary)),
            *(sum(other.holds), sum(other.contrary)),
        ]
        for one, other in zip(first, second, strict=True)
    ]
    columns = ["Hypothesis", "verdict", "conditions", "holds in", "contrary in"]
    columns += [f"at {share_text(SECONDARY)}: holds in", "contrary in"]
    notes = [
        f"Verdicts by {share_text(PRIMARY)}. Conditions in which fewer than {LEAST_REACHING} "
        "networks stay below the share count on neither side."
    ]
    caption = "Hypotheses of the declared study"
    return markdown(Table(caption, columns, lines, notes))
