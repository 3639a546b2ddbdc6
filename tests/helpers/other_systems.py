"""Other systems than Linux, as far as this process can show them: what they lack is taken away.

``python -m tests.helpers.other_systems proc,sighup launch.py …`` runs a program without these.
"""

import builtins
import ctypes
import os
import runpy
import signal
import sys

import numpy as np

OURS = ("ntk_sweep", "hydra_plugins", "analysis")


def _without_sighup():
    """Windows."""
    del signal.SIGHUP


def _without_mallopt():
    """Windows: `CDLL(None)` is a TypeError. macOS: there is no such function."""
    library = ctypes.CDLL

    def windows(name, *arguments, **others):
        if name is None:
            raise TypeError("bad argument type for built-in operation")
        return library(name, *arguments, **others)

    ctypes.CDLL = windows


def _without_affinity():
    """macOS and Windows."""
    del os.sched_getaffinity, os.sched_setaffinity


def _without_proc():
    """macOS and Windows; libraries, which know other ways there, go on to see the folder."""
    for module, name in ((builtins, "open"), (os, "readlink"), (os, "stat"), (os, "listdir")):
        setattr(module, name, _hiding(getattr(module, name)))
    access = os.access
    os.access = lambda path, mode: not _is_hidden(path) and access(path, mode)


def _hiding(function):
    def hidden(path, *arguments, **others):
        caller = sys._getframe(1).f_globals.get("__name__", "")
        ours = caller.split(".")[0] in (*OURS, "pathlib")
        if ours and _is_hidden(path):
            raise FileNotFoundError(2, "No such file or directory", path)
        return function(path, *arguments, **others)

    return hidden


def _is_hidden(path):
    return str(path).startswith(("/proc", "/sys"))


def _without_extended_precision():
    """macOS on ARM and Windows: the longest float is a double."""
    np.longdouble = np.float64


MISSING = {
    "sighup": _without_sighup,
    "mallopt": _without_mallopt,
    "affinity": _without_affinity,
    "extended-precision": _without_extended_precision,
    "proc": _without_proc,
}


def take_away(names):
    for name in names:
        MISSING[name]()


if __name__ == "__main__":
    take_away(sys.argv[1].split(","))
    del sys.argv[:2]
    sys.path.insert(0, os.getcwd())
    runpy.run_path(sys.argv[0], run_name="__main__")
