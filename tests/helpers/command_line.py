"""The command lines in the tests' own process, which has all modules loaded."""

import runpy
import signal
import sys
from unittest import mock

from ntk_sweep.dispatch.signals import SIGNALS
from tests.helpers.places import ROOT


def launch(*arguments):
    """Runs launch.py as a script with these arguments; its exit status."""
    return _status(runpy.run_path, str(ROOT / "launch.py"), arguments)


def analyse(*arguments):
    """Runs `ntk-sweep` with these arguments; its exit status."""
    return _status(runpy.run_module, "analysis", arguments)


def _status(run, name, arguments):
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        with mock.patch.object(sys, "argv", [name, *arguments]):
            run(name, run_name="__main__")
    except SystemExit as ended:
        return ended.code or 0
    finally:  # a command takes them over for good
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return 0
