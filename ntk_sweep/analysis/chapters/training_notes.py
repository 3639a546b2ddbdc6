"""What the rows of some training runs say, in sentences made of their numbers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from ntk_sweep.analysis.rows.over_seeds import ENDS, history
from ntk_sweep.analysis.rows.runs import Runs, list_cells, network_title, rows_of
from ntk_sweep.analysis.rows.stability import step_over_limit
from ntk_sweep.analysis.writing.entries import DIGITS, bracket, number


def training_notes(runs: Runs) -> list[str]:
    """All sentences that apply to the runs, a note each."""
    return [*order_notes(runs), *stability_notes(runs), *kept_order_notes(runs)]


def order_notes(runs: Runs) -> list[str]:
    """Whether the networks of greater λ_min end with the smaller loss, pair by pair.

    By medians over seeds, of networks whose λ_min is resolved and that did not diverge; not of runs
    that stopped at a loss, which all end there.
    """
    if runs.setting.stop_at_loss:
        return []
    rows = runs.rows
    good = rows[(rows["status"] == "ok") & (rows["lambda_min"] > rows["lambda_min_error"])]
    lines = []
    for network in list_cells(good):
        own = rows_of(good, network)
        loss = own["final_loss"]
        ends = float(loss.median()), float(loss.min()), float(loss.max())
        lines.append((network_title(network), float(own["lambda_min"].median()), *ends, len(own)))
    if len(lines) < 2:
        return []
    pairs = list(combinations(lines, 2))
    agree = [(a[1] - b[1]) * (a[2] - b[2]) < 0 for a, b in pairs]
    # Of one seed there is no range.
    apart = [min(a[5], b[5]) > 1 and (a[4] < b[3] or b[4] < a[3]) for a, b in pairs]
    sure = (
        f"of the {sum(apart)} whose ranges over seeds do not overlap in "
        f"{sum(np.logical_and(agree, apart))}"
        if any(apart)
        else "in none are the ranges over seeds apart"
    )
    listed = ", ".join(
        f"{name} {number(loss, DIGITS)} (λ_min {number(least, DIGITS)})"
        for name, least, loss, *_ in sorted(lines, key=lambda line: line[2])
    )
    return [
        f"By loss after training, the least first: {listed}. In {sum(agree)} of {len(pairs)} "
        f"pair{'s' if len(pairs) > 1 else ''} the network of the greater λ_min ends with the "
        f"smaller loss; {sure}. These networks differ in more than λ_min, so that their order "
        "shows no cause."
    ]


def stability_notes(runs: Runs) -> list[str]:
    """Which networks begin beyond linear stability, and what became of their loss and kernel."""
    rows = runs.rows.assign(over=step_over_limit(runs.rows))
    if rows["over"].isna().all():
        return []
    beyond = rows[rows["over"] > 1]
    single = runs.setting.batch_size == 1
    limit = "η tr Θ / N, the mean of η Θ_ii," if single else "η λ_max / N"
    if beyond.empty:
        return [_within(rows, limit)]
    listed = ", ".join(
        f"{network_title(network)} {_ends(rows_of(rows, network)['over'])}"
        for network in list_cells(beyond)
    )
    rose = sum(_peak(row) > row["initial_loss"] for _, row in beyond.iterrows())
    fell = int((beyond["final_loss"] < beyond["initial_loss"]).sum())
    note = (
        f"Beyond linear stability: {limit} exceeds 1 before training, for {listed}. There a step "
        "overshoots by more than it began with, as long as the kernel stays. In the mean over an "
        f"epoch, or after one, the loss exceeds that before training in {rose} of "
        f"{_runs(len(beyond))}; at the end it is below it in {fell}."
    )
    return [f"{note} {_kernel_fell(beyond)}"]


def kept_order_notes(runs: Runs) -> list[str]:
    """Where samples keep their order: the loss after an epoch beside that on the way."""
    if runs.setting.shuffle is not False:  # None: the flow has no order
        return []
    texts = []
    for network in runs.networks:
        own = rows_of(runs.rows, network)
        own = own[own["status"] == "ok"]
        if own.empty:
            continue
        before = own["running_losses"].map(_last)
        after = _ends(own["final_loss"])
        texts.append(f"{network_title(network)} {after} beside {_ends(before)}")
    if not texts:
        return []
    return [
        "The order of samples is kept. The last epoch's loss over all samples after it, beside "
        f"the mean loss of each sample just before its step: {'; '.join(texts)}. Where the first "
        "is much the greater, the network follows the samples that came last. With targets 0 and "
        "1 and classes of one size a constant output of ½ has a loss of 0.25; a constant output "
        "that fits one class alone has 0.5."
    ]


def _within(rows: pd.DataFrame, limit: str) -> str:
    """That no run begins beyond linear stability, and whether single samples may."""
    note = (
        f"No run begins beyond linear stability by {limit} before training, which is at most "
        f"{number(rows['over'].max(), DIGITS)} and would have to exceed 1"
    )
    single = rows[rows["batch_size"] == 1]
    if single.empty:
        return f"{note}."
    greatest = single["linear_stability"].astype(float).max(skipna=False)
    if np.isnan(greatest):
        return f"{note}; single samples may lie above the mean."
    return f"{note}; of single samples η Θ_ii is at most {number(greatest, DIGITS)}."


def _kernel_fell(beyond: pd.DataFrame) -> str:
    """What λ_max did in the runs that recorded it, as a sentence."""
    ratios, epochs = [], set()
    for _, row in beyond.iterrows():
        values, known = history(row["kernel_lambda_max"]), history(row["kernel_epochs"])
        if values is not None and known is not None and len(values) > 1:
            ratios.append(values[1] / values[0])
            epochs.add(int(known[1]))
    if not ratios:
        return (
            "Whether the kernel shrank until the step was stable, a catapult (Lewkowycz et al. "
            "2020), runs with task.record_kernel_every=1 tell."
        )
    when = f"epoch {epochs.pop()}" if len(epochs) == 1 else "the first record"
    part = _ends(pd.Series(ratios))
    fell = sum(ratio < 1 for ratio in ratios)
    return (
        f"λ_max after {when} is {part} times that before training, in {_runs(len(ratios))} that "
        f"recorded it, and fell in {fell}"
        + (
            ": a catapult (Lewkowycz et al. 2020), which ends where the kernel has shrunk to what "
            "the step can bear. What the kernel at initialisation predicts does not hold there."
            if fell == len(ratios)
            else "."
        )
    )


def _peak(row: pd.Series) -> float:
    """The greatest loss after an epoch or in the mean over one; infinite if it overflowed."""
    known = [history(row[name]) for name in ("losses", "running_losses")]
    values = np.concatenate([one for one in known if one is not None])
    return float(np.where(np.isnan(values), np.inf, values).max(initial=0.0))


def _last(values: object) -> float:
    """The last entry of a list column; NaN where there is none."""
    known = history(values)
    return float(known[-1]) if known is not None and len(known) else np.nan


def _runs(count: int) -> str:
    return f"{count} run{'s' if count > 1 else ''}"


def _ends(values: pd.Series) -> str:
    """Median, least and greatest over seeds: 0.12 [0.10, 0.15]."""
    ends = (values.median(), values.min(), values.max())
    return bracket(dict(zip(ENDS, map(float, ends), strict=True)), "")
