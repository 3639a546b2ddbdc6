"""Xiao, Pennington, Schoenholz 2020: the NTK of infinite width in order and in chaos.

The laws of large depth follow from T^D = K^D + σ_w² Ṡ^(D-1) ∘ T^(D-1):

    ordered     λ_max → m p*, and for smooth σ λ_min ≃ (A D + B) χ_1^D
    chaotic     Θ̄_aa ∝ χ_1^D, Θ̄_ab → c* q*/(1 - χ_c)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import mpmath
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from docs.tools.published.recursion import DIGITS, DUALS, squared, tangents
from docs.tools.published.verdict import below, verdict
from ntk_sweep import mean_field
from ntk_sweep.analysis.writing.entries import Entry, number
from ntk_sweep.analysis.writing.tables import Table, markdown
from ntk_sweep.limit.kernel import limit_ntks

INPUTS, FEATURES, SEED = 8, 20, 0
BIAS = 0.05**0.5
"""σ_b of the authors' notebook."""

SCALES = {"ordered": (1.25**0.5, BIAS), "chaotic": (1.5**0.5, BIAS), "strongly ordered": (1.0, 1.0)}
"""σ_w, σ_b."""


@dataclass(frozen=True)
class Found:
    """Θ̄ at one depth.

    Attributes:
        kernel: (m, m).
        eigenvalues: Ascending.
    """

    kernel: np.ndarray
    eigenvalues: np.ndarray

    @property
    def condition(self) -> float:
        """κ."""
        return float(self.eigenvalues[-1] / self.eigenvalues[0])


def inputs() -> Float[Tensor, "m n_in"]:
    """Gaussian inputs, scaled to ‖x‖² = n_0."""
    x = np.random.default_rng(SEED).standard_normal((INPUTS, FEATURES))
    return torch.as_tensor(x * np.sqrt(FEATURES) / np.linalg.norm(x, axis=1, keepdims=True))


@cache
def kernels(
    activation: str, scales: tuple[float, float], depths: tuple[int, ...]
) -> dict[int, Found]:
    """Θ̄ of `inputs` at some depths."""
    found = limit_ntks(inputs(), activation, 100, depths, "ntk", *scales)
    return {
        depth: Found(one.kernel.numpy(), torch.linalg.eigvalsh(one.kernel).numpy())
        for depth, one in found.items()
    }


def worst(activation: str, scales: tuple[float, float], depth: int) -> float:
    """The largest relative error of an entry and of λ_min, against mpmath."""
    own = kernels(activation, scales, (depth,))[depth]
    x = inputs().numpy()
    true = mpmath.matrix(INPUTS, INPUTS)
    with mpmath.workdps(DIGITS):
        weight, bias = (squared(scale) for scale in scales)
        for i in range(INPUTS):
            for j in range(i):
                norms = mpmath.sqrt(mpmath.fdot(x[i], x[i]) * mpmath.fdot(x[j], x[j]))
                correlation = mpmath.fdot(x[i], x[j]) / norms
                pair = tangents(activation, weight, bias, correlation, (depth,))[depth]
                true[i, j] = true[j, i] = pair.other
                true[i, i] = true[j, j] = pair.diagonal
        smallest = float(min(mpmath.eigsy(true, eigvals_only=True)))
        errors = [
            abs(own.kernel[i, j] / true[i, j] - 1) for i in range(INPUTS) for j in range(INPUTS)
        ]
    return max(float(max(errors)), abs(own.eigenvalues[0] / smallest - 1))


def fixed_points_table() -> str:
    """q*, χ_1, p* of `mean_field` and of a root found by mpmath."""
    rows: list[list[Entry]] = []
    for activation, scales in (
        ("erf", SCALES["strongly ordered"]),
        ("erf", SCALES["ordered"]),
        ("erf", SCALES["chaotic"]),
        ("relu", SCALES["strongly ordered"]),
    ):
        own = mean_field(activation, *scales)
        true = fixed_point(activation, scales)
        pairs = [(own.variance, true["q"]), (own.slope, true["chi"])]
        texts: list[Entry] = [number(value, 9) for value, _ in pairs]
        limits: list[Entry] = ["infinite", "—"]
        if own.phase == "ordered":
            pairs.append((own.ntk_limit, true["p"]))
            limits = [number(own.ntk_limit, 9), number(own.ntk_limit, 9)]
        else:
            pairs += [(own.correlation or 0.0, true["c"])]
            pairs += [(own.ntk_limit_off_diagonal or 0.0, true["other"])]
            limits[1] = number(own.ntk_limit_off_diagonal or 0.0, 9)
        error = max(float(abs(a / b - 1)) for a, b in pairs)
        weight, bias = (f"{scale**2:.4g}" for scale in scales)
        name = f"{activation}, {weight}, {bias}"
        rows.append([name, own.phase, *texts, *limits, below(error), verdict(error < 1e-12)])
    columns = ["activation, σ_w², σ_b²", "phase", "q*", "χ₁", "limit of Θ̄_aa", "limit of Θ̄_ab"]
    columns += ["error", "verdict"]
    return markdown(Table("`mean_field`, and mpmath", columns, rows))


def fixed_point(activation: str, scales: tuple[float, float]) -> dict[str, mpmath.mpf]:
    """q*, χ_1, and p* or c* and c* q*/(1 - χ_c), in mpmath."""
    duals = DUALS[activation]
    with mpmath.workdps(DIGITS):
        weight, bias = (squared(scale) for scale in scales)
        q = mpmath.findroot(lambda q: weight * duals(q, q)[0] + bias - q, 1)
        chi = weight * duals(q, q)[1]
        found = {"q": q, "chi": chi, "p": q / (1 - chi)}
        if chi > 1:
            start = mpmath.mpf("0.8") * q
            covariance = mpmath.findroot(lambda k: weight * duals(q, k)[0] + bias - k, start)
            slope = weight * duals(q, covariance)[1]
            found |= {"c": covariance / q, "other": covariance / (1 - slope)}
    return found


