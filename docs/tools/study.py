"""Fills the answer of docs/reference/results.md from the rows of the declared study.

    python -m docs.tools.study RESULTS

docs/study.md declares the study; `make study` computes RESULTS. Every number and every verdict of
the answer comes from here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from docs.tools.pages import fill, write_csv
from ntk_sweep.analysis.chapters.speed.associations import Association, associate
from ntk_sweep.analysis.chapters.speed.candidates import LAMBDA_MIN, PRIMARY, SHARES
from ntk_sweep.analysis.chapters.speed.figures import curve_panel
from ntk_sweep.analysis.chapters.speed.tables import best_of, d_text, numbers, share_text
from ntk_sweep.analysis.drawing.rendering import render, style
from ntk_sweep.analysis.rows.study import Study, studies
from ntk_sweep.analysis.writing.entries import number, signed
from ntk_sweep.analysis.writing.tables import Table, markdown

DOCS = Path(__file__).parents[1]
PAGE = DOCS / "reference" / "results.md"
TABLES = DOCS / "reference" / "tables"

TASKS = ("easy pair", "hard pair", "random labels")
DATA = {"fashion_mnist": "Fashion-MNIST", "digits": "digits"}
EASY = {"fashion_mnist": (0, 9), "digits": (0, 9)}
"""Classes of the easy pairs, whose images also get the random labels."""

BULK = ("eta_lambda_50", "eta_lambda_100", "eta_lambda_150")


@dataclass(frozen=True)
class Condition:
    """A cell of the design, with the associations at each share.

    Attributes:
        data: Title of the images.
        task: One of `TASKS`.
        at: Share ↦ association.
    """

    data: str
    task: str
    at: dict[float, Association]

    @property
    def primary(self) -> Association:
        """At the primary endpoint."""
        return self.at[PRIMARY]

    @property
    def removed(self) -> bool:
        """Whether f₀ is removed."""
        return self.primary.runs.setting.centre_outputs

    @property
    def rate(self) -> str:
        """The step size in words."""
        return self.primary.runs.setting.rate

    def d(self, candidate: str, column: str = "d") -> float:
        """A number of a candidate; NaN where it is not known."""
        line = self.primary.of(candidate)
        return np.nan if line is None else float(line[column])


def conditions(results: str) -> list[Condition]:
    """All conditions of descent, in the order of the design."""
    found = []
    for study in studies(results):
        for runs in study.runs:
            at = {share: associate(runs, share) for share in SHARES}
            found.append(Condition(DATA[study.group.data], task_of(study), at))
    order = [*DATA.values()]
    return sorted(
        found,
        key=lambda one: (order.index(one.data), TASKS.index(one.task), one.rate, one.removed),
    )


def task_of(study: Study) -> str:
    """The task of a group: by its labels and classes."""
    group = study.group
    if group.labelling.labels == "random":
        return "random labels"
    return "easy pair" if group.classes == EASY[group.data] else "hard pair"


@dataclass(frozen=True)
class Hypothesis:
    """A hypothesis of docs/study.md.

    Attributes:
        text: In short.
        named: Which conditions it names.
        holds: Whether it holds in one.
        contrary: Whether its contrary holds; neither does where a number is not known.
    """

    text: str
    named: Callable[[Condition], bool]
    holds: Callable[[Condition], bool]
    contrary: Callable[[Condition], bool]


def hypotheses(every: Sequence[Condition]) -> list[Hypothesis]:
    """Those on descent, in their order; that on the flow stands in its chapter."""

    def removed(one: Condition) -> bool:
        return one.removed

    def drawn(one: Condition) -> bool:
        return not one.removed

    def always(one: Condition) -> bool:
        return True

    def easy(one: Condition) -> Condition:
        return _like(every, one, task="easy pair")

    def other(one: Condition) -> Condition:
        return _like(every, one, data=DATA["digits"])

    def folds(one: Condition) -> float:
        return one.primary.folds[1]

    return [
        Hypothesis(
            "1a. f₀ as drawn: D of η λ_min is not below 0",
            drawn,
            lambda one: one.d(LAMBDA_MIN, "high") >= 0,
            lambda one: one.d(LAMBDA_MIN, "high") < 0,
        ),
        Hypothesis(
            "1b. f₀ removed: D of η λ_min is below 0",
            removed,
            lambda one: one.d(LAMBDA_MIN, "high") < 0,
            lambda one: one.d(LAMBDA_MIN, "low") > 0,
        ),
        Hypothesis(
            "2. f₀ removed: one of η λ_50, η λ_100, η λ_150 has at least the |D| of η λ_min, "
            "which has more than η λ_1",
            removed,
            lambda one: bulk(one) >= abs(one.d(LAMBDA_MIN)) > abs(one.d("eta_lambda_max")),
            lambda one: bulk(one) < abs(one.d(LAMBDA_MIN)),
        ),
        Hypothesis(
            "3. no run lasts an e-fold of the mode of λ_min",
            always,
            lambda one: folds(one) < 1,
            lambda one: one.primary.folds[0] >= 1,
        ),
        Hypothesis(
            "4. f₀ removed: below 0 also given the covariates, and within activations",
            removed,
            lambda one: (
                one.d(LAMBDA_MIN, "partial_high") < 0 and one.d(LAMBDA_MIN, "within_high") < 0
            ),
            lambda one: one.d(LAMBDA_MIN, "partial_low") > 0 or one.d(LAMBDA_MIN, "within_low") > 0,
        ),
        Hypothesis(
            "5. the residual rate exceeds λ_min more than a hundredfold in the median",
            always,
            lambda one: looseness(one) > 100,
            lambda one: looseness(one) <= 100,
        ),
        Hypothesis(
            "6. f₀ removed: |D| of η λ_min is greater for random labels than for the easy pair",
            lambda one: one.removed and one.task == "random labels",
            lambda one: abs(one.d(LAMBDA_MIN)) > abs(easy(one).d(LAMBDA_MIN)),
            lambda one: abs(one.d(LAMBDA_MIN)) <= abs(easy(one).d(LAMBDA_MIN)),
        ),
        Hypothesis(
            "8. f₀ removed: D of η λ_min has one sign on Fashion-MNIST and digits",
            lambda one: one.removed and one.data == DATA["fashion_mnist"],
            lambda one: one.d(LAMBDA_MIN) * other(one).d(LAMBDA_MIN) > 0,
            lambda one: one.d(LAMBDA_MIN) * other(one).d(LAMBDA_MIN) <= 0,
        ),
    ]


def bulk(one: Condition) -> float:
    """The greatest |D| of `BULK`; NaN where none is known."""
    return float(np.abs([one.d(name) for name in BULK]).max())


def _like(every: Sequence[Condition], one: Condition, **changes: str) -> Condition:
    """The condition that differs from one in what is given."""
    wanted = {"data": one.data, "task": one.task} | changes
    (found,) = (
        other
        for other in every
        if (other.data, other.task) == (wanted["data"], wanted["task"])
        and (other.rate, other.removed) == (one.rate, one.removed)
    )
    return found


def looseness(one: Condition) -> float:
    """The median over runs of the residual rate in units of λ_min."""
    rows = one.primary.runs.rows
    known = rows[rows["lambda_min_resolved"].eq(True)]
    return float((known["residual_rate"] / known["lambda_min"]).median())


def verdict(one: Hypothesis, every: Sequence[Condition]) -> list[str | int]:
    """The line of a hypothesis: its counts, and what follows of them."""
    named = [condition for condition in every if one.named(condition)]
    holds = sum(map(one.holds, named))
    contrary = sum(map(one.contrary, named))
    found = "undecided"
    if named and holds == len(named):
        found = "confirmed"
    elif named and contrary == len(named):
        found = "refuted"
    return [one.text, len(named), holds, contrary, found]


def hypotheses_table(every: Sequence[Condition]) -> str:
    """The verdicts."""
    lines = [verdict(one, every) for one in hypotheses(every)]
    columns = ["Hypothesis", "conditions", "holds in", "contrary in", "verdict"]
    return markdown(Table("Hypotheses of the declared study", columns, lines))


def conditions_table(every: Sequence[Condition]) -> str:
    """D of η λ_min and what is best, in every condition."""
    lines = []
    for one in every:
        best, least = best_of(one.primary), one.primary.of(LAMBDA_MIN)
        lines.append(
            [
                one.data,
                one.task,
                one.rate,
                "removed" if one.removed else "as drawn",
                f"{one.primary.reaching} of {one.primary.networks}",
                "—" if least is None else d_text(least),
                "—" if best is None else f"{best['title']} {signed(best['d'])}",
                signed(one.primary.ceiling[0]),
                number(looseness(one), 2),
                number(one.primary.folds[1], 2),
            ]
        )
    columns = ["Images", "task", "η", "f₀", "stay below", "D of η λ_min", "greatest |D|"]
    columns += ["D of the prediction", "residual rate / λ_min", "e-folds of λ_min"]
    caption = f"Epochs to stay below {share_text(PRIMARY)}"
    return markdown(Table(caption, columns, lines))


def answer(every: Sequence[Condition]) -> str:
    """The paragraph, every number of which is counted here."""
    drawn = [one for one in every if not one.removed]
    removed = [one for one in every if one.removed]
    runs = sum(len(one.primary.runs.rows) for one in every)
    better = sum(bulk(one) >= abs(one.d(LAMBDA_MIN)) for one in removed)
    folds = max(one.primary.folds[1] for one in every)
    loose = [looseness(one) for one in every]
    level = share_text(PRIMARY)
    return (
        f"Of {runs:,} runs under {len(every)} conditions: with the initial function f₀ as drawn, "
        f"η λ_min has a D from {_range(drawn)} with the epochs to stay below {level}, below 0 by "
        f"its simultaneous interval in {_below(drawn)} of {len(drawn)} conditions. With f₀ removed "
        f"D goes from {_range(removed)}, below 0 in {_below(removed)} of {len(removed)}. λ_min is "
        f"not special: in {better} of {len(removed)} conditions with f₀ removed one of η λ_50, "
        f"η λ_100, η λ_150 has at least its |D|. No run lasts longer than {number(folds, 2)} "
        f"e-folds of the mode of λ_min; the residual decays at first {number(min(loose), 2)} to "
        f"{number(max(loose), 2)} times as fast as that mode (medians over networks), which is why "
        "a bound by λ_min is loose."
    )


def _range(some: Sequence[Condition]) -> str:
    values = [one.d(LAMBDA_MIN) for one in some]
    return f"{signed(np.nanmin(values))} to {signed(np.nanmax(values))}"


def _below(some: Sequence[Condition]) -> int:
    return sum(one.d(LAMBDA_MIN, "high") < 0 for one in some)


def figure(every: Sequence[Condition]) -> Figure:
    """D of η λ_k against k: tasks in rows, step sizes in columns."""
    rates = list(dict.fromkeys(one.rate for one in every))
    rows = list(dict.fromkeys((one.data, one.task) for one in every))
    with style():
        made = Figure(figsize=(7.0, 1.0 + 1.45 * len(rows)), layout="constrained")
        panels = made.subplots(len(rows), len(rates), squeeze=False, sharex=True, sharey=True)
        for line, row in zip(panels, rows, strict=True):
            for axes, rate in zip(line, rates, strict=True):
                own = [o for o in every if (o.data, o.task) == row and o.rate == rate]
                curve_panel(axes, [one.primary for one in own])
                axes.set_title(f"{row[0]}, {row[1]}; η = {rate}", fontsize=8)
        handles, labels = panels[0][0].get_legend_handles_labels()
        made.legend(handles, labels, loc="outside lower left", ncols=2, fontsize=8)
        made.supylabel(
            rf"Somers' D of $\eta\,\lambda_k$ with the epochs to {share_text(PRIMARY)}", fontsize=9
        )
        made.supxlabel("k, from the greatest eigenvalue to the smallest", fontsize=9)
        return made


def main(results: str) -> None:
    """Fills the page."""
    matplotlib.use("agg")
    every = conditions(results)
    target = DOCS / "figures" / "study-modes.png"
    target.write_bytes(render(figure(every), "png"))
    picture = f"![D of η λ_k against k, f₀ as drawn and removed](../figures/{target.name})"
    table = conditions_table(every).strip()
    write_csv(TABLES / "study-conditions.csv", table.split("\n\n")[1].splitlines())
    together = pd.concat(
        [numbers(list(one.at.values())).assign(data=one.data, task=one.task) for one in every]
    )
    together.to_csv(TABLES / "study-associations.csv", index=False, float_format="%.4g")
    parts = (answer(every), picture, hypotheses_table(every).strip(), table)
    fill(PAGE, "answer", "\n\n".join(parts))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
