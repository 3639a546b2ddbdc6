"""``python -m ntk_sweep``: the command `ntk-sweep`."""

from __future__ import annotations

import sys

from ntk_sweep.cli.command import main

if __name__ == "__main__":
    sys.exit(main())
