"""How λ_min of the infinite-width kernel follows width and depth (docs/theory/scaling.md).

The moments of the activations lie in a file, since computing them needs torch; ``python -m
benchmarks.numerics.scaling`` writes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.inputs import MOST_INPUTS, find
from ntk_sweep.network.activations.registry import ACTIVATIONS

MOMENTS = Path(__file__).parent / "moments.csv"

MOST_DEGREE = 10
"""Degrees that are tried: beyond, λ_min is below the rounding unit at any width."""


@dataclass(frozen=True)
class Inputs:
    """What the laws need to know of the inputs.

    Attributes:
        degree: The least p such that polynomials of degree p take any values on the N inputs; None
            where none up to `MOST_DEGREE` do, as with equal inputs.
        rank: Of [x, 1], the dimension of the polynomials of degree 1; None where it is assumed.
        reason: Why it had to be assumed; empty where the inputs were found.
    """

    degree: int | None
    rank: int | None
    reason: str = ""


def inputs_of(group: Group, images: str | None) -> Inputs:
    """The degree of a group's inputs, from the inputs where they are found.

    Else they are assumed to be in general position.

    Args:
        group: The rows.
        images: Where the inputs lie (`ntk_sweep.analysis.rows.inputs.find`).
    """
    try:
        if group.n_samples > MOST_INPUTS:
            raise AnalysisError(f"ranks are computed up to {MOST_INPUTS:,} inputs")
        return measured(find(group, images).x)
    except AnalysisError as error:
        return Inputs(general_degree(group.n_samples, group.n_inputs), None, str(error))


def measured(x: np.ndarray) -> Inputs:
    """The degree of inputs x, (N, n_in), by numerical ranks.

    Polynomials do not care for shifts and scales: the inputs are centred and their greatest norm
    set to 1.
    """
    x = x - x.mean(axis=0)
    x = x / max(np.sqrt((x**2).sum(axis=1).max()), 1e-300)
    rank = int(np.linalg.matrix_rank(np.column_stack([x, np.ones(len(x))])))
    if rank == len(x):
        return Inputs(1, rank)
    gram = x @ x.T + 1
    for degree in range(2, MOST_DEGREE + 1):
        if np.linalg.matrix_rank(gram**degree, hermitian=True) == len(x):
            return Inputs(degree, rank)
    return Inputs(None, rank)


def general_degree(n_samples: int, n_inputs: int) -> int | None:
    """The degree of inputs in general position: the least p with at least N monomials."""
    degrees = range(1, MOST_DEGREE + 1)
    return next((p for p in degrees if math.comb(n_inputs + p, p) >= n_samples), None)


def first_jump(act: str) -> float:
    """The order of the first derivative that jumps at zero: 1 at a kink, ∞ if σ is smooth.

    NaN for an activation that this version does not know.
    """
    if act not in ACTIVATIONS:
        return math.nan
    entry = ACTIVATIONS[act]
    if entry.kinked:
        return 1
    return 2 if entry.curvature_jump else math.inf


def exponent(act: str, parametrisation: str, degree: int | None) -> float:
    """The power of the width that λ_min of Θ̄_n tends to; NaN where no law says it.

    `ntk`: 0, exactly. `standard`: 1. `thesis`: 1 - min(p, m - ½), where p is the degree of the
    inputs and m the order of σ's first derivative that jumps.

    Example:
        >>> exponent("relu", "thesis", 1), exponent("elu", "thesis", 2)
        (0.5, -0.5)
        >>> exponent("sigmoid", "thesis", 1), exponent("sigmoid", "thesis", 2)
        (0.0, -1.0)
    """
    if parametrisation != "thesis":
        return {"ntk": 0.0, "standard": 1.0}.get(parametrisation, math.nan)
    order = first_jump(act)
    if math.isnan(order) or (degree is None and math.isinf(order)):
        return math.nan
    return 1.0 - min(math.inf if degree is None else degree, order - 0.5)


def deep_factor(act: str) -> float:
    """What one more layer multiplies λ_min by, deep in a network: χ, or √χ with a kink.

    NaN for an activation without moments.
    """
    own = moments(act)
    if own.empty:
        return math.nan
    slope = float(own["slope"].iloc[-1])
    return math.sqrt(slope) if first_jump(act) == 1 else slope


@cache
def coefficients(act: str, degree: int | None, deepest: int) -> np.ndarray:
    """c_D for D = 2 to `deepest`: λ_min under `thesis` tends to c_D n^(1-k) times what x decides.

    Args:
        act: The activation.
        degree: Of the inputs.
        deepest: The greatest D.

    Returns:
        (deepest - 1,); NaN for smooth activations above degree 1, where c_D and x do not part, and
        for an activation without moments.
    """
    own, order = moments(act), first_jump(act)
    power = 1 if degree == 1 and order > 1 else order - 0.5
    if own.empty or math.isinf(power):
        return np.full(deepest - 1, np.nan)
    layers = own[["variance", "slope", "curvature"]].to_numpy()
    found, shrinkage, level, value = [], 1.0, 1.0, 1.0 if power == 1 else 0.0
    for layer in range(deepest - 1):
        q, slope, curvature = layers[min(layer, len(own) - 1)]
        after = layers[min(layer + 1, len(own) - 1), 0]
        if power == 1:
            fresh = (slope + curvature * level) * shrinkage
        else:
            fresh = level * shrinkage**power / math.sqrt(q)
        value = fresh + slope * value
        level, shrinkage = after + slope * level, slope * shrinkage
        found.append(value)
    return np.array(found)


@cache
def moments(act: str) -> pd.DataFrame:
    """`variance`, `slope` and `curvature` of layers 1, 2, …; those behind equal the last."""
    every = pd.read_csv(MOMENTS)
    return every[every["act"] == act].reset_index(drop=True)
