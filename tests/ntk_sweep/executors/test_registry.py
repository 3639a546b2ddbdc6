"""Protects the registry of executors: an entry is all it takes to add one."""

import ast
import runpy
import subprocess
import sys

import numpy as np
import pytest
from hydra.core.config_store import ConfigStore

from hydra_plugins.ntk_sweep_hydra.launchers import register
from ntk_sweep.errors import ConfigError
from ntk_sweep.executors.registry import EXECUTORS, load_executor
from ntk_sweep.executors.serial import SerialExecutor
from ntk_sweep.store.reading import load_results
from tests.helpers.places import ROOT


class CountingExecutor(SerialExecutor):
    """Counts the chunks that are submitted to it."""

    submitted = 0

    def submit(self, number, spec, dataset):
        CountingExecutor.submitted += 1
        super().submit(number, spec, dataset)


@pytest.fixture
def counting(monkeypatch):
    """An executor of that name, for the length of a test."""
    monkeypatch.setitem(EXECUTORS, "counting", f"{__name__}:CountingExecutor")
    monkeypatch.setattr(CountingExecutor, "submitted", 0)
    register()
    yield
    del ConfigStore.instance().repo["hydra"]["launcher"]["counting.yaml"]


def launch(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["launch.py", *arguments])
    try:
        runpy.run_path(str(ROOT / "launch.py"), run_name="__main__")
    except SystemExit as ended:
        return ended.code or 0
    return 0


def test_an_executor_is_one_entry(counting, monkeypatch, tmp_path, npz):
    path = npz(x=np.random.default_rng(0).random((5, 3)), y=np.arange(5))
    sweep = ("data=npz", f"data.path={path}", "width=3,4", f"results={tmp_path}")
    assert launch(monkeypatch, "-m", "hydra/launcher=counting", *sweep) == 0
    assert CountingExecutor.submitted == 2
    assert load_results(tmp_path / "spectrum").width.tolist() == [3, 4]


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"foo is unknown.*launcher=serial, .*launcher=ray"):
        load_executor("foo")


def test_an_unknown_name_on_the_command_line_is_a_message(monkeypatch, capsys):
    assert launch(monkeypatch, "-m", "hydra.launcher.executor=foo", "data=digits") == 2
    assert "the executor foo is unknown" in capsys.readouterr().err


def test_the_registry_loads_no_executor():
    code = "import sys, ntk_sweep.executors.registry; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout.split()
    assert not {"torch", "ray", *(f"ntk_sweep.executors.{name}" for name in EXECUTORS)} & set(
        loaded
    )


def test_only_the_files_named_ray_import_ray():
    for path in (ROOT / "ntk_sweep").rglob("*.py"):
        names = {
            alias.name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            for alias in getattr(node, "names", [])
            if isinstance(node, ast.Import)
        } | {
            (node.module or "").split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
        }
        assert "ray" not in names or path.name.startswith("ray"), path
