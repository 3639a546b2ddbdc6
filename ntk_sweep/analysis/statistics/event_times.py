"""The time after which a loss stays at or below a threshold, for runs that may end before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class EventTimes:
    """Times to an event, some of them known only to be greater (right-censored).

    Attributes:
        times: (runs,), in any unit. Of a censored run the end of its budget, or infinity where the
            event never comes; NaN where nothing is known.
        observed: (runs,), whether the event came within the run.
    """

    times: np.ndarray
    observed: np.ndarray

    def last(self) -> np.ndarray:
        """The times with infinity for every censored run, which then tie as the slowest.

        This is an order only if no run's budget ends before another's event.
        """
        return np.where(self.observed | np.isnan(self.times), self.times, np.inf)


Histories = Sequence[Sequence[float] | np.ndarray | None]
"""Of each run the numbers of its course; None if unknown."""


def share_of_start(histories: Histories, share: float) -> np.ndarray:
    """A share of each run's own first loss, as a threshold for `stays_below`, (runs,).

    NaN where that loss is not known, not finite or 0.
    """
    first = [np.nan if one is None or not len(one) else float(one[0]) for one in histories]
    start = np.array(first, dtype=float)
    return share * np.where(np.isfinite(start) & (start > 0), start, np.nan)


def stays_below(
    histories: Histories,
    thresholds: float | np.ndarray,
    never: np.ndarray | None = None,
) -> EventTimes:
    """When each loss falls to a threshold for the last time.

    It is the first time after which the loss stays at or below the threshold to the end of the run;
    a first passage of a noisy loss comes earlier. Times are epochs: places in the history. Between
    two entries the logarithm of the loss is linear in time. A loss that is not finite is above
    every threshold, and no time is interpolated next to it. The event is only known of the run's
    own span: a run that stops once it is below counts as staying there.

    Args:
        histories: Of each run the losses from the start on; None or empty if unknown.
        thresholds: Above 0; one for all runs, or (runs,), NaN where it is not known.
        never: (runs,), runs that are known never to get there: diverged ones.

    Returns:
        0 where it is below from the start; the last time, censored, where the run ends above;
        infinity, censored, for `never`; NaN for an unknown history or threshold.
    """
    count = len(histories)
    levels = np.broadcast_to(np.asarray(thresholds, dtype=float), (count,))
    if (levels <= 0).any():
        raise ValueError(f"A threshold is {levels.min():g}: losses to stay below must be above 0.")
    lost = np.zeros(count, dtype=bool) if never is None else np.asarray(never, dtype=bool)
    found, observed = np.full(count, np.nan), np.zeros(count, dtype=bool)
    for run, (losses, level) in enumerate(zip(histories, levels, strict=True)):
        if lost[run]:
            found[run] = np.inf
        elif losses is not None and len(losses) and not np.isnan(level):
            found[run], observed[run] = _last_passage(np.asarray(losses, dtype=float), level)
    return EventTimes(found, observed)


def _last_passage(losses: np.ndarray, level: float) -> tuple[float, bool]:
    above = np.flatnonzero(~(losses <= level))
    if not len(above):
        return 0.0, True
    before = int(above[-1])
    if before == len(losses) - 1:
        return float(before), False
    if not np.isfinite(losses[before]):
        return float(before + 1), True
    # Below the least positive number the logarithm is that number's.
    fall = np.log(losses[before]) - np.log(max(losses[before + 1], np.finfo(float).tiny))
    return float(before + (np.log(losses[before]) - np.log(level)) / fall), True


def median_times(events: EventTimes, networks: np.ndarray) -> EventTimes:
    """The median time of each network over its seeds.

    Censored runs are the slowest; the median is censored if it falls on one, and its time is then
    the least at which it can be: the median of all times. Unknown runs are left out. A median,
    unlike a mean, needs no time of a run that ends before its event.

    Args:
        events: Of runs.
        networks: (runs,), integers 0 … networks - 1.

    Returns:
        Of networks, in the order of their numbers; NaN for a network of which no run is known.
    """
    count = int(networks.max(initial=-1)) + 1
    found, observed = np.full(count, np.nan), np.zeros(count, dtype=bool)
    for network in range(count):
        own = np.flatnonzero((networks == network) & ~np.isnan(events.times))
        if len(own):
            # Events first, each at its time; then the censored, by the ends of their budgets.
            own = own[np.lexsort((events.times[own], ~events.observed[own]))]
            middle = own[[(len(own) - 1) // 2, len(own) // 2]]
            observed[network] = events.observed[middle].all()
            found[network] = (
                events.times[middle].mean() if observed[network] else np.median(events.times[own])
            )
    return EventTimes(found, observed)
