"""What the exit status of a command says."""

from __future__ import annotations

FAILED = 1
"""A point failed."""

MISTAKE = 2
"""Nothing was computed, or the results could not be kept: the message says what to mend."""

LOST = 3
"""All was done, but what it said could not be written."""

SIGNAL = 128
"""Plus the signal's number: the shell's convention."""
