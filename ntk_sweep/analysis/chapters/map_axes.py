"""What heat maps lie over: two coordinates, and a map for each value of the others."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ntk_sweep.analysis.drawing.cell_grid import SHOWN
from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows.coordinates import ACROSS, AXES, text, values
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.store.columns import CELL


@dataclass(frozen=True)
class MapAxes:
    """What heat maps lie over.

    Attributes:
        x: The coordinate along the horizontal axis.
        y: The one along the vertical axis.
        width: The only width that is shown; None for all.
        depth: Likewise.

    Raises:
        AnalysisError: Both coordinates are the same.
    """

    x: str = SHOWN[0]
    y: str = SHOWN[1]
    width: int | None = None
    depth: int | None = None

    def __post_init__(self) -> None:
        if self.x == self.y:
            raise AnalysisError(
                f"--x and --y are both {self.x}, but a heat map lies over two coordinates: choose "
                f"another one of {', '.join(AXES)}"
            )

    @property
    def both(self) -> tuple[str, str]:
        """The two coordinates."""
        return self.x, self.y

    @property
    def across(self) -> tuple[str, ...]:
        """Those in which groups differ."""
        return tuple(name for name in ACROSS if name in self.both)

    @property
    def slug(self) -> str:
        """The coordinates as part of a file name; nothing for those of the thesis."""
        return "" if self.both == SHOWN else f"-{self.x}-{self.y}"


THESIS = MapAxes()


@dataclass(frozen=True)
class Place:
    """Where in the other coordinates a heat map lies.

    Attributes:
        at: The coordinates that it does not show, with their values.
    """

    at: dict[str, float | int]

    def of(self, cells: pd.DataFrame) -> pd.DataFrame:
        """The cells of the map."""
        for name, value in self.at.items():
            cells = cells[cells[name] == value]
        return cells

    @property
    def slug(self) -> str:
        """As part of a file name."""
        return "".join(f"-{name}{text(value)}" for name, value in self.at.items())

    @property
    def words(self) -> str:
        """Behind the group's title."""
        return "".join(f", {name} {text(value)}" for name, value in self.at.items())


def places(cells: pd.DataFrame, axes: MapAxes) -> Iterator[tuple[Place, pd.DataFrame]]:
    """Every heat map's place, and its cells; a single one over width and depth.

    Args:
        cells: The frame of `ntk_sweep.analysis.rows.cells.cells`.
        axes: What the maps lie over.
    """
    others = [name for name in AXES if name in cells and name not in axes.both]
    known = cells[others].drop_duplicates().sort_values(others) if others else pd.DataFrame([{}])
    for line in known.to_dict("records"):
        place = Place({str(name): value for name, value in line.items()})
        yield place, place.of(cells)


def chosen(cells: pd.DataFrame, axes: MapAxes, study: Study) -> pd.DataFrame:
    """The cells of the width and depth that were asked for.

    Raises:
        AnalysisError: There is none.
    """
    for name in SHOWN:
        wanted = getattr(axes, name)
        if wanted is None:
            continue
        known = values(cells[name])
        cells = cells[cells[name] == wanted]
        if cells.empty:
            there = ", ".join(map(str, known))
            others = [f"{one}={_listed(study, one)}" for one in CELL if one != name]
            command = study.group.command("-m", *others, f"{name}={wanted}")
            raise AnalysisError(
                f"{study.group.title}: no network has {name} {wanted}; there are {there}. Make "
                f"such with\n  {command}"
            )
    return cells


def _listed(study: Study, name: str) -> str:
    return ",".join(map(str, sorted(study.group.rows[name].unique())))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that choose the coordinates."""
    axes = parser.add_argument_group(
        "what the maps lie over",
        "There is a map for each value of width or depth that is neither on an axis nor chosen.",
    )
    for name, default in zip("xy", SHOWN, strict=True):
        text = f"coordinate along the {name} axis: {', '.join(AXES)} (default: {default})"
        axes.add_argument(f"--{name}", metavar="NAME", choices=AXES, default=default, help=text)
    for name in SHOWN:
        axes.add_argument(f"--{name}", metavar="N", type=int, help=f"only this {name}")


def options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was chosen.

    Raises:
        AnalysisError: Both coordinates are the same.
    """
    return {"axes": MapAxes(arguments.x, arguments.y, arguments.width, arguments.depth)}


def across(axes: MapAxes = THESIS, **others: Any) -> Sequence[str]:
    """The coordinates in which the groups of a map may differ."""
    return axes.across
