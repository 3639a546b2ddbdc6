"""The fitted slopes as a table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ntk_sweep.analysis.rows.activations import activation_title, activations
from ntk_sweep.analysis.rows.columns import LINE
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.writing.entries import Entry, signed
from ntk_sweep.analysis.writing.tables import Table


def slope_table(group: Group, fits: pd.DataFrame) -> Table:
    """The slopes to be read, a row a depth and a column an activation."""
    acts = activations(fits["act"])
    known = fits.set_index(LINE)
    rows: list[list[Entry]] = []
    for depth in sorted(fits["depth"].unique()):
        entries = [
            slope_text(known.loc[(act, depth)]) if (act, depth) in known.index else "—"
            for act in acts
        ]
        rows.append([int(depth), *entries])
    widths = f"{fits['narrowest'].min()} to {fits['widest'].max()}"
    few, many = fits["seeds"].min(), fits["seeds"].max()
    seeds = f"{few} seed{'s' if few > 1 else ''}" if few == many else f"{few} to {many} seeds"
    notes = [
        "Slope of log(mean over seeds of the distance ‖Θ - Θ̄‖ / ‖Θ̄‖) over log(width) ± half of "
        f"its 95 % interval, by least squares over widths {widths}, {seeds} at each; a distance of "
        "order 1/√width has slope -0.5."
    ]
    caption = f"Convergence with width: fitted slopes by depth and activation ({group.title})"
    return Table(caption, ["Depth", *map(activation_title, acts)], rows, notes)


def slope_text(fit: pd.Series) -> str:
    """A slope with half of its interval, as far as they are known."""
    if np.isnan(fit["slope"]):
        return "—"
    return signed(fit["slope"]) + (
        "" if np.isnan(fit["half_width"]) else f" ± {fit['half_width']:.2f}"
    )
