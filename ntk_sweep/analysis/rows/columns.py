"""Names of tasks and columns, beside those of `ntk_sweep.store.columns`."""

from __future__ import annotations

from ntk_sweep.store.columns import NETWORK, TRAINING_SETTING

SPECTRUM, TRAINING = "spectrum", "training"
"""The tasks whose rows are shown."""

LINE = ["act", "depth"]
"""A curve over widths."""

RUN = [*NETWORK, *TRAINING_SETTING, "record_kernel_every"]
"""What tells the training runs of a group apart."""
