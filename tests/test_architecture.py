"""Protects the house: who imports whom, what loads torch, and what the numerics must not know."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.places import ROOT

LIGHT = [
    "ntk_sweep",
    "ntk_sweep.errors",
    "ntk_sweep.data.dataset",
    "ntk_sweep.dispatch.sweep",
    "ntk_sweep.settings.schema",
    "ntk_sweep.settings.point",
    "ntk_sweep.store.store",
    "ntk_sweep.store.writer",
]
DOORS = sorted(path.parent for path in (ROOT / "ntk_sweep").rglob("__init__.py"))
PACKAGES = {path.name for path in DOORS if path.parent.name == "ntk_sweep"} - {"conf", "ntk_sweep"}
NUMERICS = sorted(
    path
    for name in ("numerics", "network", "kernel", "spectrum", "limit", "training", "dynamics")
    for path in (ROOT / "ntk_sweep" / name).rglob("*.py")
)


def imported_by(package):
    """The packages of ntk_sweep whose modules this one imports."""
    found = set()
    for path in (ROOT / "ntk_sweep" / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ntk_sweep."):
                found.add(node.module.split(".")[1])
    return (found & PACKAGES) - {package}


def test_the_table_of_packages_says_what_each_imports():
    rows = re.findall(
        r"^\| (`ntk_sweep/.*/`) \|.*\| ([^|]*) \|$",
        (ROOT / "docs" / "development.md").read_text(),
        re.MULTILINE,
    )
    stated = {
        package: PACKAGES & set(re.findall(r"\w+", imports))
        for names, imports in rows
        for package in re.findall(r"ntk_sweep/(\w+)/", names)
    }
    assert stated == {package: imported_by(package) for package in PACKAGES}


def module_name(path):
    name = ".".join(Path(path).relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def loaded_by(modules):
    """The modules in a fresh interpreter after importing `modules`."""
    code = f"import sys, {', '.join(modules)}; print(' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def imports_of(path):
    """Everything that a module names in an import, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_imports_keep_the_contract():
    run = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("module", LIGHT)
def test_what_reads_and_checks_needs_neither_torch_nor_ray(module):
    loaded = loaded_by([module])
    assert module in loaded
    assert not loaded & {"torch", "ray", "torchvision", "sklearn", "matplotlib"}


def test_analysis_needs_neither_torch_nor_ray():
    modules = [module_name(path) for path in (ROOT / "ntk_sweep" / "analysis").rglob("*.py")]
    assert len(modules) > 1
    assert not loaded_by(modules) & {"torch", "ray", "hydra"}


def test_hydra_plugins_load_neither_torch_nor_ray():
    plugins = [module_name(path) for path in (ROOT / "hydra_plugins").rglob("*.py")]
    assert len(plugins) > 1
    assert not loaded_by(plugins) & {"torch", "ray"}


def test_hydra_plugins_is_a_namespace_package():
    assert not (ROOT / "hydra_plugins" / "__init__.py").exists()


@pytest.mark.parametrize("path", NUMERICS, ids=module_name)
def test_numerics_know_no_settings_path_logger_or_cluster(path):
    foreign = {"ray", "hydra", "omegaconf", "pandas", "pyarrow", "logging", "pathlib", "os", "rich"}
    assert not {imported.split(".")[0] for imported in imports_of(path)} & foreign


@pytest.mark.parametrize("folder", DOORS, ids=lambda path: path.name)
def test_every_door_says_what_lives_there(folder):
    door = (folder / "__init__.py").read_text()
    text = ast.get_docstring(ast.parse(door))
    assert text is not None
    assert folder.name == "ntk_sweep" or text.count(".") >= 3, "what lives here, imports, why"
    if folder.name != "ntk_sweep":
        assert not imports_of(folder / "__init__.py"), "doors are empty, lest they load torch"


def test_entry_point_is_thin():
    assert len((ROOT / "launch.py").read_text().splitlines()) < 40
