"""Modules that other libraries load without using them, left until one of their names is used."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import LazyLoader, find_spec, module_from_spec

NEEDLESS = ("fontTools.subset", "numpy.f2py")
"""The first is for PDF files with fonts of TrueType, which no figure here has; the second is looked
at by SciPy, with all names of NumPy. They take a sixth of the loading of a report."""


def load_later() -> None:
    """Has `NEEDLESS` wait, for commands that draw; a process that loads one of them has it."""
    for name in NEEDLESS:
        spec = None if name in sys.modules else find_spec(name)
        if spec is None or spec.loader is None:
            continue
        spec.loader = LazyLoader(spec.loader)
        module = module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        # `from parent import name` asks for the attribute, and loads nothing that is there.
        parent, _, last = name.rpartition(".")
        setattr(import_module(parent), last, module)
