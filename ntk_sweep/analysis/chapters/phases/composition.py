"""The chapter on order and chaos (docs/theory/criticality.md)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.phases.figures import (
    layer_figure,
    layer_text,
    plane_figure,
    plane_grids,
)
from ntk_sweep.analysis.chapters.phases.mean_field import known, lacks_a_part
from ntk_sweep.analysis.chapters.phases.numbers import (
    SCALES,
    is_plane,
    layers,
    measured,
    planes,
    together,
    trained,
)
from ntk_sweep.analysis.chapters.phases.tables import phase_table
from ntk_sweep.analysis.drawing import cell_grid
from ntk_sweep.analysis.rows.activations import activation_title, activations
from ntk_sweep.analysis.rows.columns import SPECTRUM, TRAINING
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, Missing, NamedFigure, NamedTable, Section

EXPERIMENT = "+experiment=phase_diagram"
"""What makes networks over the plane."""

LEAD = (
    "λ_min measured and of the infinite-width kernel in the same colours, λ_max, condition number "
    "and, where networks were trained, the change of the kernel, over the variances of weights and "
    "biases. The line is the critical line of mean-field theory: left of it is order, where inputs "
    "become alike with depth, right of it chaos, where they are torn apart. Cells are of one size; "
    "the line runs between their centres."
)

UNSTABLE = (
    " Of {} the line is drawn only where its fixed points attract: with small biases "
    "networks there are in no phase of their own, but depend on the norms of the inputs."
)


def _missing(study: Study, makes: Sequence[str]) -> Missing | None:
    """A plane."""
    if is_plane(study):
        return None
    group = study.group
    # The experiment is one of the parametrisation ntk, which the command leaves as it is.
    words = [*makes, *(["parametrisation=thesis"] if group.parametrisation == "thesis" else [])]
    command = group.command(*words, sweeps=SCALES)
    sentence = (
        "No networks differ in the scales of both weights and biases, which make the plane of "
        "order and chaos."
    )
    return Missing(sentence, command, f"{group.title}: {sentence} Make some with\n  {command}")


def _compose(study: Study) -> Content:
    group, runs = study.group, trained(study)
    tables = measured(study, runs)
    table = together(tables)
    factors = layers(table)
    figures = []
    for act, width in planes(study.cells()):
        depths, maps = plane_grids(tables, act, width)
        draw = partial(plane_figure, depths, maps, act, f"{group.title}, width {width}")
        deepest = " ".join(cell_grid.alt_text(grids[-1]) for grids in maps.values())
        alt = f"Depths {', '.join(map(str, depths))}; of the greatest: {deepest}"
        own = table[(table["act"] == act) & (table["width"] == width)]
        figures.append(NamedFigure(f"{CHAPTER.name}-{act}-width{width}", alt, draw, own))
    known_factors = factors.dropna(subset=["chi", "measured"])
    for width in sorted(known_factors["width"].unique()):
        own = factors[factors["width"] == width]
        draw = partial(layer_figure, own, f"{group.title}, width {width}")
        figures.append(
            NamedFigure(f"{CHAPTER.name}-layers-width{width}", layer_text(own), draw, own)
        )
    shown = phase_table(group, table, factors, runs)
    lead, acts = LEAD, activations(table["act"])
    if unstable := [activation_title(act) for act in acts if known(act) and lacks_a_part(act)]:
        lead += UNSTABLE.format(" and ".join(unstable))
    if not all(map(known, acts)):
        lead += " Nothing is known of the phases of the other activations."
    return Content(lead, [Section([NamedTable(CHAPTER.name, shown, table)], figures)])


def _across(**options: Any) -> Sequence[str]:
    return SCALES


CHAPTER = Chapter(
    name="phases",
    title="Order and chaos",
    compose=_compose,
    command=Command(
        "phases",
        "λ_min, λ_max, condition number and drift over the scales of weights and biases",
        "Prints what the phases have in common and writes phases-GROUP.csv, .md and .tex; for each "
        "activation and width phases-ACT-widthN-GROUP.png, .svg, .pdf and .csv, heat maps with the "
        "critical line of mean-field theory; and phases-layers-widthN-GROUP, the factor by which a "
        "layer multiplies λ_min against that theory's χ₁.",
        ("phases results", "phases results --parametrisation ntk -o figures"),
    ),
    need=_missing,
    makes=(EXPERIMENT,),
    tasks=(SPECTRUM, TRAINING),
    across=_across,
)
