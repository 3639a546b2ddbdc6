"""The expected cost of a job, in seconds of one worker.

The constants were measured on one core of a server of 2023. Only their ratios matter much:
`ntk_sweep.dispatch.queue.ChunkQueue` corrects the scale as reports come in.
"""

from __future__ import annotations

from ntk_sweep.dispatch.plan import Job
from ntk_sweep.settings.schema import TrainingConfig

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

SECONDS_PER_LAYER_STEP = 3e-5
"""Of training: what a layer costs in a step, however narrow it is."""

SECONDS_PER_WEIGHT_STEP = 4e-10
"""Of training: what a hidden layer's weight costs in a step."""


def expected_seconds(job: Job) -> float:
    """The cost of a job: its spectrum, and its training if that is its task."""
    width, depth = job.point.architecture.width, job.point.architecture.depth
    n_samples, n_inputs = job.dataset.x.shape
    weights = width * n_inputs + width * width * (depth - 2)
    passes = 4 * n_samples * weights
    gram = 2 * n_samples**2 * (n_inputs + 2 * width * (depth - 1) + 20 * n_samples)
    spectrum = (
        SECONDS_PER_DRAW * weights + SECONDS_PER_PASS_FLOP * passes + SECONDS_PER_GRAM_FLOP * gram
    )
    return OVERHEAD_SECONDS + spectrum + _training_seconds(job, spectrum, passes)


def _training_seconds(job: Job, spectrum: float, passes: int) -> float:
    """The cost of the training alone.

    Args:
        job: Of any task.
        spectrum: Seconds of one spectrum.
        passes: Floating-point operations of one forward and backward pass over all samples.
    """
    settings = job.point.settings
    if not isinstance(settings, TrainingConfig):
        return 0.0
    n_samples, depth = len(job.dataset.x), job.point.architecture.depth
    batch_size = settings.used_batch_size(n_samples)
    hidden_weights = job.point.architecture.width**2 * (depth - 2)
    step = SECONDS_PER_LAYER_STEP * depth + SECONDS_PER_WEIGHT_STEP * hidden_weights
    # A larger batch costs a step at least the arithmetic of its passes, of which an epoch holds
    # one and a half.
    epoch = -(-n_samples // batch_size) * step + 1.5 * SECONDS_PER_PASS_FLOP * passes
    every = settings.record_kernel_every
    kernels = settings.epochs // every if every else 0
    return settings.epochs * epoch + kernels * spectrum
