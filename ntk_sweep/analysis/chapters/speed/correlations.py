"""How well each candidate ranks the networks by the epochs that they need to a given loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.speed.candidates import THRESHOLDS, candidates, measured_epochs
from ntk_sweep.analysis.rows.activations import activations
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN
from ntk_sweep.analysis.rows.runs import Runs
from ntk_sweep.analysis.statistics.rank_correlation import (
    interval,
    kendall,
    resample,
    resamples_of,
    rounded,
    spearman,
    standardised_ranks,
)
from ntk_sweep.store.columns import CELL

LEAST_NETWORKS = 10
"""Of a setting, for a ranking: intervals from fewer say nothing; tuned on synthetic runs."""

LEAST_REACHING = 5
"""Networks that reach a loss, for a correlation: where fewer do, all others tie and a resample
often holds none; tuned likewise."""

BLOCK = 250_000
"""Weights worked on at a time: two megabytes, of which some fifty arrays are kept; tuned."""

ACROSS, WITHIN = "across", "within"
"""All runs of a setting ranked together; the mean of the correlations within each activation."""


def correlations(runs: Runs, thresholds: Sequence[float] = THRESHOLDS) -> pd.DataFrame:
    """How well each candidate ranks the runs of a setting by the epochs to each threshold.

    Runs that never reach the threshold, and diverged ones, are slowest and tie with one another.
    Runs in which a candidate is not known (an unresolved λ_min) are left out of that candidate and
    counted. Intervals are 95 % percentile intervals of a bootstrap that draws networks, with all
    their seeds, anew within each activation.

    Returns:
        A row for each threshold, candidate and scope ("across", "within", then each activation):
        `rho` (Spearman), `low`, `high`, `tau` (Kendall's τ-b), `runs`, `networks` and `left_out`
        (runs), and `gain`, `gain_low`, `gain_high`: |ρ| less that of λ_min on the runs where both
        are known. "within" is the mean over activations in which ρ is defined. ρ is NaN where the
        candidate is the same in all runs, or fewer than `LEAST_REACHING` networks reach the
        threshold.
    """
    rows = runs.rows
    acts = activations(rows["act"])
    networks = pd.factorize(pd.MultiIndex.from_frame(rows[CELL]))[0]
    strata = rows["act"].map(acts.index).to_numpy()
    subsets = [
        np.arange(len(rows)),
        *(np.flatnonzero(strata == place) for place in range(len(acts))),
    ]
    shown = candidates(runs)
    epochs = {threshold: rounded(measured_epochs(rows, threshold)) for threshold in thresholds}
    values = {
        (threshold, one.name): rounded(one.value(rows, threshold))
        for threshold in thresholds
        for one in shown
    }
    pairs = _Pairs(networks)
    planned = {
        (threshold, name): _plan(
            pairs, value, epochs[threshold], values[threshold, LAMBDA_MIN.name], subsets
        )
        for (threshold, name), value in values.items()
    }
    drawn: dict[tuple[float, str], list[_Drawn]] = {key: [] for key in values}
    # First the sample itself, then its resamples.
    for weights in (
        np.ones((1, len(rows))),
        *_blocks(resample(networks, strata, resamples_of(len(rows)))),
    ):
        rho_of = pairs.spearman(weights)
        for key, plan in planned.items():
            rho, here, there = (np.stack([rho_of[pair] for pair in line]) for line in plan)
            drawn[key].append(
                (_with_mean(rho), _with_mean(np.abs(here)) - _with_mean(np.abs(there)))
            )
    records = []
    for (threshold, name), value in values.items():
        rho, gain = (
            np.concatenate(parts, axis=1) for parts in zip(*drawn[threshold, name], strict=True)
        )
        own = [subset[~np.isnan(value[subset])] for subset in subsets]
        times = epochs[threshold]
        tau = [
            kendall(value[part], times[part]) if rankable(networks[part], times[part]) else np.nan
            for part in own
        ]
        tau.insert(1, float(_mean(np.array(tau[1:])[:, None])[0]))
        own.insert(1, own[0])
        whole = [subsets[0], *subsets]
        for place, scope in enumerate((ACROSS, WITHIN, *acts)):
            counts = {"runs": len(own[place]), "networks": len(np.unique(networks[own[place]]))}
            counts["left_out"] = len(whole[place]) - len(own[place])
            found = (
                _numbers("rho", rho[place])
                | {"tau": tau[place]}
                | counts
                | _numbers("gain", gain[place])
            )
            records.append({"threshold": threshold, "candidate": name, "scope": scope, **found})
    return pd.DataFrame(records)


def rankable(networks: np.ndarray, epochs: np.ndarray) -> bool:
    """Whether enough networks reach the threshold for a correlation (`LEAST_REACHING`)."""
    return len(np.unique(networks[np.isfinite(epochs)])) >= LEAST_REACHING


_Drawn = tuple[np.ndarray, np.ndarray]
"""ρ and gain, (scopes, resamples)."""


class _Pairs:
    """What is correlated with what, each once: most candidates occur at every threshold.

    It is settled before any resample is drawn.
    """

    def __init__(self, networks: np.ndarray) -> None:
        self._networks = networks
        self._arrays: dict[tuple[bytes, bytes], int] = {}
        self._values: list[tuple[np.ndarray, np.ndarray]] = []
        self._pairs: dict[tuple[int, int] | None, int] = {}

    def add(self, values: np.ndarray, epochs: np.ndarray, own: np.ndarray) -> int:
        """The place of a correlation in the result of `spearman`.

        It is that of values and epochs over the runs at the places `own`.
        """
        fit = rankable(self._networks[own], epochs[own])
        pair = (self._array(values, own), self._array(epochs, own)) if fit else None
        return self._pairs.setdefault(pair, len(self._pairs))

    def spearman(self, weights: np.ndarray) -> list[np.ndarray]:
        """ρ of every pair for each row of weights.

        NaN where too few networks reach the threshold.
        """
        ranks = [standardised_ranks(values, weights[:, own]) for values, own in self._values]
        none = np.full(len(weights), np.nan)
        return [
            none if pair is None else spearman(ranks[pair[0]], ranks[pair[1]])
            for pair in self._pairs
        ]

    def _array(self, values: np.ndarray, own: np.ndarray) -> int:
        key = (values[own].tobytes(), own.tobytes())
        if key not in self._arrays:
            self._arrays[key] = len(self._values)
            self._values.append((values[own], own))
        return self._arrays[key]


def _plan(
    pairs: _Pairs,
    value: np.ndarray,
    epochs: np.ndarray,
    reference: np.ndarray,
    subsets: Sequence[np.ndarray],
) -> tuple[list[int], list[int], list[int]]:
    """The places of the correlations of a candidate in each scope.

    Where the reference is known too, also those of both.
    """
    known = [subset[~np.isnan(value[subset])] for subset in subsets]
    both = [own[~np.isnan(reference[own])] for own in known]
    return (
        [pairs.add(value, epochs, own) for own in known],
        [pairs.add(value, epochs, own) for own in both],
        [pairs.add(reference, epochs, own) for own in both],
    )


def _with_mean(rows: np.ndarray) -> np.ndarray:
    """The mean over activations in the second place, behind all runs and before each activation."""
    return np.vstack([rows[:1], _mean(rows[1:])[None], rows[1:]])


def _blocks(weights: np.ndarray) -> list[np.ndarray]:
    """The weights in blocks small enough to keep the ranks of every candidate."""
    count = -(-weights.size // BLOCK)
    return [
        block.astype(float) for block in np.array_split(weights, min(max(count, 1), len(weights)))
    ]


def _numbers(name: str, values: np.ndarray) -> dict[str, float]:
    """The first value, that of the sample, and the interval of the others, its resamples."""
    low, high = interval(values[1:]) if np.isfinite(values[0]) else (np.nan, np.nan)
    ends = ("low", "high") if name == "rho" else (f"{name}_low", f"{name}_high")
    return dict(zip((name, *ends), (float(values[0]), low, high), strict=True))


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean over the first axis of what is defined; NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    return np.where(
        count > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan
    )
