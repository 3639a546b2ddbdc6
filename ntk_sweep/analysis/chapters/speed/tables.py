"""What ranks the networks by training speed, as tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.speed.candidates import BY_NAME, CANDIDATES, measured_epochs
from ntk_sweep.analysis.chapters.speed.correlations import ACROSS, LEAST_REACHING, WITHIN
from ntk_sweep.analysis.rows.activations import activation_title, activations
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN
from ntk_sweep.analysis.rows.runs import Runs
from ntk_sweep.analysis.statistics.bootstrap import LEVEL
from ntk_sweep.analysis.statistics.rank_correlation import resamples_of
from ntk_sweep.analysis.writing.entries import Entry, signed
from ntk_sweep.analysis.writing.tables import Table, without_gaps
from ntk_sweep.store.columns import NETWORK

KEPT = 5
"""Columns of a table that stay also where they are empty: what is ranked, over all runs. Within
activations there may be too few."""


def ranked(frame: pd.DataFrame, scope: str = ACROSS) -> list[str]:
    """The candidates by falling |ρ| in a scope, undefined ones last.

    Args:
        frame: From `ntk_sweep.analysis.chapters.speed.correlations.correlations`, of one threshold.
        scope: Whose ρ.
    """
    own = frame[frame["scope"] == scope]
    strength = own["rho"].abs().fillna(-1.0)
    return list(
        own.assign(_strength=-strength).sort_values("_strength", kind="stable")["candidate"]
    )


def best(frame: pd.DataFrame, scope: str = ACROSS) -> str | None:
    """The candidate with the greatest |ρ| in a scope; None where none is defined."""
    name = ranked(frame, scope)[0]
    return (
        name
        if np.isfinite(
            frame[(frame["scope"] == scope) & (frame["candidate"] == name)]["rho"].iloc[0]
        )
        else None
    )


def numbers(every: Sequence[tuple[Runs, pd.DataFrame]]) -> pd.DataFrame:
    """The correlations of several settings in one frame, for CSV."""
    tables = []
    for runs, frame in every:
        setting = {name: [value] * len(frame) for name, value in vars(runs.setting).items()}
        tables.append(pd.concat([pd.DataFrame(setting, index=frame.index), frame], axis=1))
    return pd.concat(tables, ignore_index=True)


def scatter_numbers(settings: Sequence[Runs], threshold: float) -> pd.DataFrame:
    """Every run with its epochs to a threshold and all candidates, for CSV.

    The epochs are infinite where it is not reached.
    """
    tables = []
    for runs in settings:
        rows = runs.rows
        setting = {name: [value] * len(rows) for name, value in vars(runs.setting).items()}
        known = {name: rows[name].to_numpy() for name in (*NETWORK, "status")}
        values = {
            one.name: one.value(rows, threshold) for one in CANDIDATES if one.name not in known
        }
        tables.append(
            pd.DataFrame(
                {**setting, **known, "epochs_to_loss": measured_epochs(rows, threshold), **values}
            )
        )
    return pd.concat(tables, ignore_index=True)


def ranking_table(runs: Runs, frame: pd.DataFrame, threshold: float) -> Table:
    """The correlations of a setting and threshold to be read.

    The candidates stand by falling |ρ| over all runs.
    """
    frame = frame[frame["threshold"] == threshold]
    acts = activations(runs.rows["act"])
    known = frame.set_index(["candidate", "scope"])
    rows: list[list[Entry]] = []
    for name in ranked(frame):
        across = known.loc[(name, ACROSS)]
        gain = "—" if name == LAMBDA_MIN.name else gain_text(across)
        scopes = [correlation_text(known.loc[(name, scope)]) for scope in (WITHIN, *acts)]
        tau = "—" if np.isnan(across["tau"]) else signed(across["tau"])
        rows.append(
            [
                BY_NAME[name].title,
                correlation_text(across),
                tau,
                gain,
                *scopes,
                int(across["left_out"]),
            ]
        )
    columns = [
        "Known before training",
        "ρ, all runs",
        "τ-b",
        "|ρ| less that of λ_min",
        "ρ, mean within activations",
    ]
    columns += [*map(activation_title, acts), "left out"]
    caption = f"What ranks the networks by epochs to a loss of {threshold:g} ({runs.title})"
    return without_gaps(
        Table(caption, columns, rows, [*notes(runs, threshold), *_gaps(frame)]), KEPT
    )


def summary_table(every: Sequence[tuple[Runs, pd.DataFrame]]) -> Table:
    """The answer in short: for each setting and threshold the best candidate, and λ_min."""
    rows: list[list[Entry]] = []
    for runs, frame in every:
        for threshold, own in frame.groupby("threshold", sort=False):
            known = own.set_index(["candidate", "scope"])
            reached, diverged = counts(runs, float(threshold))
            entries: list[Entry] = [
                runs.setting.rate,
                f"{threshold:g}",
                len(runs.rows),
                reached,
                diverged,
            ]
            for scope in (ACROSS, WITHIN):
                name = best(own, scope)
                entries += (
                    ["—", "—"]
                    if name is None
                    else [BY_NAME[name].title, correlation_text(known.loc[(name, scope)])]
                )
                entries.append(correlation_text(known.loc[(LAMBDA_MIN.name, scope)]))
            rows.append(entries)
    columns = [
        "Learning rate",
        "loss",
        "runs",
        "reach it",
        "diverged",
        "all runs: best",
        "its ρ",
        "ρ of λ_min",
    ]
    columns += ["within activations: best", "its mean ρ", "mean ρ of λ_min"]
    first = every[0][0]
    sizes = "; ".join(
        f"at {runs.setting.title}: {len(runs.networks)} networks, "
        f"{_counted(runs.rows['seed'].nunique(), 'seed')}"
        for runs, _ in every
    )
    text = [
        f"Runs: {sizes}.",
        _method([runs for runs, _ in every]),
        "Best: the greatest |ρ| of all candidates; being the greatest of many it is a little too "
        "great, and candidates whose intervals overlap are not told apart.",
    ]
    caption = (
        "Which quantity known before training ranks the networks by epochs to a loss "
        f"({first.group.title})"
    )
    return without_gaps(Table(caption, columns, rows, text), KEPT)


def notes(runs: Runs, threshold: float) -> list[str]:
    """What a reader must know of a ranking.

    How many runs it holds, and how those without a time enter.
    """
    reached, diverged = counts(runs, threshold)
    slow = len(runs.rows) - reached - diverged
    sentences = [
        f"{len(runs.rows)} runs of {len(runs.networks)} networks: {reached} reach the loss, {slow} "
        f"do not within {runs.setting.epochs} epochs, {diverged} diverged. The last two kinds "
        "count as slowest and tie.",
        _method([runs]),
        (
            "A positive ρ: the greater the quantity, the more epochs. |ρ| less that of λ_min: over "
            "all runs in which both are known."
        ),
    ]
    if runs.rows["seed"].nunique() == 1:
        sentences.append(
            "One seed a network: the scatter between seeds of a network is in these numbers, but "
            "cannot be told from them."
        )
    return sentences


def counts(runs: Runs, threshold: float) -> tuple[int, int]:
    """How many runs reach a loss, and how many diverged."""
    diverged = int((runs.rows["status"] == "diverged").sum())
    return int(np.isfinite(measured_epochs(runs.rows, threshold)).sum()), diverged


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def correlation_text(line: pd.Series) -> str:
    """ρ with its interval: -0.83 [-0.90, -0.74]."""
    return _interval(line, "rho", "low", "high", "")


def gain_text(line: pd.Series) -> str:
    """|ρ| less that of λ_min, with its interval: +0.60 [+0.39, +0.76]."""
    return _interval(line, "gain", "gain_low", "gain_high", "+")


def _interval(line: pd.Series, middle: str, low: str, high: str, sign: str) -> str:
    value = float(line[middle])
    if np.isnan(value):
        return "—"
    ends = (
        ""
        if np.isnan(line[low])
        else f" [{signed(line[low], sign=sign)}, {signed(line[high], sign=sign)}]"
    )
    return signed(value, sign=sign) + ends


def _method(every: Sequence[Runs]) -> str:
    drawn = " or ".join(map(str, sorted({resamples_of(len(runs.rows)) for runs in every})))
    return (
        f"ρ: Spearman's rank correlation with the epochs, and the {100 * LEVEL:.0f} % interval of "
        f"{drawn} bootstrap resamples of networks, each with all its seeds, within each activation."
    )


def _gaps(frame: pd.DataFrame) -> list[str]:
    """Why entries are missing, as far as some are."""
    across = frame[frame["scope"] == ACROSS]
    sentences = []
    if frame["rho"].isna().any():
        sentences.append(
            f"—: the quantity is the same in all of the runs, or fewer than {LEAST_REACHING} "
            "networks reach the loss."
        )
    if (across["left_out"] > 0).any():
        sentences.append(
            "Left out: runs in which the quantity is not known, such as a λ_min that does not "
            "exceed its error bound."
        )
    return sentences
