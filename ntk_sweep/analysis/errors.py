"""What the analysis raises."""

from __future__ import annotations

from ntk_sweep.errors import SweepError


class AnalysisError(SweepError):
    """There are no rows for what was asked; the message says which command makes them."""
