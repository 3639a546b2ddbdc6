"""``python -m analysis``."""

from __future__ import annotations

import sys

from analysis.cli import main

if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # a terminal without Greek letters shows question marks
    sys.exit(main())
