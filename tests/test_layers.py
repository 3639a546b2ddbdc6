import ast
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest
from conftest import REPOSITORY

LIGHT = [
    "ntk_sweep",
    *(
        f"ntk_sweep.{name}"
        for name in ("store", "schema", "config", "datasets", "errors", "dynamics")
    ),
]
PLUGINS = [
    f"hydra_plugins.ntk_sweep_hydra.{path.stem}"
    for path in (REPOSITORY / "hydra_plugins" / "ntk_sweep_hydra").glob("*.py")
]
MODULES = {path.stem for path in (REPOSITORY / "ntk_sweep").glob("*.py")} - {"__init__"}
ANALYSIS = [
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    for path in (REPOSITORY / "analysis").rglob("*.py")
    if "__" not in path.stem
]

NUMERICS = [
    *(
        "activations",
        "parametrisations",
        "linear",
        "network",
        "stack",
        "stream",
        "kernel",
        "passes",
        "doubled",
        "factored",
        "graded",
    ),
    *("jacobian", "rounding", "sizes", "extremes"),
    *(
        "spectrum",
        "gaussian",
        "quadrature",
        "interpolation",
        "duals",
        "limit_errors",
        "limit",
        "diagnostics",
    ),
    *("layers", "input_layers", "training", "arguments", "dynamics"),
]

# What each module of the library may import of the others; downwards only.
BELOW = {
    "errors": set(),
    "activations": {"gaussian"},  # for annotations only
    "parametrisations": set(),
    "linear": set(),
    "network": {"activations", "linear", "parametrisations"},
    "stack": {"activations", "linear", "network"},
    "kernel": {"doubled", "network"},
    "doubled": set(),
    "sizes": set(),
    "stream": {"activations", "linear", "network", "parametrisations"},
    "passes": {"activations", "linear", "network", "stack", "stream"},
    "factored": {"doubled", "passes", "rounding", "sizes"},
    "extremes": {"factored", "network", "passes", "rounding"},
    "graded": {"doubled"},
    "jacobian": {"network"},
    "rounding": {"passes"},
    "spectrum": {"factored", "graded", "jacobian", "network", "passes", "rounding", "sizes"},
    "chunks": {"points", "sizes"},
    "memory": {"config", "points", "sizes"},
    "limits": {"chunks", "datasets", "limit", "points", "sizes"},
    "plan": {"chunks", "config", "datasets", "memory", "points", "sizes", "store"},
    "spectrum_task": {
        *(
            "config",
            "datasets",
            "diagnostics",
            "extremes",
            "factored",
            "limits",
            "memory",
            "network",
            "passes",
            "points",
        ),
        *("sizes", "spectrum", "stream"),
    },
    "training_task": {
        *(
            "config",
            "datasets",
            "diagnostics",
            "dynamics",
            "factored",
            "network",
            "passes",
            "points",
            "spectrum",
        ),
        *("spectrum_task", "training"),
    },
    "stack_task": {
        *(
            "activations",
            "config",
            "datasets",
            "doubled",
            "factored",
            "memory",
            "network",
            "passes",
            "points",
            "rounding",
        ),
        *("sizes", "spectrum", "spectrum_task", "stack"),
    },
    "tasks": {"config", "datasets", "points", "spectrum_task", "stack_task", "training_task"},
    "worker": {"chunks", "datasets", "limits", "permits", "sizes", "store", "tasks", "writing"},
    "executors": {"chunks", "config", "datasets", "errors", "worker"},
    "whereabouts": {"chunks"},
    "shared_limits": {"chunks", "datasets"},
    "ray_executor": {
        *(
            "chunks",
            "config",
            "datasets",
            "errors",
            "executors",
            "filesystems",
            "limits",
            "shared_limits",
            "whereabouts",
            "worker",
        ),
    },
    "progress": set(),
    "signals": set(),
    "summary": {"activations", "sizes"},
    "dispatch": {
        *(
            "chunks",
            "config",
            "errors",
            "executors",
            "memory",
            "permits",
            "plan",
            "progress",
            "signals",
            "tasks",
            "writing",
        ),
    },
    "commands": {
        "config",
        "dispatch",
        "errors",
        "executors",
        "plan",
        "progress",
        "signals",
        "store",
        "summary",
    },
    "gaussian": set(),
    "quadrature": set(),
    "interpolation": {"gaussian", "quadrature"},
    "duals": {"activations", "gaussian", "interpolation", "quadrature"},
    "limit_errors": {"activations", "duals", "gaussian", "quadrature"},
    "limit": {"activations", "duals", "gaussian", "limit_errors", "parametrisations", "spectrum"},
    "diagnostics": set(),
    "arguments": set(),
    "dynamics": {"arguments"},
    "layers": set(),
    "input_layers": {"layers"},
    "training": {"activations", "input_layers", "layers", "network"},
    "config": {"activations", "parametrisations", "errors"},
    "points": {"config"},
    "schema": set(),
    "filesystems": {"errors"},
    "marks": {"filesystems"},
    "parts": {"filesystems", "schema", "errors"},
    "store": {"marks", "parts", "filesystems", "schema", "config", "errors"},
    "permits": {"errors", "store"},
    "writing": {"permits", "schema", "store"},
    "datasets": {"config", "errors"},
    "winners": {"config", "datasets", "errors", "points", "store"},
}


