"""Protects the time after which a loss stays below a threshold, and what is censored."""

from __future__ import annotations

import numpy as np
import pytest

from ntk_sweep.analysis.statistics.event_times import (
    EventTimes,
    median_times,
    share_of_start,
    stays_below,
)

INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("losses", "time", "observed"),
    [
        ([1, 0.1, 0.01], 1.0, True),
        ([1, 0.01, 1, 0.01, 0.001], 2.5, True),  # a first passage would be at 0.5
        ([1, 0.1], 1.0, True),  # at the threshold counts as below
        ([1, 0.01, 1], 2.0, False),
        ([0.1, 0.05], 0.0, True),
        ([0.05, 1, 0.01], 1.5, True),
        ([1, INF, 0.01], 2.0, True),
        ([1, NAN, 0.01], 2.0, True),
        ([1, 0.01, NAN], 2.0, False),
        ([1], 0.0, False),
        (np.array([1, 0.1], dtype=np.float32) * 1.5, 1.0, False),
        ([], NAN, False),
        (None, NAN, False),
    ],
)
def test_stays_below(losses, time, observed):
    found = stays_below([losses], 0.1)
    np.testing.assert_allclose(found.times, [time])
    assert found.observed.tolist() == [observed]


def test_a_loss_of_zero_is_reached_after_the_loss_before():
    found = stays_below([[1, 0.0]], 0.1)
    assert found.observed[0] and 0 < found.times[0] < 0.01


def test_an_exponential_is_interpolated_exactly():
    losses = 3 * np.exp(-0.7 * np.arange(9))
    found = stays_below([losses], share_of_start([losses], 0.2))
    assert found.times[0] == pytest.approx(np.log(5) / 0.7)


def test_scaling_a_loss_leaves_its_time_to_a_share():
    losses = np.array([2, 0.7, 1.1, 0.3, 0.05])
    histories = [losses, 1000 * losses, None, [INF, 1.0], [0.0, 0.0]]
    thresholds = share_of_start(histories, 0.1)
    np.testing.assert_allclose(thresholds, [0.2, 200, NAN, NAN, NAN])
    found = stays_below(histories, thresholds)
    assert found.times[0] == pytest.approx(found.times[1])
    assert np.isnan(found.times[2:]).all() and not found.observed[2:].any()


def test_a_diverged_run_never_gets_there():
    found = stays_below([[1, 0.01], [1, 0.01]], 0.1, never=np.array([True, False]))
    assert found.times[0] == INF and found.observed.tolist() == [False, True]


@pytest.mark.parametrize("threshold", [0, -1])
def test_a_threshold_that_no_logarithm_has_is_refused(threshold):
    with pytest.raises(ValueError, match="must be above 0"):
        stays_below([[1, 0.5]], threshold)


def test_medians_of_seeds():
    times = np.array([1, 9, 5, 2, 9, 9, 4, 7, NAN, NAN, 3, 2, 9])
    observed = np.array([1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0], dtype=bool)
    networks = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 4, 4, 4])
    found = median_times(EventTimes(times, observed), networks)
    np.testing.assert_array_equal(found.times, [5, 9, 5.5, NAN, 3])
    assert found.observed.tolist() == [True, False, True, False, True]


@pytest.mark.parametrize(
    ("times", "events", "least"),
    [([2, 5, 9], 1, 5), ([7, 5, 9], 1, 7), ([2, 5], 1, 3.5), ([2, 3, 5, INF], 2, 4)],
)
def test_a_censored_median_has_the_least_time_that_it_can_have(times, events, least):
    observed = np.arange(len(times)) < events
    found = median_times(EventTimes(np.array(times, float), observed), np.zeros(len(times), int))
    assert (found.times.tolist(), found.observed.tolist()) == ([least], [False])


def test_censored_runs_are_last():
    events = EventTimes(np.array([3.0, 2.0, NAN, INF]), np.array([True, False, False, False]))
    np.testing.assert_array_equal(events.last(), [3, INF, NAN, INF])
