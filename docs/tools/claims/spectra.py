"""Claims about the spectra: Figures 1 to 8 and Table 1."""

from __future__ import annotations

import numpy as np
import pandas as pd

from docs.tools.claims.claim import UNDECIDED, Claim, verdict
from ntk_sweep.analysis.rows.activations import activation_title
from ntk_sweep.analysis.rows.cells import not_positive
from ntk_sweep.analysis.rows.over_seeds import history
from ntk_sweep.analysis.rows.runs import network_title, rows_of
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.rows.thesis import NETWORKS, TABLE_1
from ntk_sweep.analysis.writing.entries import number

SIGMA = 2.0
"""Standard deviations over seeds within which a single draw agrees; a choice."""


def spectra(study: Study, eigh: Study) -> list[Claim]:
    """All of them.

    Args:
        study: The thesis's networks, over seeds.
        eigh: Its sigmoid networks by plain float64.
    """
    return [
        *(_least_eigenvalue(study, *one) for one in _reported()),
        _decay(study),
        *_best_depths(study),
        _greatest(study),
        _order(study),
        _depth(study),
        *_sigmoid(study),
        _white_cells(study, eigh),
    ]


def _reported() -> list[tuple[str, int, int, float]]:
    return [(one.act, one.width, one.depth, value) for one in NETWORKS for value in one.lambda_min]


def _own(study: Study, act: str, width: int, depth: int) -> pd.DataFrame:
    return rows_of(study.group.rows, (act, width, depth))


def _least_eigenvalue(study: Study, act: str, width: int, depth: int, reported: float) -> Claim:
    values = _own(study, act, width, depth)["lambda_min"].astype(float)
    away = abs(reported - values.mean()) / values.std()
    return Claim(
        "Figures 3, 4",
        f"{network_title((act, width, depth))} has λ_min = {number(reported)}",
        verdict(away <= SIGMA),
        f"{number(values.mean())} ± {number(values.std(), 3)} over {len(values)} seeds: "
        f"{away:.1f} standard deviations away",
    )


def _decay(study: Study) -> Claim:
    """Whether log λ_k is linear in k, or in log k."""
    texts, better = [], []
    for one in NETWORKS:
        exponential, power = [], []
        for values in _own(study, one.act, one.width, one.depth)["eigenvalues"]:
            found = history(values)
            if found is None:
                continue
            logs = np.log(np.sort(found)[::-1][1:])
            k = np.arange(2, len(logs) + 2)
            exponential.append(_explained(k, logs))
            power.append(_explained(np.log(k), logs))
        means = float(np.mean(exponential)), float(np.mean(power))
        better.append(means[0] > means[1])
        texts.append(
            f"{network_title((one.act, one.width, one.depth))}: R² of log λ_k, k ≥ 2, is "
            f"{means[0]:.3f} in k and {means[1]:.3f} in log k"
        )
    return Claim(
        "Figures 3, 4",
        "eigenvalues decay exponentially",
        verdict(all(better), not any(better)),
        "; ".join(texts),
    )


def _explained(x: np.ndarray, y: np.ndarray) -> float:
    """R² of a line."""
    return float(np.corrcoef(x, y)[0, 1] ** 2)


def _best_depths(study: Study) -> list[Claim]:
    made = []
    for act, reported in TABLE_1.items():
        own = study.probabilities[study.probabilities["act"] == act]
        by_depth = own.groupby("depth")["probability"].sum().sort_values(ascending=False)
        depths = " or ".join(map(str, reported.depths))
        share = float(by_depth.reindex(reported.depths).sum())
        most = ", ".join(f"{depth}: {100 * p:.0f} %" for depth, p in by_depth.head(3).items())
        made.append(
            Claim(
                "Table 1",
                f"{activation_title(act)}: the greatest λ_min is at depth {depths}",
                verdict(share >= 0.95, share <= 0.05),
                f"probability of a depth to have the greatest mean: {most}",
            )
        )
    return made


