"""The declaration of a chapter: all that the command line, the files and the page need of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ntk_sweep.analysis.chapters.needs import Need, nothing
from ntk_sweep.analysis.rows.columns import SPECTRUM
from ntk_sweep.analysis.rows.study import GRID, Study
from ntk_sweep.analysis.writing.content import Content


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds no arguments."""


def _across_nothing(**options: Any) -> Sequence[str]:
    return ()


def _no_options(arguments: argparse.Namespace) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Command:
    """A command of ``ntk-sweep``.

    Attributes:
        name: As typed.
        title: In the list of commands.
        text: What it prints and writes, for ``--help``.
        examples: Command lines, behind ``ntk-sweep``.
        add_arguments: Adds its own options to its parser.
        options: From the parsed ones the keyword arguments of `Chapter.compose`.
        draws: Whether it makes figures; without, it does not load what draws them.
    """

    name: str
    title: str
    text: str
    examples: Sequence[str]
    add_arguments: Callable[[argparse.ArgumentParser], None] = _no_arguments
    options: Callable[[argparse.Namespace], dict[str, Any]] = _no_options
    draws: bool = True


@dataclass(frozen=True)
class Chapter:
    """A chapter of the analysis.

    Attributes:
        name: Its anchor on the page, before the group's name.
        title: Its heading on the page.
        compose: From a study its content. The page takes the defaults of its keyword arguments,
            the command line what was typed.
        command: On the command line; None where it stands on the page only.
        need: What must be there before it can be composed.
        makes: The words of ``ntk-sweep run`` that make its rows; none where rows of any task do.
        tasks: Whose rows it reads; without a row of the first there is nothing to show.
        section: The chapter whose section of the page holds it; empty for one of its own.
        across: From the keyword arguments of `compose` the coordinates in which the studies that it
            shows as one may differ (`ntk_sweep.analysis.rows.study.put_together`).
    """

    name: str
    title: str
    compose: Callable[..., Content]
    command: Command | None = None
    need: Need = nothing
    makes: Sequence[str] = (GRID,)
    tasks: Sequence[str] = (SPECTRUM,)
    section: str = ""
    across: Callable[..., Sequence[str]] = _across_nothing

    def content(self, study: Study, **options: Any) -> Content:
        """Its content of a study, or what is missing for it.

        Args:
            study: The rows.
            options: Of the command line; none on the page.

        Raises:
            AnalysisError: What the options ask for is not there.
        """
        missing = self.need(study, self.makes)
        return Content(missing=missing) if missing else self.compose(study, **options)
