"""Protects the expected cost of a job: what it grows with, and how it compares with training."""

import numpy as np
import pytest

from ntk_sweep.dispatch.cost import FLOW_SPECTRA, OVERHEAD_SECONDS, expected_seconds, seconds_of
from ntk_sweep.settings.schema import TrainingConfig


def test_a_wider_and_a_deeper_network_cost_more(plain_jobs):
    costs = [
        expected_seconds(plain_jobs(*shape)) for shape in ((1, 2), (100, 2), (100, 5), (900, 5))
    ]
    assert costs == sorted(costs)
    assert costs[0] > OVERHEAD_SECONDS


def test_the_cost_is_the_one_that_was_measured(plain_jobs):
    """Seconds of one core: chunks, rates and the time left rest on it."""
    spectrum = plain_jobs(1000, 5)
    training = plain_jobs(1000, 5, TrainingConfig())
    batches = plain_jobs(1000, 5, TrainingConfig(batch_size=50, record_kernel_every=7))
    assert expected_seconds(spectrum) == pytest.approx(0.331712)
    assert expected_seconds(training) == pytest.approx(42.038912)
    assert expected_seconds(batches) == pytest.approx(20.08288)


def test_epochs_steps_and_kernels_are_paid_for(plain_jobs):
    def seconds(**settings):
        return expected_seconds(plain_jobs(50, 4, TrainingConfig(**settings)))

    spectrum = expected_seconds(plain_jobs(50, 4))
    single, double = seconds(epochs=10) - spectrum, seconds(epochs=20) - spectrum
    assert double == pytest.approx(2 * single)
    assert seconds(batch_size=1) > seconds(batch_size=20) > seconds(batch_size=None)
    assert seconds(batch_size=None) == seconds(batch_size=200) == seconds(batch_size=999)
    assert seconds(batch_size=60) == seconds(batch_size=50), "the last batch may be smaller"
    extra = seconds(epochs=10, record_kernel_every=3) - seconds(epochs=10)
    assert extra == pytest.approx(3 * (spectrum - OVERHEAD_SECONDS))


def test_a_flow_costs_spectra_and_no_epochs(plain_jobs):
    spectrum = expected_seconds(plain_jobs(50, 4)) - OVERHEAD_SECONDS
    flow = expected_seconds(plain_jobs(50, 4, TrainingConfig(optimiser="flow")))
    assert flow == pytest.approx(OVERHEAD_SECONDS + (1 + FLOW_SPECTRA) * spectrum)


def test_rows_of_both_optimisers_are_costed_together(plain_jobs):
    """As the time left is, of columns in which null is NaN."""
    settings = [TrainingConfig(), TrainingConfig(optimiser="flow")]
    sizes = {
        "width": 50,
        "depth": 4,
        "n_samples": 200,
        "n_inputs": plain_jobs(50, 4).dataset.x.shape[1],
    }
    every = [one.columns(200) for one in settings]
    names = ("batch_size", "epochs", "record_kernel_every", "flow_tolerance")
    columns = {name: np.array([one[name] for one in every], dtype=float) for name in names}
    expected = [expected_seconds(plain_jobs(50, 4, one)) for one in settings]
    assert seconds_of(sizes | columns) == pytest.approx(expected)
