"""What chapters need of a study before they can be composed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ntk_sweep.analysis.rows.failures import commonest_reason
from ntk_sweep.analysis.rows.study import GRID, Study
from ntk_sweep.analysis.writing.content import Missing

Need = Callable[[Study, Sequence[str]], Missing | None]
"""From a study, and the words of ``ntk-sweep run`` that make its rows, to what is missing."""

SEEDS = (GRID, "seed=range(0,5)")
"""What adds seeds to the networks of the thesis's heat maps."""

NOTHING_RESOLVED = "There is no cell with a resolved λ_min."


def nothing(study: Study, makes: Sequence[str]) -> Missing | None:
    """No row at all: what is missing is said in the content."""
    return None


def a_result(study: Study, makes: Sequence[str]) -> Missing | None:
    """A network with a result."""
    sentence = "There is no network with a result."
    return None if len(study.group.ok) else _without_result(study, sentence, makes)


def a_resolved_cell(study: Study, makes: Sequence[str]) -> Missing | None:
    """A cell whose λ_min exceeds its error bound for every seed."""
    if study.cells()["resolved"].any():
        return None
    if not len(study.group.ok):
        return _without_result(study, NOTHING_RESOLVED, makes)
    return missing(study, NOTHING_RESOLVED, makes)


def several_seeds(study: Study, makes: Sequence[str]) -> Missing | None:
    """A cell with a resolved λ_min of several seeds."""
    cells = study.cells()
    known = cells[cells["resolved"]]
    if known.empty:
        return a_resolved_cell(study, makes)
    if known["seeds"].max() < 2:
        sentence = (
            "Every cell holds one seed: each value is a single random draw, and nothing is known "
            "of how far another draw would lie from it. No interval and no probability on this "
            "page can be better than that."
        )
        return missing(study, sentence, makes)
    return None


def a_run(study: Study, makes: Sequence[str]) -> Missing | None:
    """A run of stochastic gradient descent with a history."""
    if study.training is None:
        return missing(study, "There is no training run.", makes)
    if study.flows and not study.runs:
        sentence = "There is no run of stochastic gradient descent, only of the gradient flow."
        return missing(study, sentence, makes)
    if study.runs:
        return None
    count, command = len(study.training.rows), study.group.command(*makes)
    return Missing(
        f"None of the {count} training runs has a result.",
        command,
        f"none of the {count} runs of {study.group.title} has a result; the column `error` of "
        f"their rows says why. Try them again with\n  {command}",
    )


def missing(study: Study, sentence: str, makes: Sequence[str]) -> Missing:
    """What is missing of a study, and what makes it."""
    command = study.group.command(*makes)
    message = f"{study.group.title}: {sentence} Make more with\n  {command}"
    return Missing(sentence, command, message)


def _without_result(study: Study, sentence: str, makes: Sequence[str]) -> Missing:
    """As `missing`, where no network has a result: also why most have none."""
    group, command = study.group, study.group.command(*makes)
    if not len(group.rows):
        return missing(study, sentence, makes)
    message = (
        f"none of the {len(group.rows)} points of {group.title} has a result, most often because "
        f"of\n  {commonest_reason(group.rows)}\n"
        f"Amend that, then try them again with\n  {command}"
    )
    return Missing(sentence, command, message)
