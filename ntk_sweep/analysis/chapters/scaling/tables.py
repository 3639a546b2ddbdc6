"""The tables of measured slopes beside those of the laws, and what the laws say of the inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.scaling.laws import MOST_DEGREE, Inputs, deep_factor, exponent
from ntk_sweep.analysis.drawing.axes import spread
from ntk_sweep.analysis.rows.activations import activation_title
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.statistics.bootstrap import LEVEL
from ntk_sweep.analysis.statistics.resampling import RESAMPLES
from ntk_sweep.analysis.writing.entries import Entry, number, signed
from ntk_sweep.analysis.writing.tables import Table

SHOWN_WIDTHS = 3
"""Widths of each activation in the table over depth; the CSV has all."""

RESAMPLED = (
    f"In brackets the {100 * LEVEL:.0f} % interval of {RESAMPLES} bootstrap resamples of the seeds "
    "within each cell; none for one seed. Cells with an unresolved λ_min are left out."
)

LIMITS = (
    "The law is what the slope of the infinite-width kernel tends to as the width grows; where the "
    "two differ, these widths are not great enough for it. A measured slope that differs from that "
    "of the infinite-width kernel by more than its interval is one of networks that are far from "
    "their limit: of an activation with a kink only units that switch sign on the inputs tell them "
    "apart."
)


def width_table(group: Group, fits: pd.DataFrame) -> Table:
    """Exponents of the width, a row for each activation and depth."""
    rows: list[list[Entry]] = [
        [
            activation_title(fit["act"]),
            fit["depth"],
            f"{fit['first']} to {fit['last']}",
            fit["seeds"],
            _interval(fit, signed),
            _known(fit["limit_slope"], signed),
            _known(fit["law"], signed),
        ]
        for fit in fits.to_dict("records")
    ]
    columns = ["Activation", "depth", "widths", "seeds", "measured", "infinite width", "law"]
    notes = [f"Slope of log λ_min over log width, by least squares. {RESAMPLED}", LIMITS]
    return Table(f"Powers of the width ({group.title})", columns, rows, notes)


def depth_table(group: Group, fits: pd.DataFrame) -> Table:
    """Factors by which one more layer multiplies λ_min, a row for each activation and width."""
    shown = {act: spread(sorted(own["width"]), SHOWN_WIDTHS) for act, own in fits.groupby("act")}
    rows: list[list[Entry]] = [
        [
            activation_title(fit["act"]),
            fit["width"],
            f"{fit['first']} to {fit['last']}",
            fit["seeds"],
            _interval(fit, _factor),
            *(_known(fit[name], _factor) for name in ("limit_slope", "law")),
            _known(np.log(deep_factor(fit["act"])), _factor),
        ]
        for fit in fits.to_dict("records")
        if fit["width"] in shown[fit["act"]]
    ]
    columns = ["Activation", "width", "depths", "seeds", "measured", "infinite width", "law"]
    notes = [
        "What one more layer multiplies λ_min by: from the slope of log λ_min over depth, by least "
        f"squares. {RESAMPLED} The law is fitted to the same depths where it is known at each; the "
        "last column is what the factor tends to deep in a network."
    ]
    caption = f"Factors of a layer ({group.title})"
    return Table(caption, [*columns, "law, deep"], rows, notes)


def case_text(group: Group, inputs: Inputs, acts: list[str]) -> str:
    """Which law applies to the group's inputs, in sentences."""
    if group.parametrisation == "ntk":
        return (
            "Under ntk the infinite-width kernel does not depend on the width, so that every slope "
            "of it is 0."
        )
    if group.scales:
        return f"No law is known for the parametrisation {group.scaling}."
    if group.parametrisation == "standard":
        return (
            "Under standard λ_min of the infinite-width kernel grows like the width once the terms "
            "of the first layer, which do not grow, are small beside the others (Nguyen et al. "
            "2021); at small widths its slope is below 1."
        )
    if group.parametrisation != "thesis":
        return f"No law is known for the parametrisation {group.parametrisation}."
    return f"{_inputs_text(group, inputs)} {_predictions(inputs, acts)}".strip()


def _inputs_text(group: Group, inputs: Inputs) -> str:
    count = group.n_samples
    if inputs.reason:
        known = (
            f"The inputs are assumed to be in general position, since their ranks are not known "
            f"({inputs.reason}): polynomials of degree "
            f"{inputs.degree or f'above {MOST_DEGREE}'} take any values on them."
        )
    elif inputs.degree is None:
        return (
            f"No polynomial up to degree {MOST_DEGREE} tells all {count} inputs apart (the rank of "
            f"[x, 1] is {inputs.rank}): some are equal or nearly so, and λ_min of smooth "
            "activations is below rounding in wide networks."
        )
    elif inputs.degree == 1:
        known = (
            f"The {count} inputs are affinely independent (the rank of [x, 1] is {inputs.rank}): "
            "polynomials of degree 1 take any values on them."
        )
    else:
        known = (
            f"The rank of [x, 1] is {inputs.rank}, below the {count} inputs: only polynomials of "
            f"degree {inputs.degree} take any values on them."
        )
    if inputs.degree is not None and inputs.degree > 1:
        known += (
            " Inputs of higher rank follow another law for activations without a kink, so that "
            "these rows are no stand-in for them."
        )
    return known


def _predictions(inputs: Inputs, acts: list[str]) -> str:
    """The exponent of each activation, those of one exponent together."""
    groups: dict[float, list[str]] = {}
    for act in acts:
        power = exponent(act, "thesis", inputs.degree)
        if not np.isnan(power):
            groups.setdefault(power, []).append(activation_title(act))
    texts = [
        f"{power:g} for {_and(titles)}" + (", which is no dependence on the width" * (power == 0))
        for power, titles in sorted(groups.items(), reverse=True)
    ]
    where = "In wide networks the slope of log λ_min over log width tends to"
    return f"{where} {'; to '.join(texts)}." if texts else ""


def _and(titles: list[str]) -> str:
    return " and ".join([", ".join(titles[:-1]), titles[-1]] if len(titles) > 1 else titles)


def _interval(fit: dict[Any, Any], text: Callable[[float], str]) -> str:
    shown = _known(fit["slope"], text)
    if np.isnan(fit["low"]):
        return shown
    return f"{shown} [{_known(fit['low'], text)}, {_known(fit['high'], text)}]"


def _known(value: float, text: Callable[[float], str]) -> str:
    return "—" if np.isnan(value) else text(value)


def _factor(slope: float) -> str:
    return number(float(np.exp(slope)), 3)
