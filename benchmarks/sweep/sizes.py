"""Large sizes, and how cost grows.

    python -m benchmarks.sweep.sizes [large] [growth]

1. Kernels that do not fit elsewhere: 12,000 inputs (all training images of two classes, as many as
   in Fashion-MNIST; smooth synthetic images stand in for them), width 20,000, depth 100. Each is
   one point computed by `launch.py` on all cores; seconds and the memory planned are the row's own
   and the program's, the peak is what the system recorded.
2. How seconds grow with the number of inputs, the width, the depth, the points and the workers:
   least squares in the logarithms, beside the exponent that counting multiply-adds gives. Exponents
   below it mean that something smaller still counts at these sizes.

Tables go into docs/reference/performance.md, the plot to docs/figures.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from scipy.ndimage import gaussian_filter

from benchmarks.places import ROOT
from benchmarks.timing import least_seconds
from docs.tools.pages import fill, fill_filed
from ntk_sweep import Network, load_results
from ntk_sweep.analysis.drawing.axes import grid, heading, log_ticks
from ntk_sweep.analysis.drawing.rendering import render, style
from ntk_sweep.cores import available_cores
from ntk_sweep.executors.worker import prepare_process
from ntk_sweep.kernel.centred_passes import centred_passes
from ntk_sweep.kernel.double_double_kernel import double_double_kernel
from ntk_sweep.kernel.float64_kernel import float64_kernel

N_INPUTS = 784
Points = list[tuple[int, float]]
"""Sizes and seconds."""

LARGE = [
    (12_000, "relu", 500, 3, "extreme"),
    (12_000, "sigmoid", 300, 8, "extreme"),
    (12_000, "relu", 500, 3, "eigh"),
    (200, "relu", 20_000, 3, "auto"),
    (200, "relu", 20_000, 10, "auto"),
    (200, "relu", 1000, 100, "auto"),
]
REPEATS = 3
_least = partial(least_seconds, repeats=REPEATS)


def main() -> None:
    """Prints the tables and puts them into docs/reference/performance.md."""
    chosen = sys.argv[1:] or ["large", "growth"]
    if "large" in chosen:
        _large()
    if "growth" in chosen:
        lines = growth()
        print("\n".join(lines))
        page = ROOT / "docs" / "reference" / "performance.md"
        fill_filed(page, "growth", "Fitted exponents, and those by counting multiply-adds", lines)


def _large() -> None:
    lines = [
        "| inputs | network | method | seconds | planned, GiB | peak, GiB | λ_min | λ_max |",
        "|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    with tempfile.TemporaryDirectory() as folder:
        for size in LARGE:
            lines.append(large(Path(folder), *size))
            print(lines[-1], flush=True)
    fill(ROOT / "docs" / "reference" / "performance.md", "sizes", "\n".join(lines))


def images(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth images in [0, 1] of two kinds, 28 × 28, and their labels."""
    generator = np.random.default_rng(0)
    prototypes = gaussian_filter(generator.standard_normal((2, 28, 28)), (0, 3, 3))
    labels = np.repeat([0, 1], [count // 2, count - count // 2])
    noise = gaussian_filter(generator.standard_normal((count, 28, 28)), (0, 1, 1))
    x = 6 * prototypes[labels] + noise + 0.3 * generator.standard_normal((count, 28, 28))
    return (1 / (1 + np.exp(-x))).reshape(count, -1), labels


def large(folder: Path, n_samples: int, act: str, width: int, depth: int, method: str) -> str:
    """One line of the first table."""
    data, results = (
        folder / f"{n_samples}.npz",
        folder / f"{act}-{width}-{depth}-{n_samples}-{method}",
    )
    if not data.exists():
        x, y = images(n_samples)
        np.savez(data, x=x, y=y)
    command = [
        sys.executable,
        str(ROOT / "launch.py"),
        "data=npz",
        f"data.path={data}",
        f"act={act}",
        f"width={width}",
    ]
    command += [
        f"depth={depth}",
        f"task.method={method}",
        f"compute.num_cpus={available_cores()}",
        f"results={results}",
    ]
    # a process of its own whose only child it is, so that the record of children is about it alone
    code = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], "
        "capture_output=True, text=True, check=True); "
    )
    code += (
        "print(done.stdout); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    planned = re.search(r"([\d.]+) GiB at most", done.stdout)
    peak = float(done.stdout.strip().splitlines()[-1])
    row = load_results(results / "spectrum").iloc[0]
    network = f"{act} {width:,} × {depth}"
    least = f"{row.lambda_min:.4g} ± {row.lambda_min_error:.1g}"
    greatest = f"{row.lambda_max:.4g} ± {row.lambda_max_error:.1g}"
    room = planned[1] if planned else "—"
    return (
        f"| {n_samples:,} | {network} | {row.method} | {row.seconds:.0f} | {room} | {peak:.1f} | "
        f"{least} | {greatest} |"
    )


def growth() -> list[str]:
    """The second table, and its plot."""
    prepare_process(torch.get_num_threads())
    curves = {
        "passes": [
            ("inputs", 1, [(n, _passes(n, 500, 4)) for n in (100, 200, 400, 800, 1600)]),
            ("width", 2, [(w, _passes(200, w, 6)) for w in (500, 1000, 2000, 4000)]),
            ("depth", 1, [(d, _passes(200, 500, d)) for d in (5, 10, 20, 40)]),
        ],
        "kernel in float64": [
            ("inputs", 2, [(n, _kernel(n, 500, 4)) for n in (200, 400, 800, 1600)]),
            ("width", 1, [(w, _kernel(400, w, 4)) for w in (500, 1000, 2000, 4000)]),
            ("depth", 1, [(d, _kernel(400, 500, d)) for d in (5, 10, 20, 40)]),
        ],
        "kernel beyond float64": [
            ("inputs", 2, [(n, _double_double(n, 500, 4)) for n in (200, 400, 800, 1600)]),
            ("width", 1, [(w, _double_double(400, w, 4)) for w in (500, 1000, 2000, 4000)]),
            ("depth", 1, [(d, _double_double(400, 500, d)) for d in (5, 10, 20, 40)]),
        ],
        "eigenvalues and vectors": [("inputs", 3, [(n, _eigh(n)) for n in (200, 400, 800, 1600)])],
        "whole sweep, less its start": [
            ("points", 1, _points()),
            ("workers", -1, _workers()),
        ],
    }
    lines = [
        "| seconds of | against | from – to | fitted exponent | by counting |",
        "|---|---|---|---|---|",
    ]
    for part, fits in curves.items():
        for variable, exponent, points in fits:
            sizes = [size for size, _ in points]
            lines.append(
                f"| {part} | {variable} | {sizes[0]:,} – {sizes[-1]:,} | {_line(points)[0]:.2f} | "
                f"{exponent} |"
            )
    (ROOT / "docs" / "figures" / "growth.png").write_bytes(render(growth_figure(curves), "png"))
    return lines


def growth_figure(curves: dict[str, list[tuple[str, int, Points]]]) -> Figure:
    """Seconds against each variable, with the fitted line and the expected one, dotted."""
    with style():
        figure = Figure(figsize=(9.0, 6.4), layout="constrained")
        panels = figure.subplots(2, 3).ravel()
        for panel, variable in zip(
            panels, ("inputs", "width", "depth", "points", "workers"), strict=False
        ):
            for part, fits in curves.items():
                for against, exponent, points in fits:
                    if against != variable:
                        continue
                    sizes, seconds = np.array(points, dtype=float).T
                    slope, offset = _line(points)
                    (marks,) = panel.loglog(
                        sizes, seconds, "o", markersize=4, label=f"{part}: {slope:.2f} ({exponent})"
                    )
                    colour = marks.get_color()
                    panel.loglog(sizes, np.exp(offset) * sizes**slope, color=colour, linewidth=1)
                    panel.loglog(
                        sizes,
                        seconds[-1] * (sizes / sizes[-1]) ** exponent,
                        ":",
                        color=colour,
                        linewidth=1,
                    )
            ticks = sorted({size for line in panel.get_lines() for size in line.get_xdata()})
            panel.set_xticks(ticks, [f"{size:,.0f}" for size in ticks])
            panel.xaxis.set_minor_locator(NullLocator())
            log_ticks(panel.yaxis, *panel.get_ylim())
            panel.set(xlabel=variable, ylabel="seconds")
            panel.legend(fontsize=7.5, loc="upper left", bbox_to_anchor=(-0.05, -0.2))
            grid(panel)
        panels[-1].set_axis_off()
        heading(figure, "Fitted slopes (lines), and in brackets those by counting (dotted)")
    return figure


def _line(points: Points) -> tuple[float, float]:
    """Slope and offset in the logarithms."""
    slope, offset = np.polyfit(*np.log(np.array(points, dtype=float).T), 1)
    return float(slope), float(offset)


def _network(n_samples: int, width: int, depth: int) -> tuple[Network, torch.Tensor]:
    x = torch.rand(
        n_samples, N_INPUTS, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    network = Network.initialise(N_INPUTS, width, depth, "relu", "thesis", seed=0)
    return network, x


def _passes(n_samples: int, width: int, depth: int) -> float:
    network, x = _network(n_samples, width, depth)
    return _least(lambda: centred_passes(network, x))


def _kernel(n_samples: int, width: int, depth: int) -> float:
    passes = centred_passes(*_network(n_samples, width, depth))
    return _least(lambda: float64_kernel(passes))


def _double_double(n_samples: int, width: int, depth: int) -> float:
    passes = centred_passes(*_network(n_samples, width, depth))
    return _least(lambda: double_double_kernel(passes, 1))


def _eigh(n_samples: int) -> float:
    matrix = torch.rand(n_samples, n_samples, dtype=torch.float64)
    matrix = matrix @ matrix.T
    return _least(lambda: torch.linalg.eigh(matrix))


def _points() -> list[tuple[int, float]]:
    """Sweeps of small networks on one worker, less the seconds of a sweep of one point."""
    start = _sweep(1, 1)
    return [(points, _sweep(points, 1) - start) for points in (250, 500, 1000, 2000)]


def _workers() -> list[tuple[int, float]]:
    """The same sweep of larger networks on one worker and more."""
    counts = sorted({1, available_cores()})
    few, many = 20, 220
    return [
        (count, _sweep(many, count, width=500, depth=5) - _sweep(few, count, width=500, depth=5))
        for count in counts
    ]


def _sweep(points: int, workers: int, width: int = 20, depth: int = 3) -> float:
    with tempfile.TemporaryDirectory() as results:
        command = [
            sys.executable,
            str(ROOT / "launch.py"),
            "-m",
            "data=digits",
            f"width={width}",
            f"depth={depth}",
        ]
        command += [
            f"seed=range(0,{points})",
            f"compute.num_workers={workers}",
            f"results={results}",
        ]
        start = time.perf_counter()
        subprocess.run(
            command, check=True, capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