def _greatest(study: Study) -> Claim:
    """The greatest of single draws, as the thesis took it."""
    reported = TABLE_1["relu"].lambda_min
    rows = study.group.rows
    greatest = rows[rows["act"] == "relu"].groupby("seed")["lambda_min"].max().astype(float)
    low, high = greatest.min(), greatest.max()
    assert reported is not None
    return Claim(
        "Table 1",
        f"the greatest λ_min of ReLU is {number(reported)}",
        verdict(low <= reported <= high, abs(reported - greatest.mean()) > 3 * greatest.std()),
        f"the greatest of the {int((study.cells()['act'] == 'relu').sum())} draws of a seed is "
        f"{number(low)} to {number(high)}",
    )


def _order(study: Study) -> Claim:
    best = study.best_cells.set_index("act")
    relu, elu, sigmoid = (best.loc[act] for act in ("relu", "elu", "sigmoid"))
    lrelu = best.loc["lrelu"]
    apart = min(relu["low"], lrelu["low"]) > elu["high"] and elu["low"] > sigmoid["high"]
    return Claim(
        "Table 1",
        "ReLU and LeakyReLU have the greatest λ_min, then ELU, then sigmoid",
        verdict(bool(apart)),
        "greatest means: "
        + ", ".join(
            f"{activation_title(act)} {number(best.loc[act]['lambda_min'], 3)}"
            for act in best.index
        ),
    )


def _depth(study: Study) -> Claim:
    """Whether λ_min falls from the best depth on."""
    texts, falls = [], []
    for act, own in study.cells().groupby("act", sort=False):
        table = own.pivot(index="width", columns="depth", values="geometric_mean")
        ratios = table.loc[:, 4:].to_numpy() / table.loc[:, 3:].to_numpy()[:, :-1]
        falls.append(float(np.mean(ratios < 1)))
        texts.append(f"{activation_title(str(act))} {number(float(np.median(ratios)), 2)}")
    return Claim(
        "Figures 5 to 8",
        "λ_min falls with depth, from depth 3 on",
        verdict(min(falls) > 0.95, max(falls) < 0.05),
        f"a layer more multiplies the geometric mean by {', '.join(texts)} (medians over widths "
        f"and depths 3 to 10), and makes it less in {100 * min(falls):.0f} to "
        f"{100 * max(falls):.0f} % of steps; [why](../theory/scaling.md)",
    )


def _sigmoid(study: Study) -> list[Claim]:
    own = study.cells()
    table = own[own["act"] == "sigmoid"].pivot(
        index="depth", columns="width", values="geometric_mean"
    )
    layers = (table.iloc[:-1].to_numpy() / table.iloc[1:].to_numpy()).ravel()
    growth = table.iloc[:, -1] / table.iloc[:, 0]
    widths = f"width {table.columns[0]} to {table.columns[-1]}"
    return [
        Claim(
            "Figure 8",
            "λ_min of sigmoid networks is independent of the depth",
            verdict(bool(np.median(layers) < 2)),
            f"a layer divides it by {number(float(np.median(layers)), 2)} in the median "
            f"({number(float(layers.min()), 2)} to {number(float(layers.max()), 2)})",
        ),
        Claim(
            "Figure 8",
            "it is nearly independent of the width",
            verdict(bool(growth.max() < 2), bool(growth.min() > 2)),
            f"from {widths} it grows {number(growth.min(), 2)}-fold to "
            f"{number(growth.max(), 2)}-fold, depending on the depth",
        ),
    ]


def _white_cells(study: Study, eigh: Study) -> Claim:
    exact = study.cells()
    plain = eigh.cells()
    exact, plain = (one[one["act"] == "sigmoid"] for one in (exact, plain))
    left = int((exact["unresolved"] > 0).sum())
    noisy = int((plain["unresolved"] > 0).sum())
    negative = int(not_positive(eigh.group.rows).get("sigmoid", 0))
    return Claim(
        "Figure 8",
        "λ_min of some sigmoid networks cannot be computed (white cells)",
        verdict(left > 0) if noisy else UNDECIDED,
        f"plain float64 leaves {noisy} of {len(plain)} cells unresolved, {negative} of them with "
        f"a λ_min of 0 or below; the default method leaves {left}",
    )
