"""A door to `ntk-sweep run` in a checkout.

One network is `python launch.py act=relu`, a sweep is `python launch.py -m act=relu,elu`.
"""

from __future__ import annotations

import sys

from ntk_sweep.cli.command import RUN, main

if __name__ == "__main__":
    sys.exit(main([RUN, *sys.argv[1:]]))
