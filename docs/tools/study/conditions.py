"""The conditions of the declared study: descent under each, and the flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.flow.numbers import ends, resolved
from ntk_sweep.analysis.chapters.speed.associations import Association, associate
from ntk_sweep.analysis.chapters.speed.candidates import LAMBDA_MIN, PRIMARY, SHARES
from ntk_sweep.analysis.rows.study import Study, studies

TASKS = ("easy pair", "hard pair", "random labels")
DATA = {"fashion_mnist": "Fashion-MNIST", "digits": "digits"}
EASY = {"fashion_mnist": (0, 9), "digits": (0, 9)}
"""Classes of the easy pairs, whose images also get the random labels."""

SECONDARY = 0.1
"""The share of L(0) that most networks come to stay below, whatever the task."""

BULK = ("eta_lambda_50", "eta_lambda_100", "eta_lambda_150")


@dataclass(frozen=True)
class Condition:
    """Descent under one condition, seen at one endpoint.

    Attributes:
        data: Title of the images.
        task: One of `TASKS`.
        shares: Share ↦ association.
        share: Which of them is spoken of.
    """

    data: str
    task: str
    shares: dict[float, Association]
    share: float = PRIMARY

    def at(self, share: float) -> Condition:
        """The same condition at another endpoint."""
        return replace(self, share=share)

    @property
    def found(self) -> Association:
        """The association at the endpoint."""
        return self.shares[self.share]

    @property
    def known(self) -> bool:
        """Whether enough networks come to stay below the share."""
        return bool(len(self.found.table))

    @property
    def removed(self) -> bool:
        """Whether f₀ is removed."""
        return self.found.runs.setting.centre_outputs

    @property
    def rate(self) -> str:
        """The step size in words."""
        return self.found.runs.setting.rate

    @property
    def e_folds(self) -> float:
        """Of the mode of λ_min, as many as the longest run lasts."""
        return self.found.folds[1]

    @property
    def bulk(self) -> float:
        """The greatest |D| of `BULK`; NaN where none is known."""
        return float(np.abs([self.d(name) for name in BULK]).max())

    @property
    def looseness(self) -> float:
        """The median over runs of the residual rate in units of λ_min."""
        rows = self.found.runs.rows
        known = rows[rows["lambda_min_resolved"].eq(True)]
        return float((known["residual_rate"] / known["lambda_min"]).median())

    def d(self, candidate: str = LAMBDA_MIN, column: str = "d") -> float:
        """A number of a candidate; NaN where it is not known."""
        line = self.found.of(candidate)
        return np.nan if line is None else float(line[column])


@dataclass(frozen=True)
class Flow:
    """The gradient flow under one condition.

    Attributes:
        data: Title of the images.
        task: One of `TASKS`.
        removed: Whether f₀ is removed.
        values: Where every run comes to (`ntk_sweep.analysis.chapters.flow.numbers.ends`).
    """

    data: str
    task: str
    removed: bool
    values: pd.DataFrame


def conditions(found: Sequence[Study]) -> list[Condition]:
    """All conditions of descent, in the order of the design."""
    every = [
        Condition(
            DATA[study.group.data],
            task_of(study),
            {share: associate(runs, share) for share in SHARES},
        )
        for study in found
        for runs in study.runs
    ]
    return sorted(every, key=lambda one: (*_place(one), one.rate, one.removed))


def flows(found: Sequence[Study]) -> list[Flow]:
    """The flow under all conditions; the tolerances of the activations are joined."""
    every = []
    for study in found:
        for removed in (False, True):
            own = [one for one in study.flows if one.setting.centre_outputs == removed]
            if own:
                values = pd.concat([ends(resolved(one)) for one in own], ignore_index=True)
                every.append(Flow(DATA[study.group.data], task_of(study), removed, values))
    return sorted(every, key=lambda one: (*_place(one), one.removed))


def declared(results: str) -> list[Study]:
    """The groups of the study's rows."""
    return [one for one in studies(results) if one.group.data in DATA]


def task_of(study: Study) -> str:
    """The task of a group: by its labels and classes."""
    group = study.group
    if group.labelling.labels == "random":
        return "random labels"
    return "easy pair" if group.classes == EASY[group.data] else "hard pair"


def like(
    every: Sequence[Condition], one: Condition, data: str | None = None, task: str | None = None
) -> Condition:
    """The condition that differs from one in what is given."""
    wanted = (data or one.data, task or one.task, one.rate, one.removed)
    (found,) = (
        other for other in every if (other.data, other.task, other.rate, other.removed) == wanted
    )
    return found


def _place(one: Condition | Flow) -> tuple[int, int]:
    return [*DATA.values()].index(one.data), TASKS.index(one.task)
