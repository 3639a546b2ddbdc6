"""The chapters in their order: on the page, and on the command line."""

from __future__ import annotations

from ntk_sweep.analysis.chapters import (
    best_cell_probabilities,
    diagnostics,
    heatmaps,
    inputs,
    kernels,
    prediction,
    spread,
    summary,
    table1,
    training,
)
from ntk_sweep.analysis.chapters.bounds import composition as bounds
from ntk_sweep.analysis.chapters.chapter import Chapter
from ntk_sweep.analysis.chapters.convergence import composition as convergence
from ntk_sweep.analysis.chapters.drift import composition as drift
from ntk_sweep.analysis.chapters.flow import composition as flow
from ntk_sweep.analysis.chapters.generalisation import composition as generalisation
from ntk_sweep.analysis.chapters.phases import composition as phases
from ntk_sweep.analysis.chapters.scaling import composition as scaling
from ntk_sweep.analysis.chapters.spectra import composition as spectra
from ntk_sweep.analysis.chapters.speed import composition as speed

CHAPTERS: tuple[Chapter, ...] = (
    summary.CHAPTER,
    inputs.CHAPTER,
    table1.CHAPTER,
    best_cell_probabilities.CHAPTER,
    heatmaps.CHAPTER,
    prediction.CHAPTER,
    spread.CHAPTER,
    convergence.CHAPTER,
    scaling.CHAPTER,
    phases.CHAPTER,
    kernels.CHAPTER,
    spectra.CHAPTER,
    diagnostics.CHAPTER,
    training.CHAPTER,
    bounds.CHAPTER,
    generalisation.CHAPTER,
    flow.CHAPTER,
    drift.CHAPTER,
    speed.CHAPTER,
)
"""One more chapter is one more file, and its line here."""
