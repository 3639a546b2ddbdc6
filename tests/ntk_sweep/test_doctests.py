"""Protects the examples in docstrings: each runs and prints what it shows."""

import doctest
from importlib import import_module

import pytest

from tests.helpers.places import ROOT

MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "ntk_sweep").rglob("*.py"))
    if ">>> " in path.read_text()
]

PUBLIC = {
    "ntk_sweep.cli.notebook",
    "ntk_sweep.kernel.diagnostics",
    "ntk_sweep.kernel.empirical",
    "ntk_sweep.limit.critical_line",
    "ntk_sweep.limit.mean_field",
    "ntk_sweep.network.fully_connected",
    "ntk_sweep.spectrum.extreme_eigenvalues",
    "ntk_sweep.spectrum.jacobian_svd",
    "ntk_sweep.spectrum.spectrum",
    "ntk_sweep.store.reading",
}


def test_modules_of_public_functions_have_examples():
    assert set(MODULES) >= PUBLIC


@pytest.mark.parametrize("module", MODULES)
def test_examples_run(module):
    failed, attempted = doctest.testmod(import_module(module))
    assert attempted and not failed
