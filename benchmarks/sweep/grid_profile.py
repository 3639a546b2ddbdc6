"""Where the time of the grid's numerics goes; `benchmarks.sweep.grid` runs it.

    python -m benchmarks.sweep.grid_profile DATA

The version of the code on the path is the one measured.

Prints a line of JSON: milliseconds a network of each part, on one thread.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

WIDTHS = (100, 400, 700, 1000)
ACTIVATIONS = ("relu", "elu", "lrelu", "sigmoid")
MODULES = (
    "network.initialisation",
    "kernel.centred_passes",
    "kernel.pre_activations",
    "kernel.centred_kernel",
    "kernel.double_double_kernel",
    "kernel.pass_errors",
    "kernel.diagnostics",
    "numerics.double_double",
    "numerics.graded_eigenvalues",
    "spectrum.spectrum",
    "tasks.spectrum",
    "tasks.draws",
    "tasks.limit_cache",
    "executors.worker",
)
PARTS = {
    "drawing the weights": ("standard_normals",),
    "passes": ("centred_passes", "first_layer"),
    "kernel": ("centred_kernel", "double_double_kernel", "double_double_errors"),
    "eigenvalues": ("_eigh", "graded_spectrum"),
    "conjugate kernel": ("conjugate_extremes",),
    "complexity of the target": ("complexity_columns",),
    "limit kernels": ("compute_limits",),
}
REST = "error bounds, diagnostics and the rest"

spent: Counter[str] = Counter()
_inside: list[float] = []


def timed(part: str, function: Callable) -> Callable:
    """Counts the function's own time: what it spends in another timed one is counted there."""

    def wrapper(*arguments: Any, **named: Any) -> Any:
        start = time.process_time()
        _inside.append(0.0)
        try:
            return function(*arguments, **named)
        finally:
            whole = time.process_time() - start
            spent[part] += whole - _inside.pop()
            if _inside:
                _inside[-1] += whole

    return wrapper


def main() -> None:
    """Computes the networks of four widths with one seed."""
    # an earlier version has not all of them
    places = [f"ntk_sweep.{name}" for name in MODULES]
    modules = [importlib.import_module(name) for name in places if importlib.util.find_spec(name)]
    for part, names in PARTS.items():
        for name in names:
            found = {
                id(vars(module)[name]): vars(module)[name]
                for module in modules
                if name in vars(module)
            }
            for original in found.values():
                wrapper = timed(part, original)
                for module in modules:
                    if vars(module).get(name) is original:
                        setattr(module, name, wrapper)

    import torch

    from ntk_sweep.data.dataset import load_dataset
    from ntk_sweep.network.architecture import Architecture
    from ntk_sweep.settings.point import Point
    from ntk_sweep.settings.schema import SpectrumConfig
    from ntk_sweep.tasks.computation import Caches
    from ntk_sweep.tasks.rows import compute_row

    torch.set_num_threads(1)
    prepare = getattr(sys.modules.get("ntk_sweep.executors.worker"), "prepare_process", None)
    if prepare:
        prepare(1)
    dataset = load_dataset(sys.argv[1], [0, 9], 100)
    points = [
        Point(
            SpectrumConfig(),
            Architecture(act, width, depth, "thesis"),
            0,
            "float64",
            dataset.fingerprint,
        )
        for width in WIDTHS
        for depth in range(10, 1, -1)
        for act in ACTIVATIONS
    ]
    caches = Caches()
    compute_row(points[-1], dataset, "cpu", None, caches)
    spent.clear()
    start = time.process_time()
    for point in points:
        row = compute_row(point, dataset, "cpu", None, caches).row
        assert row["status"] == "ok", row["error"]
    whole = time.process_time() - start
    parts = {part: 1000 * spent[part] / len(points) for part in PARTS}
    parts[REST] = 1000 * whole / len(points) - sum(parts.values())
    print(json.dumps(parts | {"together": 1000 * whole / len(points)}))


if __name__ == "__main__":
    main()
