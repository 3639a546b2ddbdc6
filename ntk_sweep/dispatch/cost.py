"""The expected cost of a job, in seconds of one worker.

The constants were measured on one core of a server of 2023. Only their ratios matter much:
`ntk_sweep.dispatch.queue.ChunkQueue` corrects the scale as reports come in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ntk_sweep.dispatch.plan import Job
from ntk_sweep.spectrum.methods import CERTIFIED

SIZES = ("width", "depth", "n_samples", "n_inputs")

TRAINING = ("batch_size", "epochs", "record_kernel_every", "flow_tolerance")
"""The columns, beside the sizes, that training costs by."""

OVERHEAD_SECONDS = 0.01
"""Of the smallest point."""

SECONDS_PER_DRAW = 1e-8
"""Of a weight."""

SECONDS_PER_PASS_FLOP = 4e-11
"""Of the forward and backward passes."""

SECONDS_PER_GRAM_FLOP = 2e-10
"""Of the Gram matrices, in float64 and double-double.

The latter are not always needed, so this errs upwards.
"""

CERTIFIED_SPECTRA = 200
"""Of ball arithmetic: how many spectra in float64 and double-double it costs as much as."""

SECONDS_PER_LAYER_STEP = 3e-5
"""Of training: what a layer costs in a step, however narrow it is."""

FLOW_SPECTRA = 10
"""Of following the gradient flow: how many spectra it costs as much as. Smooth flows at a tolerance
of 0.01 cost 5 to 10, those that slide along kinks a hundred and more."""

SECONDS_PER_WEIGHT_STEP = 4e-10
"""Of training: what a hidden layer's weight costs in a step."""


def expected_seconds(job: Job) -> float:
    """The cost of a job: its spectrum, and its training if that is its task."""
    network = job.point.architecture
    n_samples, n_inputs = job.dataset.x.shape
    sizes = {
        "width": network.width,
        "depth": network.depth,
        "n_samples": n_samples,
        "n_inputs": n_inputs,
    }
    settings = job.point.settings
    spectra = CERTIFIED_SPECTRA if settings.kernel_method == CERTIFIED else 1
    return spectra * float(seconds_of(sizes | settings.columns(n_samples)))


def seconds_of(columns: Mapping[str, Any]) -> Any:
    """The cost of points whose rows have these columns, each one number or an array.

    Args:
        columns: `SIZES`, and of training `TRAINING`; others are ignored.
    """
    width, depth = columns["width"], columns["depth"]
    n_samples, n_inputs = columns["n_samples"], columns["n_inputs"]
    weights = width * n_inputs + width * width * (depth - 2)
    passes = 4 * n_samples * weights
    gram = 2 * n_samples**2 * (n_inputs + 2 * width * (depth - 1) + 20 * n_samples)
    spectrum = (
        SECONDS_PER_DRAW * weights + SECONDS_PER_PASS_FLOP * passes + SECONDS_PER_GRAM_FLOP * gram
    )
    return OVERHEAD_SECONDS + spectrum + _training_seconds(columns, spectrum, passes)


def _training_seconds(columns: Mapping[str, Any], spectrum: Any, passes: Any) -> Any:
    """The cost of the training alone.

    Args:
        columns: Of points of any task.
        spectrum: Seconds of one spectrum.
        passes: Floating-point operations of one forward and backward pass over all samples.
    """
    if "epochs" not in columns:
        return 0.0
    # NaN for None
    epochs, every = (
        np.asarray(columns[name], dtype=float) for name in ("epochs", "record_kernel_every")
    )
    hidden_weights = columns["width"] ** 2 * (columns["depth"] - 2)
    step = SECONDS_PER_LAYER_STEP * columns["depth"] + SECONDS_PER_WEIGHT_STEP * hidden_weights
    # A larger batch costs a step at least the arithmetic of its passes, of which an epoch holds
    # one and a half.
    steps = -(-columns["n_samples"] // np.asarray(columns["batch_size"], dtype=float))
    epoch = steps * step + 1.5 * SECONDS_PER_PASS_FLOP * passes
    kernels = np.nan_to_num(epochs // every)
    is_flow = ~np.isnan(np.asarray(columns["flow_tolerance"], dtype=float))
    return np.where(is_flow, FLOW_SPECTRA * spectrum, epochs * epoch + kernels * spectrum)
