"""Which tables and which figure the page has."""

from __future__ import annotations

from collections.abc import Callable

from docs.tools.published import cube, dispersion, edge, knee, laws, phases
from ntk_sweep.analysis.drawing.rendering import render

PARTS: tuple[dict[str, Callable[[], str]], ...] = (
    {
        "second_moment": dispersion.second_moment_table,
        "trace": dispersion.trace_table,  # takes its draws from the table above
    },
    {"products": dispersion.products_table},
    {"distances": laws.distances_table},
    {"knee": knee.knee_table},
    {"dispersion_phases": dispersion.phases_table, "infinite": dispersion.infinite_table},
    {"edge_smooth": edge.smooth_table},
    {"edge_relu": edge.relu_table},
    {"cube_values": cube.values_table, "cube": cube.settings_table},
    {
        "fixed_points": phases.fixed_points_table,
        "ordered": phases.ordered_table,
        "kink": phases.kink_table,
        "chaotic": phases.chaotic_table,
    },
)
"""Places of the page ↦ tables; the longest first, tables of one process together."""


def tables(place: int) -> dict[str, str]:
    """The tables of a part."""
    return {name: make() for name, make in PARTS[place].items()}


def picture() -> bytes:
    """The figure as PNG."""
    return render(laws.figure(), "png")
