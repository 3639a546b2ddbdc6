"""A torch whose parts are loaded when they are first used is whole for whoever uses them."""

import subprocess
import sys

import pytest

from tests.helpers.places import ROOT

DEFER = """
from ntk_sweep.deferred import _Deferred, defer_parts_of_torch
defer_parts_of_torch()
import torch, sys
assert any(type(module) is _Deferred for module in sys.modules.values())  # which, torch decides
"""
USES = [
    pytest.param("torch.optim.SGD", id="an attribute of a part", marks=pytest.mark.slow),
    pytest.param(
        "import torch._prims as p; assert p is sys.modules['torch._prims']",
        id="a module that parts load",
        marks=pytest.mark.long,
    ),
]
REPORT = """
torch = {name: getattr(module, "__loader__", None) for name, module in sorted(sys.modules.items())
         if name.startswith("torch")}
print({name: type(loader).__name__ for name, loader in torch.items()})
import torch
print(torch.linalg.eigh(torch.empty(3, 3, device="meta"))[0].shape)
"""


@pytest.mark.parametrize("use", USES)
def test_the_first_use_of_a_deferred_part_makes_torch_whole(use):
    def state(start):
        code = "\n".join([start, use, REPORT])
        words = [sys.executable, "-c", code]
        return subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=True).stdout

    assert state(DEFER) == state("import torch, sys")


def test_a_deferred_module_is_loaded_at_its_first_use():
    code = (
        "import sys\n"
        "from ntk_sweep.deferred import UNDRAWN, defer_modules\n"
        "defer_modules([*UNDRAWN, 'no_such_package.part', 'fontTools.no_such_part'])\n"
        "import matplotlib.backends.backend_pdf, scipy.special\n"
        "parts = ['fontTools.ttLib', 'numpy.f2py.rules']\n"
        "assert not any(name in sys.modules for name in parts)\n"
        "from fontTools import subset\n"
        "import numpy.f2py\n"
        "assert subset.Subsetter and numpy.f2py.run_main\n"
        "assert all(name in sys.modules for name in parts)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
