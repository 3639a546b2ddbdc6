"""The command lines in the tests' own process, which has all modules loaded."""

import gc
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
        # Garbage that an ending process keeps would stay here to the end of the tests.
        kept = mock.patch.multiple(gc, freeze=mock.DEFAULT, set_threshold=mock.DEFAULT)
        with mock.patch.object(sys, "argv", [name, *arguments]), kept:
            run(name, run_name="__main__")
    except SystemExit as ended:
        return ended.code or 0
    finally:  # a command takes them over for good
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return 0
