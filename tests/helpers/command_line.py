"""The command line in the tests' own process."""

import runpy
import sys
from unittest import mock

from tests.helpers.places import ROOT


def launch(*arguments):
    """Runs launch.py as a script with these arguments; its exit status."""
    with mock.patch.object(sys, "argv", ["launch.py", *arguments]):
        try:
            runpy.run_path(str(ROOT / "launch.py"), run_name="__main__")
        except SystemExit as ended:
            return ended.code or 0
    return 0
