"""The condition number of deep networks on the critical line: (m+2)/2, (m+3)/3 or (m+4)/3?

On the edge correlations tend to 1 with slopes C'(c_D) ≃ 1 - 2/D for a smooth σ and 1 - 3/D for ReLU
(Θ̄_ab^D = K_ab^D + C'(c_(D-1)) Θ̄_ab^(D-1), K → q*). So Θ̄_aa ≃ q* D, and Θ̄_ab ≃ q* D/3 or q* D/4. The
kernel of m inputs then is q* D times

    (2/3) I + (1/3) 1 1ᵀ:   λ_max = (m+2)/3, λ_min = 2/3, κ = (m+2)/2
    (3/4) I + (1/4) 1 1ᵀ:   λ_max = (m+3)/4, λ_min = 3/4, κ = (m+3)/3      (ReLU)
"""

from __future__ import annotations

from collections.abc import Sequence

import mpmath
import torch

from docs.tools.published.recursion import DIGITS, Pair, squared, tangents
from docs.tools.published.verdict import below, verdict
from ntk_sweep import critical_point
from ntk_sweep.analysis.writing.entries import Entry, number
from ntk_sweep.analysis.writing.tables import Table, markdown
from ntk_sweep.limit.kernel import limit_ntks

BIAS = {"erf": 0.05**0.5, "relu": 0.0}
SHALLOW, DEEP = (100, 200, 400), (1_000, 10_000)
"""Depths of `limit_ntks`, and of the recursion in mpmath alone."""

FEW, MORE = 4, 16
"""m, orthogonal inputs with ‖x‖² = n_0."""


def edge(activation: str, depths: Sequence[int]) -> dict[int, Pair]:
    """Θ̄ of orthogonal inputs, divided by q* D."""
    with mpmath.workdps(DIGITS):
        # The variance of ReLU is that of the first layer, σ_w² = 2.
        weight, bias, q = mpmath.mpf(2), mpmath.mpf(0), mpmath.mpf(2)
        if activation == "erf":
            point = critical_point("erf", BIAS["erf"])
            weight, bias = squared(point.weight_std), squared(point.bias_std)
            q = mpmath.mpf(point.variance)
        found = tangents(activation, weight, bias, mpmath.mpf(0), depths)
        return {
            depth: Pair(pair.diagonal / (q * depth), pair.other / (q * depth))
            for depth, pair in found.items()
        }


def condition(pair: Pair, inputs: int) -> float:
    """κ of m such inputs."""
    largest, smallest = pair.extremes(inputs)
    return float(largest / smallest)


def difference(activation: str, found: dict[int, Pair]) -> float:
    """The largest relative difference of κ of `limit_ntks` at `SHALLOW` depths, m = `FEW`."""
    point = critical_point(activation, BIAS[activation])
    scales = point.weight_std, point.bias_std
    x = torch.eye(FEW, dtype=torch.float64) * FEW**0.5
    ours = limit_ntks(x, activation, 100, SHALLOW, "ntk", *scales)
    errors = []
    for depth, one in ours.items():
        values = torch.linalg.eigvalsh(one.kernel)
        errors.append(abs(float(values[-1] / values[0]) / condition(found[depth], FEW) - 1))
    return max(errors)


def smooth_table() -> str:
    """Erf on the edge."""
    found = edge("erf", SHALLOW + DEEP)
    rows: list[list[Entry]] = [
        [
            depth,
            number(float(pair.extremes(FEW)[0]) * 3 / (FEW + 2), 5),
            number(float(pair.extremes(FEW)[1]) * 3 / 2, 5),
            number(condition(pair, FEW), 5),
            number(condition(pair, MORE), 5),
        ]
        for depth, pair in found.items()
    ]
    last = found[DEEP[-1]]
    good = abs(condition(last, FEW) - 3) < 0.01 and abs(condition(last, MORE) - 9) < 0.03
    columns = ["D", "λ_max / (q* D (m+2)/3)", "λ_min / (q* D ⅔)", f"κ, m = {FEW}", f"κ, m = {MORE}"]
    notes = [
        f"Limits 1, 1, {(FEW + 2) // 2} and {(MORE + 2) // 2}: {verdict(bool(good))}. "
        f"`limit_ntks` gives the same κ to {below(difference('erf', found))} up to D = "
        f"{SHALLOW[-1]}; the rest is from mpmath."
    ]
    point = critical_point("erf", BIAS["erf"])
    caption = f"Critical: erf, σ_w² = {number(point.weight_std**2, 6)}, σ_b² = 0.05"
    return markdown(Table(caption, columns, rows, notes))


def relu_table() -> str:
    """ReLU on the edge."""
    found = edge("relu", SHALLOW + DEEP)
    rows: list[list[Entry]] = [
        [
            depth,
            number(float(pair.other / pair.diagonal), 5),
            number(condition(pair, FEW), 5),
            number(condition(pair, MORE), 5),
        ]
        for depth, pair in found.items()
    ]
    rows.append(["(m+3)/3", "0.25", number((FEW + 3) / 3, 5), number((MORE + 3) / 3, 5)])
    rows.append(["(m+4)/3", "", number((FEW + 4) / 3, 5), number((MORE + 4) / 3, 5)])
    ends = [condition(found[DEEP[-1]], inputs) - (inputs + 3) / 3 for inputs in (FEW, MORE)]
    columns = ["D", "Θ̄_ab/Θ̄_aa", f"κ, m = {FEW}", f"κ, m = {MORE}"]
    notes = [
        f"(m+3)/3: {verdict(max(map(abs, ends)) < 0.02)}. (m+4)/3: {verdict(False)}, κ falls below "
        f"it. `limit_ntks` gives the same κ to {below(difference('relu', found))} up to D = "
        f"{SHALLOW[-1]}; the rest is from mpmath."
    ]
    return markdown(Table("Critical: ReLU, σ_w² = 2, σ_b = 0", columns, rows, notes))