def loaded_by(modules):
    """The modules in a fresh interpreter after importing `modules`."""
    code = f"import sys, {', '.join(modules)}; print(' '.join(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def imports_of(name):
    """Everything that a module of the library names in an import, anywhere in it; and what is
    imported for type checkers only."""
    tree = ast.parse((REPOSITORY / "ntk_sweep" / f"{name}.py").read_text())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("module", LIGHT)
def test_what_reads_and_checks_needs_neither_torch_nor_ray(module):
    loaded = loaded_by([module])
    assert module in loaded
    assert not loaded & {"torch", "ray", "torchvision", "sklearn", "matplotlib"}


def test_analysis_needs_neither_torch_nor_ray():
    assert len(ANALYSIS) > 1
    assert not loaded_by(ANALYSIS) & {"torch", "ray"}


def test_hydra_plugins_load_neither_torch_nor_ray():
    assert len(PLUGINS) > 1
    assert not loaded_by([name.removesuffix(".__init__") for name in PLUGINS]) & {"torch", "ray"}


def test_hydra_plugins_is_a_namespace_package():
    assert not (REPOSITORY / "hydra_plugins" / "__init__.py").exists()


@pytest.mark.parametrize("name", NUMERICS)
def test_numerics_know_no_config_path_logger_or_cluster(name):
    foreign = {"ray", "hydra", "omegaconf", "pandas", "pyarrow", "logging", "pathlib", "os", "rich"}
    foreign |= {
        f"ntk_sweep.{module}"
        for module in (
            "config",
            "store",
            "schema",
            "datasets",
            "dispatch",
            "plan",
            "tasks",
            "commands",
            "points",
        )
    }
    roots = {imported.split(".")[0] for imported in imports_of(name)}
    assert not (imports_of(name) | roots) & foreign


def test_every_module_has_its_place():
    assert set(BELOW) == MODULES


@pytest.mark.parametrize("name", BELOW)
def test_modules_import_only_what_is_below_them(name):
    imported = {
        full.split(".")[1] for full in imports_of(name) if full.startswith("ntk_sweep.")
    } & MODULES
    assert imported <= BELOW[name]


def test_below_means_below():
    assert list(
        TopologicalSorter(BELOW).static_order()
    )  # which raises if a module lies below itself


def test_only_tasks_put_network_and_spectrum_together():
    users = {
        path.stem
        for path in (REPOSITORY / "ntk_sweep").glob("*.py")
        if "ntk_sweep.spectrum" in imports_of(path.stem)
    }
    assert users == {
        "spectrum_task",
        "stack_task",
        "training_task",
        "limit",
        "__init__",
    }  # the limit's spectrum is of the same type


def test_entry_point_is_thin():
    assert len((REPOSITORY / "launch.py").read_text().splitlines()) < 40
