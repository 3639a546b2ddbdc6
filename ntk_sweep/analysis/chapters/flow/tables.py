"""The table of the flow by network, and the sentences that are made from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.flow.numbers import (
    FACTOR,
    SETTLED_CHANGE,
    SETTLED_DECADES,
    all_seeds,
    near,
)
from ntk_sweep.analysis.rows.runs import SHOWN_NAMES, Runs, list_cells, network_title, rows_of
from ntk_sweep.analysis.writing.entries import DIGITS, Entry, number
from ntk_sweep.analysis.writing.tables import Table
from ntk_sweep.store.columns import CELL

COLUMNS = [
    "Network",
    "seeds",
    "final rate / (4λ_min/N)",
    "λ_min matters below L/L(0)",
    "below L",
    "from time × 4λ_min/N",
    "of",
    "final rate holds below L/L(0)",
    "kernel drift",
    "time to 1 %",
    "predicted",
]


Middle = Literal["linear", "lower", "higher", "inverted_cdf"]
"""How `numpy.quantile` takes a median."""


def flow_table(runs: Runs, values: pd.DataFrame) -> Table:
    """The flow of each network, medians over seeds.

    Args:
        runs: Where `values` come from.
        values: From `ntk_sweep.analysis.chapters.flow.numbers.ends`, not empty.
    """
    rows = [_line(network, rows_of(values, network)) for network in list_cells(values)]
    near_text = f"within a factor of {FACTOR:g} of 4λ_min/N"
    notes = [
        *sentences(values),
        _seeds(values),
        "Rates are -Δ log L/Δt over a decade of the loss, as rates at one time jump at kinks; they "
        "are in units of 4λ_min/N of the kernel before training. The final rate is that of the "
        "last decade. λ_min matters: the rate stays "
        f"{near_text} from there to the end of the flow, to half a decade. Time × 4λ_min/N: how "
        "many times λ_min's own time passed until then, and (of) in the whole flow. Final rate "
        f"holds: the rate stays within a factor of {FACTOR:g} of a final rate that has settled. "
        "Kernel drift: "
        "‖Θ_t - Θ_0‖ / ‖Θ_0‖ in the Frobenius norm at the end. Time to 1 % of L(0), and the time "
        "predicted with the kernel before training.",
    ]
    return Table(
        f"The rate of the gradient flow and λ_min ({runs.title})",
        COLUMNS,
        rows,
        notes + _left(runs, values),
    )


def short_answer(values: pd.DataFrame) -> str:
    """In how many networks the final rate is near that of λ_min, for the lead."""
    known = values.dropna(subset="final_rate")
    if known.empty:
        return "no loss falls by a decade"
    holds = all_seeds(known, near(known["final_rate"]))
    return f"{int(holds.sum())} of {_networks(len(holds))}"


def sentences(values: pd.DataFrame) -> list[str]:
    """What the numbers say of λ_min.

    Args:
        values: From `ntk_sweep.analysis.chapters.flow.numbers.ends`.
    """
    known = values.dropna(subset="final_rate")
    if known.empty:
        return ["No loss falls by a decade, so no rate is known: follow the flow further."]
    return [_final(known), *_onset(known), *_settled(known), *_predicted(values)]


def _final(known: pd.DataFrame) -> str:
    """How the final rate compares with the unit, and where it does not come near."""
    holds = all_seeds(known, near(known["final_rate"]))
    rates = known["final_rate"]
    text = (
        f"The final rate is within a factor of {FACTOR:g} of 4λ_min/N in {int(holds.sum())} of "
        f"{_networks(len(holds))}{_every_seed(known)}; rates run from {number(rates.min(), 2)} to "
        f"{number(rates.max(), 2)} times 4λ_min/N."
    )
    above = all_seeds(known, rates > FACTOR)
    below = all_seeds(known, rates < 1 / FACTOR)
    mixed = ~(holds | above | below)
    for chosen, words in (
        (above, "It is greater"),
        (below, "It is less"),
        (mixed, "Seeds differ"),
    ):
        if chosen.any():
            text += f" {words} in {int(chosen.sum())}: {_names(known, chosen)}."
    return text


def _onset(known: pd.DataFrame) -> list[str]:
    """Below which losses λ_min matters."""
    begun = known[known["onset"] > 0]
    if begun.empty:
        return ["In no run λ_min comes to matter before the flow ends."]
    low, high = begun["onset"].min(), begun["onset"].max()
    middle = begun["onset"].quantile(0.5, interpolation="lower")
    where = (
        f"below {number(middle, 2)} L(0)"
        if low == high
        else f"below {number(middle, 2)} L(0) in the median, {number(low, 2)} to {number(high, 2)}"
    )
    return [
        f"λ_min comes to matter in {len(begun)} of {_runs(len(known))}: {where}; L is then "
        f"{_between(begun['onset_loss'])}."
    ]


def _settled(known: pd.DataFrame) -> list[str]:
    """Whether the rate is constant at the end, and what its value then is."""
    told = known[known["settled"].notna()]
    if told.empty:
        return [
            f"No flow is long enough to tell whether its rate has settled: that takes "
            f"{SETTLED_DECADES:g} decades of rates."
        ]
    settled = told[told["settled"].astype(bool)]
    text = (
        f"The rate has settled (it changes by at most {100 * SETTLED_CHANGE:.0f} % over the last "
        f"{SETTLED_DECADES:g} decades) in {len(settled)} of {_runs(len(told))}."
    )
    if len(settled):
        text += (
            " The kernel moves in training, so that λ_min at the end is not λ_min before: with "
            f"drifts {_between(settled['kernel_drift'])} these rates are "
            f"{_between(settled['final_rate'])} times 4λ_min/N before training. λ_min of the "
            "last kernel is not recorded; a settled rate is that of one mode of it, and of its "
            "least if the residual has a part there. The rate stays within a factor of "
            f"{FACTOR:g} of its own final value below {_between(settled['own_onset'])} L(0), "
            f"{number(settled['own_onset'].median(), 2)} in the median."
        )
    return [text]


def _predicted(values: pd.DataFrame) -> list[str]:
    """How the time to 1 % compares with that of a constant kernel."""
    both = values[np.isfinite(values["time"]) & np.isfinite(values["predicted_time"])]
    both = both[both["predicted_time"] > 0]
    if both.empty:
        return []
    ratio = both["time"] / both["predicted_time"]
    return [
        f"The time to 1 % of L(0) is {_between(ratio)} times that of a constant kernel, in the "
        f"median {number(ratio.median(), 2)} ({_runs(len(both))})."
    ]


def _left(runs: Runs, values: pd.DataFrame) -> list[str]:
    """What was left out, and which steps miss their tolerance."""
    notes = []
    out = int((runs.rows["status"] == "ok").sum()) - len(values)
    if out:
        notes.append(
            f"{_runs(out)} left out: λ_min does not exceed its error bound before training, and "
            "there is no rate to compare with."
        )
    missed = values[values["missed"] > 0]
    if len(missed):
        notes.append(
            f"Of {_runs(len(values))} {len(missed)} took steps that miss the tolerance, at kinks "
            f"of the activation: {_between(100 * missed['missed'])} % of the steps of such a run. "
            "Their curves are less exact."
        )
    return notes


def _line(network: tuple[str, int, int], own: pd.DataFrame) -> list[Entry]:
    return [
        network_title(network),
        len(own),
        _entry(own["final_rate"]),
        _entry(own["onset"], "lower"),
        _entry(own["onset_loss"], "lower"),
        _entry(own["onset_time"], "higher"),
        _entry(own["end_time"]),
        _entry(own["own_onset"], "lower"),
        _entry(own["kernel_drift"]),
        _entry(own["time"], "higher", "not reached"),
        _entry(own["predicted_time"], "higher", "not reached"),
    ]


def _entry(values: pd.Series, middle: Middle = "linear", none: str = "never") -> str:
    """Median with least and greatest, where 0 and infinity stand for what did not happen.

    The median of such values is one of them (`middle` as `numpy.quantile` names it).
    """
    known = values.dropna().to_numpy(float)
    if not len(known):
        return "—"
    shown = [np.quantile(known, 0.5, method=middle), known.min(), known.max()]
    texts = [none if one == 0 or np.isinf(one) else number(one, DIGITS) for one in shown]
    if shown[1] == shown[2]:
        return texts[0]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"


def _between(values: Sequence[float] | pd.Series) -> str:
    low, high = (number(end, 2) for end in (np.min(values), np.max(values)))
    return low if low == high else f"{low} to {high}"


def _networks(count: int) -> str:
    return f"{count} network{'' if count == 1 else 's'}"


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"


def _seeds(values: pd.DataFrame) -> str:
    """How many seeds stand behind a number."""
    counts = values.groupby(CELL).size()
    low, high = int(counts.min()), int(counts.max())
    if high == 1:
        return (
            "One seed: each number is that of a single draw of the weights. Add seed=range(0,5) to "
            "the command that made the runs."
        )
    seeds = f"{low}" if low == high else f"{low} to {high}"
    return (
        f"Medians over {seeds} seeds, with the least and the greatest in brackets; of losses and "
        "times the median is one of the values, that of the later event."
    )


def _every_seed(known: pd.DataFrame) -> str:
    return " for every seed" if known["seed"].nunique() > 1 else ""


def _names(known: pd.DataFrame, chosen: pd.Series) -> str:
    """The networks with their range of final rates, the first of many."""
    networks = [one for one in list_cells(known) if chosen[one]]
    texts = [
        f"{network_title(one)} ({_between(rows_of(known, one)['final_rate'])})"
        for one in networks[:SHOWN_NAMES]
    ]
    more = len(networks) - SHOWN_NAMES
    return ", ".join(texts) + (f" and {more} more" if more > 0 else "")
