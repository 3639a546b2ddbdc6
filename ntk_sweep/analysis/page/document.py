"""The page as HTML: what its parts hold, and what it is opened with."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from ntk_sweep.analysis.page.explorer import colour_maps
from ntk_sweep.analysis.page.model import PageComparison, PageGroup
from ntk_sweep.analysis.page.packing import Packer, as_text, compressed
from ntk_sweep.analysis.page.pictures import slimmed
from ntk_sweep.analysis.rows.thesis import CITATION
from ntk_sweep.analysis.writing.mathematics import html_text

SCRIPTS = ("data.js", "figures.js", "theme.js", "start.js")
"""What a page is opened with, in the order in which they need one another."""

HELD_SCRIPTS = (
    "state.js",
    "maps.js",
    "spectra.js",
    "kernels.js",
    "detail.js",
    "compared.js",
    "linked.js",
    "explorer.js",
    "drift.js",
    "rows.js",
    "table.js",
    "canvas.js",
    "scatter.js",
    "parallel.js",
    "workbench.js",
)
"""What it holds compressed, likewise."""


@dataclass
class Contents:
    """What the sections of a page put into its blocks: numbers, and figures.

    Attributes:
        numbers: Takes numbers.
        figures: Those drawn, for the page.
    """

    numbers: Packer = field(default_factory=Packer)
    figures: list[bytes] = field(default_factory=list)

    @cached_property
    def packed(self) -> str:
        """The block of numbers; there are no further ones."""
        return self.numbers.text()

    def prepare(self) -> None:
        """Makes all of the page that waits for no figure."""
        _ = self.packed, _template(), _script(), _library()

    def draw(self, svg: bytes) -> tuple[int, int]:
        """Adds a figure, and returns its first byte and its length."""
        figure = slimmed(svg)
        self.figures.append(figure)
        return sum(map(len, self.figures[:-1])), len(figure)


def page(
    groups: Sequence[PageGroup],
    held: Contents,
    date: str = "",
    comparisons: Sequence[PageComparison] = (),
) -> str:
    """The page as HTML; everything that is printed is escaped."""
    data = {
        "colours": colour_maps(),
        "groups": [group.data for group in groups],
        "drifts": [group.drifts for group in groups],
        "rows": [group.rows for group in groups],
        "compared": [one.rows for one in comparisons],
    }
    # A name in a row may hold "</script>".
    header = json.dumps(data, ensure_ascii=True, sort_keys=True).replace("<", "\\u003c")
    library, library_name = _library()
    text = _template().render(
        groups=groups,
        comparisons=comparisons,
        citation=CITATION,
        date=date,
        style=Markup(_read("report.css")),
        opening=Markup("\n".join(map(_read, SCRIPTS))),
        script=Markup(_script()),
        header=Markup(header),
        numbers=Markup(held.packed),
        figures=Markup(compressed(b"".join(held.figures))),
        library=Markup(library),
        library_name=library_name,
    )
    return text + "\n"


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["symbols"] = html_text
    return environment.from_string(_read("report.html"))


@cache
def _script() -> str:
    """What the page holds compressed."""
    return compressed("\n".join(['"use strict";', *map(_read, HELD_SCRIPTS)]).encode())


@cache
def _library() -> tuple[str, str]:
    """The plotting library, compressed, and its name and version as it calls itself."""
    raw = _templates().joinpath("plotly-cartesian.min.js.gz").read_bytes()
    named = re.search(rb"plotly\.js [^\n]*v([\d.]+)", gzip.decompress(raw)[:300])
    return as_text(raw), f"plotly.js {named[1].decode()}" if named else "plotly.js"


def _read(name: str) -> str:
    return _templates().joinpath(name).read_text(encoding="utf-8")


def _templates() -> Traversable:
    """The folder of what the page is made of."""
    return files("ntk_sweep.analysis.page").joinpath("templates")
