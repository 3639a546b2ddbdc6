"""The columns by which rows are kept apart and put together."""

from __future__ import annotations

SPECTRUM, TRAINING = "spectrum", "training"
"""The tasks whose rows are shown."""

GROUP = ["data", "data_fingerprint", "parametrisation", "dtype"]
"""What is never mixed."""

CELL = ["act", "width", "depth"]
"""A cell: its seeds are averaged."""

LINE = ["act", "depth"]
"""A curve over widths."""

NETWORK = [*CELL, "seed"]
"""What tells the networks of a group apart."""

SETTING = ["learning_rate", "learning_rate_unit", "batch_size", "epochs", "shuffle"]
"""How a network was trained: runs that differ in one of these are never averaged."""

RUN = [*NETWORK, *SETTING, "record_kernel_every"]
"""What tells the training runs of a group apart."""
