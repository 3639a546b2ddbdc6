"""Loads matplotlib for the command line, whatever its settings on this machine are.

Figures here need none of matplotlib's settings: they are drawn into memory, in a look of their own.
"""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module

from ntk_sweep import exit_status


def load_matplotlib() -> None:
    """Imports matplotlib without the user's backend and settings file, in pools of processes too.

    Jupyter and Colab export a backend that only their own process has. This is for the command
    alone: a notebook that imports the package keeps its backend.

    Raises:
        SystemExit: A `matplotlibrc` in the working folder, which matplotlib never passes over,
            cannot be read; or there is no folder for its cache. The message is printed.
    """
    os.environ["MPLBACKEND"] = "agg"
    os.environ["MATPLOTLIBRC"] = os.devnull
    # It warns of a cache that it cannot keep, and of settings that are not used.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        import_module("matplotlib")
    except UnicodeDecodeError as error:
        _end(
            f"{os.path.abspath('matplotlibrc')} is not UTF-8 ({error.reason}, byte {error.start}), "
            "and matplotlib reads it: save it as UTF-8, move it away, or call ntk-sweep elsewhere"
        )
    except OSError as error:
        _end(
            f"matplotlib cannot start: {error}\n"
            "let MPLCONFIGDIR name a folder that can be written; a matplotlibrc in the working "
            "folder must be readable"
        )


def _end(message: str) -> None:
    sys.stderr.write(f"error: {message}\n")
    sys.exit(exit_status.MISTAKE)
