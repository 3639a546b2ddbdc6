"""How much memory a point needs, known before it is computed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import psutil

from ntk_sweep.network.architecture import Architecture
from ntk_sweep.numerics.thresholds import (
    EXTENDED_ACTIVATIONS,
    EXTENDED_WEIGHTS,
    LIMIT_SAMPLES,
    LIMIT_TILE_ROWS,
    LIMIT_WHOLE,
    REFINED_SAMPLES,
    TILE_ROWS,
)
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.tasks import TASKS
from ntk_sweep.spectrum.methods import CERTIFIED, EXTREME

HELD_WEIGHTS = 2**31
"""Bytes of weights up to which a network is held; a larger one is drawn layer by layer, twice."""

LIMIT_CACHE_BYTES = 2**27
"""Of limit kernels that a worker keeps for points to come: 400 at 200 inputs."""

KEPT_BYTES = 2**30
"""Blocks up to this size come from memory that a worker keeps, and as much of it is kept free. By
default glibc gives blocks back as soon as they are free, and every array of a pass is then a
thousand page faults, which cost more than the arithmetic."""

LAYER_ARRAYS = 4
"""Arrays (N, n) that the passes hold for each hidden layer: the layer's inputs and gradients with,
before these, two of slopes."""

LAYER_TEMPORARIES = 9
"""Further ones while a layer is computed, and the products of the first layer, which networks of
other scales share. Measured on sigmoid networks, with some room."""

EXTENDED_ARRAYS = 5
"""Arrays (N, n) that passes in double-double keep for each layer: of its inputs, and of its slopes
or gradients, two each, and one for error bounds."""

EXTENDED_TEMPORARIES = 36
"""Further ones while a layer is computed or its Gram matrices are. Measured on sigmoid and GELU
networks, with some room."""

EXTENDED_WEIGHT_ARRAYS = 14
"""Arrays of the size of the weights that are multiplied at once: slices, twice."""

TILE_ARRAYS = 4
"""Arrays of a tile's height and N columns while the kernel is summed up."""

SOLVER_ARRAYS = {"eigh": 6, EXTREME: 5, "compensated": 12, "double-double": 12}
"""Arrays (N, N) of the eigen-solver and of what bounds its error, Θ among them: LAPACK's syevd
takes two beside its input and vectors, the extreme eigenvalues a Cholesky factor and a copy.
Measured, with some room."""

BLOCK_ARRAYS = {"eigh": 0, EXTREME: 0, "compensated": 28, "double-double": 32}
"""Further ones of `ntk_sweep.numerics.graded_eigenvalues.ROWS` rows or fewer: products in
double-double take their slices. Measured, with some room."""

BLOCK_ROWS = 1024
"""Those rows; the module that has them loads torch."""

WHOLE_ARRAYS = 15
"""Arrays (N, N) while Θ in double-double is not summed up in tiles. Measured, with some room."""

BALL_BYTES = 200
"""Of a ball that a list holds, with some room."""

BALL_SQUARES = 12
"""Matrices of N × N balls that the enclosures of eigenvalues need: 500 inputs at 300 × 8 take 0.4
GiB in all."""

LIMIT_ARRAYS = 40
"""Arrays (N, N) of the recursion for the limit kernel, with its error bounds, or of two tiles
together. Measured on sigmoid, with some room."""

LIMIT_HELD = {"eigh": 2, EXTREME: 1, "compensated": 4, "double-double": 4}
"""Arrays (N, N) of a point that are held beside its limit kernel."""

LIMIT_SQUARES = 4
"""Arrays (N, N) of both limit kernels, and of the solver for their eigenvalues."""

FILE_COPIES = 3
"""Of an array that is saved: itself, its bytes, and their room to grow."""

LAYER_SQUARES = 5
"""Arrays (N, N) beside: Θ and eigenvectors, and the products of a layer."""

BASE = 430 * 2**20
"""Bytes of a worker with its libraries."""


@dataclass(frozen=True)
class MemoryPlan:
    """What a point needs.

    Attributes:
        stages: Bytes of each stage; one follows the other, so that the greatest counts.
        held: Whether the weights are held, rather than drawn layer by layer.
    """

    stages: dict[str, int]
    held: bool

    @property
    def peak(self) -> int:
        """Bytes at the same time."""
        return max(self.stages.values())

    def describe(self) -> str:
        """The plan in words and numbers."""
        stages = ", ".join(f"{name} {size / 2**30:.1f}" for name, size in self.stages.items())
        weights = "held" if self.held else "drawn layer by layer"
        return f"{self.peak / 2**30:.1f} GiB at most (GiB: {stages}; weights {weights})"


