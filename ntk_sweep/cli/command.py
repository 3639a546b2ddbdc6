"""The words of `ntk-sweep`: `run` computes; all others read what was computed."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ntk_sweep._version import __version__

RUN, STATUS = "run", "status"

OTHERS = {
    RUN: "compute one network, or with -m a sweep; `ntk-sweep run --help` lists its settings",
    STATUS: "how far sweeps are: done, failed, left, points a second, who computes them",
}
"""The commands beside those of the analysis."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status.

    Args:
        arguments: As typed behind `ntk-sweep`; by default those of this process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    # A terminal without Greek letters shows a question mark in their place.
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    if "--version" in words:
        sys.stdout.write(f"ntk-sweep {__version__}\n")  # Hydra would print its own
        return 0
    # Each loads only what it needs: torch-free, and without drawing where nothing is drawn.
    if words[:1] == [RUN]:
        from ntk_sweep.cli.run import run

        return run(words[1:])
    if words[:1] == [STATUS]:
        from ntk_sweep.cli.status import status

        return status(words[1:])
    from ntk_sweep.cli.matplotlib_settings import load_matplotlib

    load_matplotlib()
    from ntk_sweep.analysis.cli import main as analyse

    return analyse(words, OTHERS)
