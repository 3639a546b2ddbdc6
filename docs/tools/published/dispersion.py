"""How much Θ_ii of ReLU networks varies: Hanin and Nica 2020, Seleznova and Kutyniok 2022.

Without biases Θ_ii = Σ_l K_l, K_l = σ_w² c_l² ‖x^(l-1)‖² ‖δ^l‖², and all K_l have the same mean.
With hidden widths n and k = |l - m|

    E[K_l K_m] / (E K_l E K_m) = (1 + 5/n)^(D-1-k) M_k,
    M_k = [(1 + 5/n)^k + 2 (1 - 1/n)^k] / 3.

*Proof.* All moments count each weight an even number of times. So the pattern of active units may
be replaced by fair coins b that do not depend on the weights: a row's sign is independent of its
absolute values, and it alone decides. A layer below l or above m multiplies the squares of both by
X² with X = (2/n) Σ_i b_i g_i², and E[X²] = 1 + 5/n. In the k layers between, two paths run forward
and two backward through the same coins and the same k - 1 weight matrices. At a layer they pass
through two units in pairs (three ways) or through one unit. With v the sums of the three pairings,
s that of one unit, coins and (2/n)² included, a further layer maps

    v_i → (1 - 1/n) (v_i + s),     s → (2/n) (v_1 + v_2 + v_3 + 3 s),

since a weight in all four paths has E[g⁴] = 3. Eigenvalues: 1 + 5/n, 0, and 1 - 1/n twice. The ends
of the paths must pair forward with forward: it begins with v_1 = 1 - 1/n, s = 2/n, and M_k is the
sum v_1 + s. ∎

If forward and backward weights are taken as independent, M_k is (1 + 1/n)^k: correct for k ≤ 1 and
to leading order in 1/n at fixed k, but not for depths like n.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from docs.tools.published.verdict import verdict
from ntk_sweep import Network, conjugate_kernel, empirical_ntk, limit_ntk
from ntk_sweep.analysis.writing.entries import Entry, number
from ntk_sweep.analysis.writing.tables import Table, markdown

FEATURES, INPUTS = 4, 5
"""n_0, which does not count without biases, and N."""

QUANTILE = 1.959964
"""Of a normal 95 % interval."""

WITHOUT_BIASES = (2**0.5, None)
ORDERED = (1.0, 1.0)


def between_layers(width: int, k: int) -> float:
    """M_k."""
    return ((1 + 5 / width) ** k + 2 * (1 - 1 / width) ** k) / 3


def independent(width: int, k: int) -> float:
    """M_k if forward and backward weights were independent."""
    return (1 + 1 / width) ** k


def second_moment(
    width: int, depth: int, middle: Callable[[int, int], float] = between_layers
) -> float:
    """E[Θ_ii²] / E[Θ_ii]² = (1/D²) Σ_{l, m} (1 + 5/n)^(D-1-k) M_k."""
    terms = [(1 + 5 / width) ** (depth - 1 - k) * middle(width, k) for k in range(depth)]
    pairs = [depth if k == 0 else 2 * (depth - k) for k in range(depth)]
    return sum(term * count for term, count in zip(terms, pairs, strict=True)) / depth**2


def infinite(share: float) -> float:
    """Its limit for n, D → ∞ with D/n → λ: e^(5λ) (1/3 + (2/3) ∫∫_[0,1]² exp(-6λ|s - t|) ds dt)."""
    integral = (1 + math.expm1(-6 * share) / (6 * share)) / (3 * share)
    return math.exp(5 * share) * (1 + 2 * integral) / 3


@cache
def draws(
    activation: str, scales: tuple[float, float | None], width: int, depth: int, seeds: int
) -> np.ndarray:
    """Θ_ii / Θ̄_ii for seeds 0, 1, 2 and so on, (seeds, inputs)."""
    x = inputs(INPUTS)
    limit = limit_ntk(x, activation, width, depth, "ntk", *scales).diagonal()
    ratios = torch.empty(seeds, INPUTS, dtype=torch.float64)
    for seed in range(seeds):
        network = drawn(activation, scales, width, depth, seed)
        ratios[seed] = empirical_ntk(network, x).diagonal() / limit
    return ratios.numpy()


def products(width: int, depth: int, seeds: int) -> np.ndarray:
    """K_1 K_D / (E K_1 E K_D), (seeds,), whose mean is M_(D-1)."""
    x = inputs(1)
    values = np.empty(seeds)
    for seed in range(seeds):
        network = drawn("relu", WITHOUT_BIASES, width, depth, seed)
        first = float(network.passes(x).gradients[0].square().sum() * x.square().sum()) / FEATURES
        values[seed] = 2 * first * float(conjugate_kernel(network, x))
    return values / (2 * float(x.square().sum()) / FEATURES) ** 2


def inputs(number_of: int) -> Float[Tensor, "N n_in"]:
    """Gaussian inputs."""
    return torch.as_tensor(np.random.default_rng(0).standard_normal((number_of, FEATURES)))


def drawn(
    activation: str, scales: tuple[float, float | None], width: int, depth: int, seed: int
) -> Network:
    """A network under `ntk`."""
    weight, bias = scales
    return Network.initialise(
        FEATURES, width, depth, activation, "ntk", seed, weight_std=weight, bias_std=bias
    )


def mean(values: np.ndarray) -> tuple[float, float]:
    """The mean over seeds, and half its normal 95 % interval."""
    return float(values.mean()), float(QUANTILE * values.std(ddof=1) / math.sqrt(len(values)))


CASES = ((20, 3, 8_000), (20, 6, 20_000), (50, 11, 5_000))
"""Width, depth, seeds."""


def second_moment_table() -> str:
    """E[Θ_ii²]/E[Θ_ii]² of draws beside both formulas."""
    rows: list[list[Entry]] = []
    for width, depth, seeds in CASES:
        squares = draws("relu", WITHOUT_BIASES, width, depth, seeds)[:, 0] ** 2
        found, half = mean(squares)
        exact = second_moment(width, depth)
        rows.append(
            [
                f"{width} × {depth}",
                number(second_moment(width, depth, independent)),
                number(exact),
                f"{found:.3f} ± {half:.3f}",
                f"{seeds:,}",
                f"{100 * squares.max() / squares.sum():.1f} %",
                verdict(abs(found - exact) <= half),
            ]
        )
    columns = ["width × depth", "(1 + 1/n)^k", "M_k", "drawn", "seeds", "share of largest draw"]
    columns.append("M_k")
    caption = "E[Θ_ii²]/E[Θ_ii]²: ReLU, σ_w² = 2, no biases"
    return markdown(Table(caption, columns, rows))


PRODUCT_CASES = ((3, 3), (5, 3), (5, 4))
PRODUCT_SEEDS = 6_000


def products_table() -> str:
    """E[K_1 K_D] of draws, which tells the formulas apart."""
    rows: list[list[Entry]] = []
    for width, depth in PRODUCT_CASES:
        found, half = mean(products(width, depth, PRODUCT_SEEDS))
        stated = [middle(width, depth - 1) for middle in (independent, between_layers)]
        rows.append(
            [
                f"{width} × {depth}",
                *(number(value) for value in stated),
                f"{found:.3f} ± {half:.3f}",
                *(verdict(abs(found - value) <= half) for value in stated),
            ]
        )
    columns = ["width × depth", "(1 + 1/n)^k", "M_k", "drawn", "(1 + 1/n)^k", "M_k"]
    caption = f"E[K_1 K_D]/(E[K_1] E[K_D]), k = D - 1, {PRODUCT_SEEDS:,} seeds"
    return markdown(Table(caption, columns, rows))


SHARES, WIDTHS = (0.1, 0.5, 1.0, 2.0), (20, 100, 1000)


def infinite_table() -> str:
    """The exact value at fixed depth/width, and its limit."""
    rows: list[list[Entry]] = []
    for share in SHARES:
        values = [second_moment(width, round(share * width)) for width in WIDTHS]
        limit = infinite(share)
        entries = [number(value) for value in (*values, limit, limit / math.exp(5 * share))]
        good = abs(values[-1] / limit - 1) < 20 * max(share, 1) / WIDTHS[-1]
        rows.append([f"{share:g}", *entries, verdict(good)])
    columns = ["λ = D/n", *(f"n = {width}" for width in WIDTHS), "limit", "limit / exp(5λ)"]
    columns.append("verdict")
    caption = "E[Θ_ii²]/E[Θ_ii]² by M_k at a fixed depth-to-width ratio"
    return markdown(Table(caption, columns, rows))


DEPTHS, PHASE_WIDTH, PHASE_SEEDS = (5, 10, 20, 40), 20, 300


def phases_table() -> str:
    """In the ordered phase the variation does not grow with depth."""
    found = [
        mean(draws("relu", ORDERED, PHASE_WIDTH, depth, PHASE_SEEDS)[:, 0] ** 2) for depth in DEPTHS
    ]
    rows: list[list[Entry]] = [
        [depth, f"{value:.3f} ± {half:.3f}", number(second_moment(PHASE_WIDTH, depth))]
        for depth, (value, half) in zip(DEPTHS, found, strict=True)
    ]
    good = found[-1][0] - found[-1][1] <= found[0][0] + found[0][1]
    columns = ["D", "σ_w² = σ_b² = 1, drawn", "σ_w² = 2, no biases, by M_k"]
    caption = f"E[Θ_ii²]/E[Θ_ii]²: ReLU, width {PHASE_WIDTH}, {PHASE_SEEDS:,} seeds"
    notes = [f"No growth with depth in the ordered phase: {verdict(good)}."]
    return markdown(Table(caption, columns, rows, notes))


TRACE_CASES = (
    *(("relu", WITHOUT_BIASES, *case) for case in CASES),
    ("relu", ORDERED, 20, 6, 3_000),
    ("relu", ORDERED, 5, 3, 20_000),
    ("lrelu", (1.5, 0.5), 5, 3, 20_000),
    ("sigmoid", (3.0, 1.0), 3, 3, 10_000),
    ("tanh", (3.0, 0.0), 3, 4, 8_000),
)


def trace_table() -> str:
    """E[tr Θ] / tr Θ̄."""
    rows: list[list[Entry]] = []
    for activation, scales, width, depth, seeds in TRACE_CASES:
        found, half = mean(draws(activation, scales, width, depth, seeds).mean(axis=1))
        scale_invariant = activation in ("relu", "lrelu")
        bias = "no biases" if scales[1] is None else f"σ_b² = {scales[1] ** 2:.4g}"
        rows.append(
            [
                f"{activation}, σ_w² = {scales[0] ** 2:.4g}, {bias}",
                f"{width} × {depth}",
                f"{seeds:,}",
                "1" if scale_invariant else "not 1",
                f"{found:.4f} ± {half:.4f}",
                verdict((abs(found - 1) <= half) == scale_invariant),
            ]
        )
    columns = ["network", "width × depth", "seeds", "expected", "drawn", "verdict"]
    caption = f"Mean of Θ_ii/Θ̄_ii over {INPUTS} inputs"
    return markdown(Table(caption, columns, rows))
