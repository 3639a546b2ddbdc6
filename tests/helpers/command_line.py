"""The command lines in the tests' own process, which has all modules loaded."""

import runpy
import sys
from unittest import mock

from tests.helpers.places import ROOT


def launch(*arguments):
    """Runs launch.py as a script with these arguments; its exit status."""
    return _status(runpy.run_path, str(ROOT / "launch.py"), arguments)


def analyse(*arguments):
    """Runs `ntk-sweep` with these arguments; its exit status."""
    return _status(runpy.run_module, "analysis", arguments)


def _status(run, name, arguments):
    with mock.patch.object(sys, "argv", [name, *arguments]):
        try:
            run(name, run_name="__main__")
        except SystemExit as ended:
            return ended.code or 0
    return 0
