"""The answer at the head of a page, in sentences that are made from the rows alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.speed.associations import LEAST_NETWORKS, associate
from ntk_sweep.analysis.chapters.speed.candidates import LAMBDA_MIN, PRIMARY
from ntk_sweep.analysis.chapters.speed.conclusion import reading
from ntk_sweep.analysis.chapters.speed.tables import d_text, share_text
from ntk_sweep.analysis.rows.activations import activation_title, activations
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.entries import interval_text, number, probability_text

RISE = 1.05
"""A factor between the ends of an axis below which λ_min is said to change little."""


def answer(study: Study) -> list[str]:
    """What is greatest where, how depth and width act, and whether λ_min tells training."""
    found = [_greatest(study), _axes(study), _training(study)]
    return [sentence for sentence in found if sentence]


def progress(study: Study) -> str:
    """How many networks have a result, of the grid of their coordinates."""
    parts = []
    rows = study.group.rows
    if len(rows):
        cells = rows[["act", "width", "depth"]]
        grid = cells["act"].nunique() * cells["width"].nunique() * cells["depth"].nunique()
        done = len(study.group.ok[["act", "width", "depth"]].drop_duplicates())
        seeds = rows["seed"].nunique()
        parts.append(
            f"{done} of {grid} networks of the grid computed, with up to {seeds} "
            f"seed{'s' if seeds > 1 else ''} each"
        )
        bad = len(rows) - len(study.group.ok)
        if bad:
            parts.append(f"{bad} point{'s' if bad > 1 else ''} without a result")
    if study.training is not None:
        states = study.training.rows["status"]
        parts.append(f"{int((states == 'ok').sum())} of {len(states)} training runs with a result")
    return "; ".join(parts) + "."


def _greatest(study: Study) -> str:
    """The greatest mean λ_min of all activations, and its interval."""
    best = study.best_cells
    known = best[best["lambda_min"].notna()]
    if known.empty:
        return "No network has a resolved λ_min yet." if len(study.group.rows) else ""
    row = known.loc[known["lambda_min"].idxmax()]
    name = f"{activation_title(row['act'])} {row['width']} × {row['depth']}"
    many = int(row["seeds"])
    if many < 2 or np.isnan(row["low"]):
        value = f"{number(row['lambda_min'], 3)}, of a single draw"
    else:
        interval = interval_text(row["low"], row["high"], row["error"])
        value = f"{number(row['lambda_min'], 3)} in the mean of {many} seeds (95 %: {interval})"
    chances = study.probabilities
    own = chances[
        (chances["act"] == row["act"])
        & (chances["width"] == row["width"])
        & (chances["depth"] == row["depth"])
    ]["probability"]
    sure = (
        f"; with probability {probability_text(own.iloc[0])} it is the greatest of its activation"
        if len(own) and own.notna().all()
        else ""
    )
    return f"λ_min is greatest for {name} (width × depth): {value}{sure}."


def _axes(study: Study) -> str:
    """By which factor λ_min changes from the first to the last width, and depth."""
    cells = study.cells()
    known = cells[cells["resolved"] & (cells["geometric_mean"] > 0)]
    sentences = []
    for axis, other in (("width", "depth"), ("depth", "width")):
        places = sorted(known[axis].unique())
        if len(places) < 2:
            continue
        first, last = places[0], places[-1]
        words: dict[str, list[str]] = {}
        for act in activations(known["act"]):
            factor = _factor(known[known["act"] == act], axis, other, first, last)
            if factor is not None:
                words.setdefault(_verb(factor), []).append(
                    f"{activation_title(act)} (× {number(factor, 2)})"
                )
        if words:
            told = "; ".join(f"{verb} for {', '.join(names)}" for verb, names in words.items())
            sentences.append(f"from {axis} {first} to {last} it {told}")
    if not sentences:
        return ""
    text = ", and ".join(sentences)
    return text[0].upper() + text[1:].replace("it ", "λ_min ", 1) + "."


def _factor(own: pd.DataFrame, axis: str, other: str, first: int, last: int) -> float | None:
    """The geometric mean, over the other axis, of the ratio of last to first."""
    means = own.pivot(index=other, columns=axis, values="geometric_mean")
    if first not in means or last not in means:
        return None
    logs = np.log(means[last] / means[first]).dropna()
    return float(np.exp(logs.mean())) if len(logs) else None


def _verb(factor: float) -> str:
    if max(factor, 1 / factor) < RISE:
        return "changes little"
    return "rises" if factor > 1 else "falls"


def _training(study: Study) -> str:
    """Somers' D of η λ_min with the time of training, of the setting with most networks."""
    enough = [one for one in study.runs if len(one.networks) >= LEAST_NETWORKS]
    if not enough:
        return (
            "Too few networks were trained to say whether λ_min predicts training."
            if study.runs
            else ""
        )
    runs = max(enough, key=lambda one: len(one.networks))
    found = associate(runs, PRIMARY)
    line = found.of(LAMBDA_MIN)
    if line is None:
        return "Too few runs reach a tenth of their loss to say whether λ_min predicts training."
    return (
        f"Of {found.networks} networks trained at {runs.setting.title}, λ_min times the step size "
        f"ranks the epochs to stay below {share_text(PRIMARY)} with D = {d_text(line)}: "
        f"{reading(line)}."
    )
