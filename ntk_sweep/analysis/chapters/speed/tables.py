"""What tells the speed of training, as tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.speed.associations import LEAST_REACHING, Association
from ntk_sweep.analysis.chapters.speed.candidates import COVARIATES, LAMBDA_MIN, TITLES
from ntk_sweep.analysis.statistics.bootstrap import LEVEL
from ntk_sweep.analysis.statistics.resampling import RESAMPLES
from ntk_sweep.analysis.writing.entries import Entry, signed
from ntk_sweep.analysis.writing.tables import Table, without_gaps

KEPT = 5
"""Columns of a table that stay also where they are empty."""


def share_text(share: float) -> str:
    """A share in words: L(0)/100."""
    return f"L(0)/{1 / share:.6g}"


def numbers(every: Sequence[Association]) -> pd.DataFrame:
    """The associations of several settings and shares in one frame, for CSV."""
    return _together(every, [one.table for one in every])


def curve_numbers(every: Sequence[Association]) -> pd.DataFrame:
    """The curves over k, likewise, with the ceiling of each."""
    return _together(every, [one.curve.assign(ceiling=one.ceiling[0]) for one in every])


def _together(every: Sequence[Association], frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    tables = []
    for one, frame in zip(every, frames, strict=True):
        setting = vars(one.runs.setting) | {
            "share": one.share,
            "networks": one.networks,
            "reaching": one.reaching,
        }
        own = pd.DataFrame({name: [value] * len(frame) for name, value in setting.items()})
        tables.append(pd.concat([own, frame.reset_index(drop=True)], axis=1))
    return pd.concat(tables, ignore_index=True)


def summary_table(every: Sequence[Association], sentences: Sequence[str]) -> Table:
    """The answer in short: a row for each setting and share.

    Args:
        every: The associations.
        sentences: The conclusion, which stands below.
    """
    rows: list[list[Entry]] = []
    for one in every:
        least, best = one.of(LAMBDA_MIN), best_of(one)
        rows.append(
            [
                one.runs.setting.rate,
                "removed" if one.runs.setting.centre_outputs else "as drawn",
                share_text(one.share),
                one.networks,
                one.reaching,
                "—" if least is None else d_text(least),
                "—" if best is None else str(best["title"]),
                "—" if best is None else d_text(best),
                "—" if np.isnan(one.ceiling[0]) else signed(one.ceiling[0]),
            ]
        )
    columns = ["Learning rate", "f₀", "stays below", "networks", "that do", "D of η λ_min"]
    columns += ["greatest |D|", "its D", "D of the prediction"]
    caption = (
        "Which quantity known before training tells the epochs after which the loss stays below a "
        f"share of L(0) ({every[0].runs.group.title})"
    )
    settings = "; ".join(dict.fromkeys(one.runs.setting.title for one in every))
    return without_gaps(
        Table(caption, columns, rows, [*sentences, f"Settings: {settings}.", method()]), KEPT
    )


def best_of(one: Association) -> pd.Series | None:
    """The candidate with the greatest |D|; None where none is known."""
    if one.table.empty or one.table["d"].isna().all():
        return None
    return one.table.loc[one.table["d"].abs().idxmax()]


def ranking_table(one: Association) -> Table:
    """The candidates of a setting by falling |D|."""
    known = one.table.assign(size=one.table["d"].abs()).dropna(subset="d")
    rows: list[list[Entry]] = [
        [
            str(line["title"]),
            d_text(line),
            d_text(line, "within"),
            "—" if np.isnan(line["p"]) else f"{line['p']:.3f}",
            d_text(line, "partial"),
            d_text(line, "lead"),
            int(line["left_out"]),
        ]
        for _, line in known.sort_values("size", ascending=False, kind="stable").iterrows()
    ]
    columns = ["Known before training", "D", "D within activations", "adjusted p", "partial ρ"]
    columns += ["|D| behind the best", "left out"]
    caption = (
        f"What tells the epochs after which the loss stays below {share_text(one.share)} "
        f"({one.runs.title})"
    )
    notes = [counts_text(one), method(), _partial_note()]
    if known["left_out"].any():
        notes.append(
            "Left out: networks of which the quantity is not known, such as a λ_min that does not "
            "exceed its error bound."
        )
    return without_gaps(Table(caption, columns, rows, notes), 2)


def counts_text(one: Association) -> str:
    """How many networks and runs there are, and how many stay below."""
    seeds = one.runs.rows["seed"].nunique()
    text = (
        f"{one.networks} networks, {seeds} seed{'' if seeds == 1 else 's'}: {one.reaching} stay "
        f"below {share_text(one.share)} in the median over seeds; the others are censored at their "
        "last epoch."
    )
    return text + (f" {one.diverged} runs diverged, and never do." if one.diverged else "")


def method() -> str:
    """What D and its intervals are, in words."""
    return (
        "D: Somers' D with the epochs, over pairs of networks whose order is known; -1 is 'the "
        f"greater, the faster' without exception. Brackets: {100 * LEVEL:.0f} % from {RESAMPLES:,} "
        "resamples of cells (width, depth) with all their activations, simultaneous over the "
        "quantities. The prediction simulates the training with the whole kernel: a ceiling, and "
        "no single number."
    )


def _partial_note() -> str:
    given = ", ".join(TITLES[name][:1].lower() + TITLES[name][1:] for name in COVARIATES)
    return (
        f"Partial ρ: Spearman's with the epochs, given {given}; what does not stay below is "
        "slowest. Adjusted p: within activations, cells permuted in all of them alike, corrected "
        "for the number of quantities."
    )


def d_text(line: pd.Series, name: str = "d") -> str:
    """A number with its interval: -0.83 [-0.90, -0.74]."""
    value = float(line[name])
    if np.isnan(value):
        return "—"
    prefix = "" if name == "d" else f"{name}_"
    low, high = (float(line[f"{prefix}{end}"]) for end in ("low", "high"))
    ends = "" if np.isnan(low) else f" [{signed(low)}, {signed(high)}]"
    return signed(value) + ends


def too_few() -> str:
    """Why a setting has no numbers at a share."""
    return f"fewer than {LEAST_REACHING} networks stay below it"