def memory_plan(
    shape: tuple[int, int],
    architecture: Architecture,
    method: str,
    bytes_a_number: int = 8,
    hold: bool = False,
    files: Collection[str] = (),
) -> MemoryPlan:
    """The memory of a point.

    Args:
        shape: N and n_0.
        architecture: The network.
        method: One of those of `ntk_sweep.spectrum.methods`.
        bytes_a_number: Of the network's dtype; kernels are float64 throughout.
        hold: Whether the weights have to be held.
        files: The columns of the files that are wanted beside the row.
    """
    (n_samples, n_inputs), width, depth = shape, architecture.width, architecture.depth
    largest = bytes_a_number * width * max(n_inputs, width if depth > 2 else 1)
    weights = bytes_a_number * (width * n_inputs + width * width * (depth - 2))
    held = hold or weights <= HELD_WEIGHTS or method in ("jacobian", CERTIFIED)
    network = weights if held else largest
    layer = bytes_a_number * n_samples * width
    kept = layer * (depth - 1) * LAYER_ARRAYS + bytes_a_number * n_samples * n_inputs * 3
    square, tile = 8 * n_samples**2, 8 * min(n_samples, TILE_ROWS) * n_samples
    stages = {
        "passes": network + kept + layer * LAYER_TEMPORARIES,
        "kernel": (network if held else 0) + kept + square + tile * TILE_ARRAYS,
        "eigenvalues": (network if held else 0) + _solver_bytes(method, n_samples, kept),
    }
    numbers = n_samples * (n_inputs + width * (depth - 1))
    refined = method in ("auto", "double-double") and n_samples <= REFINED_SAMPLES
    if refined and numbers <= EXTENDED_ACTIVATIONS:
        # a network that needs them is computed with the arrays of the plain passes beside
        own = 8 * EXTENDED_ARRAYS * numbers
        block = EXTENDED_WEIGHT_ARRAYS * min(EXTENDED_WEIGHTS, largest // bytes_a_number)
        once = EXTENDED_TEMPORARIES * n_samples * max(width, n_inputs) + block
        stages["double-double passes"] = (network if held else largest) + kept + own + 8 * once
        stages["eigenvalues"] += own
    if n_samples <= LIMIT_WHOLE:
        stages["limit"] = square * LIMIT_ARRAYS
    elif n_samples <= LIMIT_SAMPLES:
        tiles = 8 * (2 * LIMIT_TILE_ROWS) ** 2 * LIMIT_ARRAYS
        own = LIMIT_HELD[_chosen(method, n_samples)] * square
        stages["limit"] = (network if held else 0) + kept + own + LIMIT_SQUARES * square + tiles
    if files:
        layered = "layer_kernels_file" in files
        squares = len(files) + (depth - 1 if layered else 0)
        stages["files"] = (network if held else 0) + (kept if layered else 0)
        stages["files"] += square * (FILE_COPIES * squares + LAYER_SQUARES)
    # the last limit kernel is kept, however large it is
    base = BASE + (max(LIMIT_CACHE_BYTES, square) if n_samples <= LIMIT_SAMPLES else 0)
    # free blocks that fit no array are kept beside those in use
    return MemoryPlan(
        {name: base + size + min(size, KEPT_BYTES) for name, size in stages.items()}, held
    )


def _solver_bytes(method: str, n_samples: int, kept: int) -> int:
    """What an eigen-solver takes, with the arrays of the passes that it still needs."""
    if method == CERTIFIED:
        # balls in place of the numbers of the passes; the solver of Θ⁻¹ needs less
        return kept // 2 * BALL_BYTES // 8 + BALL_SQUARES * BALL_BYTES * n_samples**2
    if method == "jacobian":
        # one N² × N block beside the triangles
        return kept + 3 * 8 * n_samples**3
    method = _chosen(method, n_samples)
    # arrays of the passes are kept for products in double-double, or dropped
    factors = 0 if method == "eigh" else kept
    whole = WHOLE_ARRAYS if method == EXTREME and n_samples <= TILE_ROWS else 0
    squares, blocks = SOLVER_ARRAYS[method] + whole, BLOCK_ARRAYS[method]
    return factors + 8 * n_samples * (n_samples * squares + min(n_samples, BLOCK_ROWS) * blocks)


def _chosen(method: str, n_samples: int) -> str:
    """The method that `auto` may come to; the greediest for those that go by themselves."""
    if method == "auto":
        return "double-double" if n_samples <= REFINED_SAMPLES else "eigh"
    return method if method in SOLVER_ARRAYS else "double-double"


def point_memory(point: Point, n_samples: int, n_inputs: int, *, n_test: int = 0) -> MemoryPlan:
    """The memory of a point on inputs of this shape, and as many test inputs."""
    # predictions take the kernel of all inputs together
    together = n_samples + (n_test if point.test_fingerprint else 0)
    return memory_plan(
        (together, n_inputs),
        point.architecture,
        point.settings.kernel_method,
        bytes_a_number=4 if point.dtype == "float32" else 8,
        hold=TASKS[point.task].changes_weights,
        files=point.files,
    )


def not_enough(plan: MemoryPlan, free: int) -> str:
    """What is said of a point that needs more than there is."""
    return (
        f"it needs {plan.describe()}, but {free / 2**30:.1f} GiB are free: take fewer inputs "
        "(data.n_per_class), task.method=extreme or eigh, a smaller network, or a machine with "
        "more memory"
    )


def available_memory() -> int:
    """Bytes that this process may still take: those free here, or allowed to its container."""
    free = psutil.virtual_memory().available
    for limit, used in _CGROUPS:
        try:
            allowed = Path(limit).read_text().strip()
            taken = Path(used).read_text().strip()
        except OSError:
            continue
        if allowed.isdigit() and taken.isdigit():
            free = min(free, max(int(allowed) - int(taken), 0))
    return free


_CGROUPS = [
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
]
"""Limit and use, of control groups of version 2 and 1."""
