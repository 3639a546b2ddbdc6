"""Steps, epochs and flow time convert as a data loader counts; nonsense is refused."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from ntk_sweep.dynamics.training_time import TrainingTime


@given(size=st.integers(1, 40), batch_size=st.integers(1, 40), epochs=st.integers(0, 6))
def test_steps_are_those_of_a_data_loader(size, batch_size, epochs):
    assume(batch_size <= size)
    time = TrainingTime(size, batch_size, 0.25)
    loader = torch.utils.data.BatchSampler(range(size), batch_size, drop_last=False)
    taken = sum(1 for _ in range(epochs) for _ in loader)
    assert time.steps_per_epoch == len(loader)
    assert time.steps(epochs) == taken
    assert time.epochs(taken) == pytest.approx(epochs, rel=1e-15)
    assert time.flow_time(taken) == 0.25 * taken


def test_time_of_the_thesis():
    time = TrainingTime(n_samples=200, batch_size=1, step_size=1e-3)
    assert (time.steps_per_epoch, time.steps(100), time.epochs(300)) == (200, 20_000, 1.5)
    assert time.flow_time(time.steps(100)) == pytest.approx(20, rel=1e-15)


def test_time_takes_numbers_and_arrays():
    time = TrainingTime(20, 7, 0.5)
    assert isinstance(time.steps(4), int)
    assert isinstance(time.epochs(4), float)
    assert isinstance(time.flow_time(4), float)
    steps = time.steps(np.arange(3))
    assert (steps.tolist(), steps.dtype.kind) == ([0, 3, 6], "i")
    assert time.epochs(steps).tolist() == [0, 1, 2]
    assert time.flow_time(steps).tolist() == [0, 1.5, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 0.1), "n_samples is 0, but must be an integer of at least 1"),
        ((20.0, 1, 0.1), r"n_samples is 20\.0, but must be an integer"),
        ((20, True, 0.1), "batch_size is True, but must be an integer"),
        ((20, 0, 0.1), "batch_size is 0, but must be an integer of at least 1"),
        (
            (20, 21, 0.1),
            (
                "batch_size is 21, but there are 20 samples only: full-batch gradient descent has "
                "batch_size=20"
            ),
        ),
        ((20, 1, 0.0), r"step_size is 0\.0, but must be a finite number above 0"),
        ((20, 1, -0.1), r"step_size is -0\.1, but must be a finite number above 0"),
        ((20, 1, np.nan), "step_size is nan, but must be a finite number above 0"),
        ((20, 1, "0.1"), "step_size is '0.1', but must be a finite number above 0"),
    ],
)
def test_nonsensical_runs_are_refused(arguments, message, unchecked):
    with pytest.raises(ValueError, match=message):
        TrainingTime(*arguments)


def test_nonsensical_times_are_refused(unchecked):
    time = TrainingTime(20, 7, 0.5)
    with pytest.raises(ValueError, match="epochs holds -1, but must not be negative"):
        time.steps(-1)
    with pytest.raises(ValueError, match=r"epochs holds 1\.5, but must hold whole numbers"):
        time.steps(np.array([1.0, 1.5]))
    with pytest.raises(ValueError, match="steps holds NaN or infinity"):
        time.flow_time(np.array([1.0, np.inf]))
