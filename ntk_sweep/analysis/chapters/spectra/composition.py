"""The chapter on all eigenvalues of a kernel: Figures 2 and 4 of the thesis."""

from __future__ import annotations

from functools import partial

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.selection import (
    EXEMPLARS,
    add_arguments,
    options,
    selection_missing,
)
from ntk_sweep.analysis.chapters.spectra.figures import alt_text, spectrum_figure
from ntk_sweep.analysis.chapters.spectra.numbers import comparison, spectrum
from ntk_sweep.analysis.chapters.spectra.tables import comparison_table
from ntk_sweep.analysis.rows.inputs import affine_rank
from ntk_sweep.analysis.rows.networks import (
    KERNELS,
    Selection,
    label,
    of_thesis,
    select,
    stem,
    with_spectrum,
)
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, NamedFigure, NamedTable, Section

LEAD = (
    "All eigenvalues of Θ. Below their error bound (grey) eigenvalues may be rounding noise, "
    "and only upper bounds are shown. The dashed line is an exponential decay, fitted by least "
    "squares to the logarithms from the second eigenvalue on; R² says how much of their variance "
    "it explains. A dotted line marks the rank of the centred inputs plus 1, the dimension of the "
    "functions that are affine in the inputs, where that is below N and the inputs are found."
)


def _compose(study: Study, wanted: Selection = EXEMPLARS) -> Content:
    group = study.group
    complete = with_spectrum(group.ok)
    chosen = select(complete, wanted)
    rank = affine_rank(group, study.images) if len(chosen) else None
    figures = []
    for _, row in chosen.iterrows():
        points = spectrum(row["eigenvalues"], row["eigenvalue_errors"])
        draw = partial(spectrum_figure, points, f"{label(row)}\n{group.title}", rank)
        alt = alt_text(points, label(row), rank)
        figures.append(NamedFigure(f"spectrum-{stem(row)}", alt, draw, points))
    tables = []
    if wanted == EXEMPLARS or len(of_thesis(chosen)):
        table = comparison_table(group, study.cells())
        if table.rows:
            tables.append(NamedTable("networks", table, comparison(group, study.cells())))
    absent = selection_missing(study, wanted, "spectrum", complete)
    return Content(LEAD if figures else "", [Section(tables, figures)], absent)


CHAPTER = Chapter(
    name="spectra",
    title="Spectra (Figures 2 and 4)",
    compose=_compose,
    command=Command(
        "spectrum",
        "all eigenvalues of single networks on a logarithmic axis",
        "Writes spectrum-NETWORK-GROUP.png, .svg, .pdf and .csv. Without a choice: the two "
        "networks of Figures 1 to 4 of the thesis, for which it also writes networks-GROUP.csv, "
        ".md and .tex, their λ_min beside the thesis's values.",
        ("spectrum results", "spectrum results --act relu --width 800 --depth 3"),
        add_arguments,
        options,
    ),
    makes=(KERNELS,),
)
