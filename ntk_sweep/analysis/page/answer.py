"""The answer at the head of a page, in sentences that are made from the rows alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.speed.associations import LEAST_NETWORKS, associate
from ntk_sweep.analysis.chapters.speed.candidates import LAMBDA_MIN, PRIMARY, SHARES
from ntk_sweep.analysis.chapters.speed.conclusion import reading
from ntk_sweep.analysis.chapters.speed.tables import d_text, share_text
from ntk_sweep.analysis.chapters.table1 import FEW_SEEDS
from ntk_sweep.analysis.rows.activations import activation_title, activations
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN as LAMBDA_MIN_OF_ROWS
from ntk_sweep.analysis.rows.quantities import trusted
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.statistics.bootstrap import mean_intervals
from ntk_sweep.analysis.writing.entries import interval_text, number, probability_text


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
        each = f"up to {seeds} seeds" if seeds > 1 else "one seed"
        parts.append(f"{done} of {grid} networks of the grid computed, {each} each")
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
        level = "range" if many < FEW_SEEDS else "95 %"
        value = f"{number(row['lambda_min'], 3)} in the mean of {many} seeds ({level}: {interval})"
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
    """How λ_min goes with width, and with depth."""
    sentences, several = [], False
    for axis, other, unit in (("width", "depth", "a doubling"), ("depth", "width", "a layer")):
        words: dict[str, list[str]] = {}
        for act in activations(study.group.ok["act"]):
            found = trend(study.group.ok[study.group.ok["act"] == act], axis, other)
            if found is not None:
                several |= not np.isnan(found.low)
                same = words.setdefault(found.verb, [])
                same.append(f"{activation_title(act)} ({found.text('' if same else unit)})")
        if words:
            told = "; ".join(f"{verb} for {', '.join(names)}" for verb, names in words.items())
            sentences.append(f"With {axis}, λ_min {told}.")
    if several:
        few = study.group.ok["seed"].nunique() < FEW_SEEDS
        sentences.append(f"In brackets: {'the range' if few else '95 %'} over seeds.")
    return " ".join(sentences)


@dataclass(frozen=True)
class Trend:
    """How λ_min of an activation goes along an axis.

    Attributes:
        factor: By which a doubling of the width, or a further layer, multiplies it: the median over
            all pairs of networks that differ in nothing else (Theil 1950; Sen 1968), the geometric
            mean over seeds.
        low: The lower end of its 95 % interval over seeds; NaN for one seed.
        high: The upper end.
        rises: At how many steps to the next width or depth the geometric mean over seeds rises.
        falls: At how many it falls.
        steps: How many there are.
    """

    factor: float
    low: float
    high: float
    rises: int
    falls: int
    steps: int

    @property
    def verb(self) -> str:
        """Up or down, as far as the seeds tell."""
        low, high = (self.factor if np.isnan(end) else end for end in (self.low, self.high))
        return "rises" if low > 1 else "falls" if high < 1 else "neither clearly rises nor falls"

    def text(self, unit: str) -> str:
        """The factor, its interval and the steps; in short where the unit has been told."""
        many, way = (self.falls, "down") if self.verb == "falls" else (self.rises, "up")
        ends = [number(end, 3) for end in (self.low, self.high)]
        interval = "" if np.isnan(self.low) else f" [{', '.join(ends)}]"
        steps = f"{many} of {self.steps}"
        told = f" {unit}{interval}, {way} at {steps} steps" if unit else f"{interval}, {steps}"
        return f"× {number(self.factor, 3)}{told}"


def trend(rows: pd.DataFrame, axis: str, other: str) -> Trend | None:
    """The trend of λ_min along an axis; None where no two networks differ in it alone.

    Args:
        rows: Of one activation, with a result.
        axis: "width" or "depth".
        other: The other of them.
    """
    logs = np.log(trusted(rows, LAMBDA_MIN_OF_ROWS))
    table = rows[[axis, other, "seed"]].assign(log=logs).dropna()
    places = np.sort(table[axis].unique())
    at = np.log2(places) if axis == "width" else places.astype(float)
    first, second = np.triu_indices(len(places), 1)

    def rising(values: np.ndarray) -> np.ndarray:
        return (values[:, second] - values[:, first]) / (at[second] - at[first])

    each = table.pivot_table(index=["seed", other], columns=axis, values="log")
    slopes = pd.DataFrame(rising(each.to_numpy()), each.index).groupby("seed")
    medians = [np.median(known) for _, own in slopes if len(known := _known(own.to_numpy()))]
    if not medians:
        return None
    low, high = (float(end[0]) for end in mean_intervals(np.array([medians])))
    means = table.pivot_table(index=other, columns=axis, values="log").to_numpy()
    steps = np.concatenate([np.diff(_known(line)) for line in means])
    rises, falls = int((steps > 0).sum()), int((steps < 0).sum())
    factor = float(np.exp(np.mean(medians)))
    return Trend(factor, float(np.exp(low)), float(np.exp(high)), rises, falls, len(steps))


def _known(values: np.ndarray) -> np.ndarray:
    return values[~np.isnan(values)]


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
    # The share that is spoken of, or where too few come to stay below it, the next greater one.
    for share in sorted(one for one in SHARES if one >= PRIMARY):
        found = associate(runs, share)
        line = found.of(LAMBDA_MIN)
        if line is not None:
            return (
                f"Of {found.networks} networks trained at {runs.setting.title}, λ_min times the "
                f"step size ranks the epochs to stay below {share_text(share)} with "
                f"D = {d_text(line)}: {reading(line)}."
            )
    return (
        f"Too few of {found.networks} trained networks come to stay below {share_text(share)} to "
        "say whether λ_min predicts training."
    )