def ordered_table() -> str:
    """λ_max/(m p*), and λ_min/χ_1^D, whose steps tend to a constant."""
    rows: list[list[Entry]] = []
    verdicts: list[str] = []
    for name, depths in (("strongly ordered", (5, 10, 20, 30)), ("ordered", (50, 100, 200, 400))):
        scales = SCALES[name]
        own = mean_field("erf", *scales)
        both = sorted({depth - step for depth in depths for step in (0, 1)})
        found = kernels("erf", scales, tuple(both))
        steps = []
        for depth in depths:
            lower, upper = (
                float(found[at].eigenvalues[0]) / own.slope**at for at in (depth - 1, depth)
            )
            steps.append(upper - lower)
            share = found[depth].eigenvalues[-1] / (INPUTS * own.ntk_limit)
            rows.append(
                [
                    f"{scales[0] ** 2:.4g}, {scales[1] ** 2:.4g}",
                    depth,
                    number(float(found[depth].kernel[0, 0]), 9),
                    number(float(share), 6),
                    number(float(found[depth].eigenvalues[0])),
                    number(upper / depth),
                    number(steps[-1]),
                ]
            )
        settled = abs(steps[-1] / steps[-2] - 1) < 0.01 and abs(share - 1) < 1e-4
        error = worst("erf", scales, depths[-1])
        weight, bias = rows[-1][0].split(", ")
        verdicts.append(
            f"σ_w² = {weight}, σ_b² = {bias}: {verdict(bool(settled))}; largest relative "
            f"difference of an entry or of λ_min from mpmath at D = {depths[-1]} {below(error)}."
        )
    columns = ["σ_w², σ_b²", "D", "Θ̄_aa", "λ_max/(m p*)", "λ_min", "λ_min/(D χ₁^D)"]
    columns.append("step of λ_min/χ₁^D")
    return markdown(Table("Ordered: erf", columns, rows, verdicts))


def kink_table() -> str:
    """ReLU in order: λ_min ∝ χ_1^(D/2)."""
    scales, depths = SCALES["strongly ordered"], (10, 20, 30, 40)
    own = mean_field("relu", *scales)
    both = tuple(sorted({depth - step for depth in depths for step in (0, 1)}))
    found = kernels("relu", scales, both)
    ratios = [float(found[d].eigenvalues[0] / found[d - 1].eigenvalues[0]) for d in depths]
    rows: list[list[Entry]] = [
        [
            depth,
            number(float(found[depth].kernel[0, 0]), 9),
            number(float(found[depth].eigenvalues[0])),
            number(ratio, 6),
            number(float(found[depth].eigenvalues[0]) / (depth * own.slope**depth)),
        ]
        for depth, ratio in zip(depths, ratios, strict=True)
    ]
    good = abs(ratios[-1] - own.slope**0.5) < 1e-5 and abs(rows_last(found, depths) - 4) < 1e-9
    columns = ["D", "Θ̄_aa", "λ_min", "λ_min(D)/λ_min(D-1)", "λ_min/(D χ₁^D)"]
    error = below(worst("relu", scales, depths[-1]))
    notes = [
        f"p* = 4 and a factor of 2^(-½) = 0.707107 a layer: {verdict(bool(good))}. λ_min ∝ D χ₁^D: "
        f"{verdict(False)}, the last column grows. Largest relative difference of an entry or of "
        f"λ_min from mpmath at D = {depths[-1]} {error}."
    ]
    return markdown(Table("Ordered: ReLU, σ_w² = σ_b² = 1", columns, rows, notes))


def rows_last(found: dict[int, Found], depths: Sequence[int]) -> float:
    """Θ̄_aa at the last depth."""
    return float(found[depths[-1]].kernel[0, 0])


def chaotic_table() -> str:
    """Growth of the diagonal, rest of the other entries, and κ."""
    scales, depths = SCALES["chaotic"], (25, 50, 100, 200, 400)
    own = mean_field("erf", *scales)
    both = tuple(sorted({depth - step for depth in depths for step in (0, 1)}))
    found = kernels("erf", scales, both)
    rows: list[list[Entry]] = []
    for depth in depths:
        now, before = found[depth], found[depth - 1]
        others = now.kernel[~np.eye(INPUTS, dtype=bool)]
        growth = now.eigenvalues / before.eigenvalues
        rows.append(
            [
                depth,
                number(float(growth[-1]), 6),
                number(float(growth[0]), 6),
                f"{number(float(others.min()))} to {number(float(others.max()))}",
                number(now.condition - 1),
                number((now.condition - 1) * own.slope**depth),
            ]
        )
    limit = own.ntk_limit_off_diagonal or 0.0
    good = np.abs(growth / own.slope - 1).max() < 1e-5 and np.abs(others / limit - 1).max() < 1e-3
    error = below(worst("erf", scales, depths[-1]))
    notes = [
        f"χ₁ = {number(own.slope, 6)}, c* q*/(1 - χ_c) = {number(limit)}: {verdict(bool(good))}. "
        "Largest relative difference of an entry or of λ_min from mpmath at D = "
        f"{depths[-1]} {error}."
    ]
    columns = ["D", "λ_max(D)/λ_max(D-1)", "λ_min(D)/λ_min(D-1)", "Θ̄_ab", "κ - 1"]
    columns.append("(κ - 1) χ₁^D")
    return markdown(Table("Chaotic: erf, σ_w² = 1.5, σ_b² = 0.05", columns, rows, notes))
