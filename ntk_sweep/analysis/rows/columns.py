"""Names of tasks and columns, beside those of `ntk_sweep.store.columns`."""

from __future__ import annotations

SPECTRUM, TRAINING = "spectrum", "training"
"""The tasks whose rows are shown."""

LINE = ["act", "depth"]
"""A curve over widths."""
