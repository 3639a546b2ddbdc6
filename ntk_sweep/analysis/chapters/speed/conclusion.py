"""What the associations say, in sentences that are made from the numbers alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.speed.associations import Association
from ntk_sweep.analysis.chapters.speed.candidates import LAMBDA_MIN, PRIMARY
from ntk_sweep.analysis.chapters.speed.tables import best_of, d_text, share_text, too_few
from ntk_sweep.analysis.rows.setting import Setting
from ntk_sweep.analysis.writing.entries import number, signed


def spoken_of(every: Sequence[Association]) -> list[Association]:
    """One association of each setting: at `PRIMARY`, or at the next share that says something."""
    found = []
    for setting in dict.fromkeys(one.runs.setting for one in every):
        own = sorted(
            (one for one in every if one.runs.setting == setting), key=lambda one: one.share
        )
        able = [one for one in own if len(one.table) and one.share >= PRIMARY] or own[-1:]
        found.append(able[0])
    return found


def conclusion(every: Sequence[Association]) -> list[str]:
    """A paragraph for each setting, and one for each pair that differs in f₀ alone."""
    texts = [_paragraph(one) for one in spoken_of(every)]
    for setting in dict.fromkeys(one.runs.setting for one in every):
        texts += _comparison(setting, every)
    return texts


def _paragraph(one: Association) -> str:
    start = f"{_setting(one.runs.setting)}, epochs to stay below {share_text(one.share)}"
    least, best = one.of(LAMBDA_MIN), best_of(one)
    if best is None:
        return f"{start}: {too_few()}, so nothing can be said."
    sentences = [
        f"{start} ({one.reaching} of {one.networks} networks do)."
        + (f" η λ_min: D = {d_text(least)}, {reading(least)}." if least is not None else "")
    ]
    if least is None or best["candidate"] != LAMBDA_MIN:
        sentences.append(f"Greatest |D|: {best['title']}, {d_text(best)}{_told_apart(one)}.")
    else:
        sentences.append(f"No other quantity has a greater |D|{_told_apart(one)}.")
    sentences.append(_modes(one))
    sentences.append(_budget(one))
    return " ".join(filter(None, sentences))


def reading(line: pd.Series) -> str:
    """What an association means, as far as its interval allows."""
    low, high = line["low"], line["high"]
    if np.isnan(low) and np.isclose(abs(line["d"]), 1):
        # No resample differs, so that there is no interval: this speaks of these networks alone.
        speed = "faster" if line["d"] < 0 else "slower"
        return f"the greater, the {speed} in every pair of these"
    if np.isnan(low):
        return "of which too few cells tell how certain it is"
    if low <= 0 <= high:
        return "which could be chance"
    return "the greater, the faster" if line["d"] < 0 else "the greater, the slower"


def _told_apart(one: Association) -> str:
    """How many others may be as good."""
    others = int(one.table["may_be_best"].sum()) - 1
    if np.isnan(one.table["lead_low"]).all():
        return ""
    if others <= 0:
        return "; every other has less"
    return f"; {others} other{'' if others == 1 else 's'} cannot be told from it"


def _modes(one: Association) -> str:
    """Which of the λ_k do best."""
    known = one.curve.dropna(subset="d")
    if known.empty:
        return ""
    best = known.loc[known["d"].idxmin()]
    first, last = known.iloc[0], known.iloc[-1]
    ends = f"from {signed(first['d'])} at k = 1 to {signed(last['d'])} at k = {int(last['k'])}"
    return (
        f"Over k, D of η λ_k goes {ends}; its least is {signed(best['d'])} at k = {int(best['k'])}."
    )


def _budget(one: Association) -> str:
    """Whether runs last as long as the mode of λ_min takes."""
    middle, most = one.folds
    if np.isnan(middle):
        return ""
    return (
        f"A run lasts {number(middle, 2)} e-folds of the mode of λ_min in the median, and "
        f"{number(most, 2)} at most (4 η λ_min k/N after k steps)."
    )


def _comparison(setting: Setting, every: Sequence[Association]) -> list[str]:
    """What removing f₀ changes, at the share nearest to `PRIMARY` that tells of both."""
    if setting.centre_outputs:
        return []
    drawn, removed = (
        {one.share: one.of(LAMBDA_MIN) for one in every if one.runs.setting == own}
        for own in (setting, replace(setting, centre_outputs=True))
    )
    for share in sorted(drawn, key=lambda one: abs(np.log(one / PRIMARY))):
        before, after = drawn[share], removed.get(share)
        if before is not None and after is not None:
            return [
                f"{_setting(setting)}, epochs to stay below {share_text(share)}: with f₀ as drawn "
                f"η λ_min has D = {d_text(before)}, {reading(before)}; with f₀ removed "
                f"{d_text(after)}, {reading(after)}."
            ]
    return []


def _setting(setting: Setting) -> str:
    removed = ", f₀ removed" if setting.centre_outputs else ""
    return f"At learning rate {setting.rate}{removed}"
