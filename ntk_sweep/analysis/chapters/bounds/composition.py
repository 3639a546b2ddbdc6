"""A run against the bounds that λ_min gives: Figure 11 of the thesis."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ntk_sweep.analysis.chapters.bounds.figures import alt_text, bound_figure
from ntk_sweep.analysis.chapters.bounds.numbers import bound_values, violations
from ntk_sweep.analysis.chapters.bounds.tables import violation_table
from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.needs import a_run
from ntk_sweep.analysis.chapters.run_choice import (
    Choice,
    add_arguments,
    best_network,
    chosen_runs,
    options,
)
from ntk_sweep.analysis.rows.activations import activation_title
from ntk_sweep.analysis.rows.columns import SPECTRUM, TRAINING
from ntk_sweep.analysis.rows.runs import SHOWN_NAMES, WINNERS, Runs, network_name, network_title
from ntk_sweep.analysis.rows.study import GRID, Study
from ntk_sweep.analysis.writing.content import Content, Missing, NamedFigure, NamedTable, Section

FIGURE_11 = "relu"
"""The activation of Figure 11, which shows its best network of Table 1."""

LEAD = (
    "The loss over epochs and the bounds that λ_min gives for it, both over the loss before "
    "training: medians over seeds, with a band or thin lines at the least and greatest. None of "
    "the bounds is a theorem for these networks."
)


def _compose(study: Study, choice: Choice = Choice()) -> Content:  # noqa: B008 # frozen
    """The network of Figure 11, or those of a choice."""
    if choice != Choice():
        return Content(LEAD, [_section(one, name) for one, name in chosen_runs(study, choice)])
    best = best_network(study, FIGURE_11)
    if best is None:
        title = activation_title(FIGURE_11)
        sentence = (
            f"Figure 11 shows the {title} network with the greatest mean λ_min, and there is no "
            f"{title} network with a resolved λ_min."
        )
        return Content(missing=_missing(study, sentence, (GRID,)))
    own = [one.of([best]) for one in study.runs if best in one.networks]
    # The column may hold None.
    resolved = [one for one in own if one.rows["lambda_min_resolved"].eq(True).any()]
    if resolved:
        return Content(LEAD, [_section(one, "") for one in resolved])
    sentence = (
        f"There is no run with a resolved λ_min of {network_title(best)}, the "
        f"{activation_title(FIGURE_11)} network with the greatest mean λ_min."
    )
    return Content(missing=_missing(study, sentence, CHAPTER.makes))


def _missing(study: Study, sentence: str, makes: Sequence[str]) -> Missing:
    """What is missing of Figure 11, and what makes it or may be drawn instead."""
    command = study.group.command(*makes)
    trained = list(dict.fromkeys(network_name(n) for one in study.runs for n in one.networks))
    listed = ", ".join(trained[:SHOWN_NAMES])
    more = f", … and {len(trained) - SHOWN_NAMES} more" if len(trained) > SHOWN_NAMES else ""
    message = (
        f"{study.group.title}: {sentence} Make it with\n  {command}\n"
        f"or choose of those that were trained, with --network:\n  {listed}{more}"
    )
    return Missing(sentence, command, message)


def _section(chosen: Runs, named: str) -> Section:
    """The table and the figure of some networks."""
    values = bound_values(chosen)
    title = f"{chosen.group.title}\n{chosen.setting.title}"
    stem = f"{named}-{chosen.setting.slug}"
    table = violation_table(chosen, values)
    draw = partial(bound_figure, chosen.light(), values, title)
    figure = NamedFigure(
        f"bounds{stem}", alt_text(values), draw, values, numbers_name=f"bounds-curves{stem}"
    )
    tables = [NamedTable(f"bounds{stem}", table, violations(values))]
    return Section(tables, [figure], chosen.setting.title)


CHAPTER = Chapter(
    name="bounds",
    title="Bounds from λ_min (Figure 11)",
    compose=_compose,
    command=Command(
        "bounds",
        "the loss of a network against the bounds that λ_min gives",
        "Prints whether and when the loss exceeds each bound, and writes bounds-… (the curves as "
        "bounds-curves-….csv): the bound of gradient flow, that of Du et al. in steps, and the one "
        "that the thesis draws, in epochs. Without a choice: the ReLU network with the "
        "greatest mean λ_min in RESULTS/spectrum, Figure 11 of the thesis.",
        ("bounds results", "bounds results --best", "bounds results --network sigmoid-300x8"),
        add_arguments,
        options,
    ),
    need=a_run,
    makes=(WINNERS, "seed=range(0,5)"),
    tasks=(TRAINING, SPECTRUM),
)
