"""`ntk-sweep status`: how far sweeps are, told by their results from any terminal."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from ntk_sweep import exit_status
from ntk_sweep.commands.status import show_status, watch_status
from ntk_sweep.errors import SweepError

_EPILOG = """\
examples:
  ntk-sweep status results
  ntk-sweep status s3://bucket/prefix --watch

exit status: 0, whether a sweep is at work or not; 2 if there is nothing or it cannot be read; of
--watch 128 and the number of the signal that ends it, 130 for Ctrl-C.
"""


def status(arguments: Sequence[str]) -> int:
    """Shows how far sweeps are; returns the exit status.

    Args:
        arguments: As typed behind `ntk-sweep status`.
    """
    options = _parser().parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    show = watch_status if options.watch else show_status
    try:
        return show(options.results, console)
    except SweepError as error:
        told = Console(highlight=False, soft_wrap=True, markup=False, stderr=True)
        told.print(f"error: {error}")
        return exit_status.MISTAKE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ntk-sweep status",
        description="How far the sweeps of a results folder are, task by task: points done, failed "
        "and left, points a second, time left, and the process that computes them. It reads the "
        "rows and the marks of running sweeps, disturbs nothing, and works on every machine that "
        "sees the results.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("results", metavar="RESULTS", help="the results folder or URI of a sweep")
    parser.add_argument(
        "--watch", action="store_true", help="look again every few seconds, until Ctrl-C"
    )
    return parser
