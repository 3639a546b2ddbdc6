"""How much memory a point needs, known before it is computed."""

from __future__ import annotations

import ctypes
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.numerics.thresholds import (
    DOUBLE_DOUBLE_TILE_ROWS,
    EXTENDED_ACTIVATIONS,
    EXTENDED_SAMPLES,
    EXTENDED_WEIGHTS,
    GRADED_ROWS,
    LIMIT_SAMPLES,
    LIMIT_TILE_ROWS,
    REFINED_SAMPLES,
    TILE_ROWS,
)
from ntk_sweep.settings.point import LAYER_KERNELS, Point
from ntk_sweep.settings.tasks import TASKS
from ntk_sweep.spectrum.methods import CERTIFIED, EXTREME

HELD_WEIGHTS = 2**31
"""Bytes of weights up to which a network is held; a larger one is drawn layer by layer, twice."""

LIMIT_CACHE_BYTES = 2**27
"""Of limit kernels that a worker keeps for points to come: 400 at 200 inputs."""

KEPT_BLOCK = 2**25
"""Blocks below this size come from memory that a worker keeps. By default glibc gives blocks back
as soon as they are free, and every array of a pass is then a thousand page faults, which cost more
than the arithmetic; larger arrays take longer anyway, and go back to the system at once. Older
versions of glibc refuse more."""

CHECKED_FROM = 2**30
"""Bytes from which on a point asks how much memory is free, and gives back what it frees."""

KEPT_BYTES = 2**30
"""Of that memory as much stays free, until a large point gives it back."""

FIRST_ARRAYS = 3
"""Arrays (N, n) of the first layer, which networks of other activations and scales share: its
products, and z as rows and as their sum with the centre."""

KEPT_ARRAYS = 2
"""Of each hidden layer that the passes leave: a and δ."""

PASS_ARRAYS = {"relu": 3, "lrelu": 3, "sigmoid": 3}
"""Of each hidden layer when the forward pass ends: a, and σ'(z) as rows and as their sum."""

CURVED_ARRAYS = 4
"""The same of other activations: |σ''(z)| is an array of its own."""

PASS_TEMPORARIES = 7
"""Arrays (N, n) while one layer is computed; six where there is no |σ''(z)|."""

SETTLED_ARRAYS = 2
"""Further ones of each layer in float32: slopes whose side of a kink float64 settles."""

FACTOR_ARRAYS = 4
"""Arrays (N, n), float64, for the conjugate kernel: a, [c a, β] and its QR factorisation."""

EXTENDED_ARRAYS = 5
"""Arrays (N, n) that passes in double-double keep for each layer: of its inputs, and of its slopes
or gradients, two each, and one for error bounds."""

EXTENDED_TEMPORARIES = 16
"""Further ones while a layer is computed. Measured on GELU networks; 12 on ReLU."""

EXTENDED_GRAM_ARRAYS = 23
"""Further ones, as wide as the inputs if those are wider, while the Gram matrices of a layer are
computed: slices of both factors."""

EXTENDED_WEIGHT_ARRAYS = 14
"""Arrays of the size of the weights that are multiplied at once: slices, twice."""

WHOLE_KERNEL_ARRAYS = 14
"""Arrays (N, N) while Θ is not summed up in tiles: Θ in double-double, the covariance that the
rows' errors share, the Gram matrix of the inputs beyond float64, and what lies free between."""

INPUT_SLICES = 5
"""Arrays of the size of the inputs for that Gram matrix."""

WHOLE_HELD = 4
"""Of them those that stay: Θ, that covariance, the Gram matrices of the inputs in float64 and, half
of it, in double-double."""

REFINED_HELD = 1
"""And what double-double adds to Θ, where that is kept."""

TILE_ARRAYS = 3
"""Tiles while Θ is summed up: two Gram matrices, and their product."""

DOUBLE_DOUBLE_TILE = 30
"""Arrays of `DOUBLE_DOUBLE_TILE_ROWS` rows and columns for a tile in double-double."""

DOUBLE_DOUBLE_WHOLE = 16
"""Arrays (N, N) for Θ in double-double where it is not computed in tiles."""

SOLVER_ARRAYS = {"eigh": 4, EXTREME: 4, "compensated": 13, "double-double": 13}
"""Arrays (N, N) of the eigen-solver and of what bounds its error, Θ among them. LAPACK's syevd has
its vectors and two of work; the residual takes as many. For the extreme eigenvalues Θ in
double-double becomes what is left of it, once more where the first directions hide others, and a
Cholesky factor takes the place of its low part. The other methods hold Θ in double-double, three
matrices of a congruence, and at most a singular value decomposition: its input, its vectors on
both sides, and four of work."""

WHOLE_SOLVER_ARRAYS = 5
"""Further ones of LAPACK's, where there are so few inputs that single eigenvalues have bounds."""

BLOCK_HELD = {"eigh": 2, EXTREME: 3, "compensated": 8, "double-double": 8}
"""Arrays (N, N) beside the largest number of blocks."""

BLOCK_ARRAYS = {"eigh": 5, EXTREME: 2, "compensated": 12, "double-double": 14}
"""Blocks of `GRADED_ROWS` rows: the slices of a product in double-double."""

BALL_BYTES = 200
"""Of a ball that a list holds, with some room."""

BALL_SQUARES = 12
"""Matrices of N × N balls that the enclosures of eigenvalues need: 500 inputs at 300 × 8 take 0.4
GiB in all."""

LIMIT_ARRAYS = 66
"""Tiles of the recursion for the limit kernels, with its error bounds. Measured on relu; 57 on
sigmoid."""

LIMIT_EXTENDED_ARRAYS = 86
"""Arrays (N, N) for λ_min of the limit kernel beyond float64. Measured on sigmoid, at 1,000 inputs
and a depth of 10."""

LIMIT_HELD = {"eigh": 2, EXTREME: 1, "compensated": 4, "double-double": 4}
"""Arrays (N, N) of a point that are held beside its limit kernel."""

LIMIT_SOLVER_ARRAYS = 1.35
"""Arrays (N, N) of the eigenvalues of one: LAPACK's copy, and what checks take, or one Cholesky
factor. Measured at 4,000 and 12,000 inputs."""

LIMIT_SQUARES = 2
"""Arrays (N, N) of both limit kernels."""

FILE_COPIES = 3
"""Of an array that is saved: itself, its bytes, and their room to grow."""

LAYER_SQUARES = 5
"""Arrays (N, N) beside: Θ and eigenvectors, and the products of a layer."""

BASE = 400 * 2**20
"""Bytes of a worker with its libraries: 340 MiB without Ray."""

MARGIN = 1.03
"""What free blocks among those in use, and arrays of N numbers, take."""

KEPT_MARGIN = 1.5
"""The same where a matrix is a block that is kept: up to 1.4 of the eigen-solver, for 1,500 inputs
and 600 × 5, and of what the passes leave 1.5, for 200 inputs and 20,000 × 10."""

LARGE_SHARE = 4
"""Arrays of the passes of more than this part of `KEPT_BLOCK` leave gaps among them."""


@dataclass(frozen=True)
class MemoryPlan:
    """What a point needs.

    Attributes:
        stages: Bytes of each stage; one follows the other, so that the greatest counts.
        held: Whether the weights are held, rather than drawn layer by layer.
        cached: Bytes of limit kernels that a worker keeps beside, for points to come.
    """

    stages: dict[str, int]
    held: bool
    cached: int

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
    whole = n_samples <= TILE_ROWS
    square, tile = 8 * n_samples**2, 8 * min(n_samples, TILE_ROWS) ** 2
    inputs, layer = bytes_a_number * n_samples * n_inputs, bytes_a_number * n_samples * width
    # the data set in float64, in the network's dtype, and its differences from the mean
    data = 8 * n_samples * n_inputs + inputs * (1 if bytes_a_number == 8 else 2)
    shared = network + data + FIRST_ARRAYS * layer
    hidden = depth - 1
    passes = (PASS_ARRAYS.get(architecture.activation, CURVED_ARRAYS) * hidden) * layer
    if bytes_a_number == 4:
        passes += SETTLED_ARRAYS * (hidden + 1) * layer
    if KEPT_BLOCK // LARGE_SHARE < layer < KEPT_BLOCK:
        passes = int(KEPT_MARGIN * passes)
    left = KEPT_ARRAYS * hidden * layer
    totals = 8 * n_samples * (max(n_inputs, width) + width)
    kernel = square + TILE_ARRAYS * tile
    if whole:
        kernel = WHOLE_KERNEL_ARRAYS * square + INPUT_SLICES * 8 * n_samples * n_inputs
    refinable = _refinable(method, n_samples)
    own = (WHOLE_HELD + REFINED_HELD * refinable) * square if whole else square
    # of temporaries of error bounds, which stay if the worker keeps their blocks
    bounds = 16 * n_samples * n_inputs if 8 * n_samples * n_inputs < KEPT_BLOCK else 0
    factors = left + bounds if refinable or files else 0
    stages = {
        "passes": shared + passes + PASS_TEMPORARIES * layer,
        "kernel": shared + left + kernel + totals,
        "conjugate kernel": shared + left + own + FACTOR_ARRAYS * 8 * n_samples * width,
        "eigenvalues": shared + factors + own - square,
    }
    solver = _solver_bytes(method, n_samples, left + data)
    stages["eigenvalues"] += int(KEPT_MARGIN * solver) if square < KEPT_BLOCK else solver
    numbers = n_samples * (n_inputs + width * (depth - 1))
    refined = method in ("auto", "double-double") and n_samples <= REFINED_SAMPLES
    if refined and numbers <= EXTENDED_ACTIVATIONS:
        # a network that needs them is computed with the arrays of the plain passes beside
        extended = 8 * EXTENDED_ARRAYS * numbers
        block = EXTENDED_WEIGHT_ARRAYS * min(EXTENDED_WEIGHTS, largest // bytes_a_number)
        grams = EXTENDED_GRAM_ARRAYS * n_samples * max(width, n_inputs)
        once = max(EXTENDED_TEMPORARIES * n_samples * width + block, grams)
        stages["double-double passes"] = shared + left + extended + 8 * once
        stages["eigenvalues"] += extended
    if n_samples <= LIMIT_SAMPLES:
        limit = _limit_bytes(method, shape, architecture.activation)
        stages["limit"] = shared + factors + limit
    if files:
        layered = LAYER_KERNELS in files
        squares = len(files) + (depth - 1 if layered else 0)
        stages["files"] = shared + factors + square * (FILE_COPIES * squares + LAYER_SQUARES)
    # the last limit kernel is kept, however large it is
    cached = max(LIMIT_CACHE_BYTES, square) if n_samples <= LIMIT_SAMPLES else 0
    freed = stages["passes"] - shared - (factors and left)
    if BASE + MARGIN * max(stages.values()) < CHECKED_FROM and layer < KEPT_BLOCK:
        # nothing is given back, and what the passes free may fit no other array
        stages = {name: size + (name != "passes") * freed for name, size in stages.items()}
    planned = {name: int(BASE + MARGIN * size) for name, size in stages.items()}
    return MemoryPlan(planned, held, cached)


def _limit_bytes(method: str, shape: tuple[int, int], activation: str) -> int:
    """What the limit kernels take, and what of the point is held beside them."""
    n_samples, n_inputs = shape
    square = 8 * n_samples**2
    # tiles, whose blocks stay, then LAPACK's copy
    once = LIMIT_ARRAYS * 8 * min(n_samples, LIMIT_TILE_ROWS) ** 2
    once += max(int(LIMIT_SOLVER_ARRAYS * square), 8 * n_samples * n_inputs)
    if n_samples <= EXTENDED_SAMPLES and ACTIVATIONS[activation].extended is not None:
        once = max(once, LIMIT_EXTENDED_ARRAYS * square)
    return (LIMIT_HELD[_chosen(method, n_samples)] + LIMIT_SQUARES) * square + once


def _solver_bytes(method: str, n_samples: int, kept: int) -> int:
    """What an eigen-solver takes, Θ included."""
    if method == CERTIFIED:
        # balls in place of the numbers of the passes; the solver of Θ⁻¹ needs less
        return kept * BALL_BYTES // 8 + BALL_SQUARES * BALL_BYTES * n_samples**2
    if method == "jacobian":
        # one N² × N block beside the triangles
        return 3 * 8 * n_samples**3
    whole, square = n_samples <= TILE_ROWS, 8 * n_samples**2
    block = 8 * min(n_samples, GRADED_ROWS) * n_samples
    method = _chosen(method, n_samples)
    squares = SOLVER_ARRAYS[method] + (WHOLE_SOLVER_ARRAYS if whole else 0)
    sizes = [
        squares * square,
        BLOCK_HELD[method] * square + BLOCK_ARRAYS[method] * block,
    ]
    if method == "eigh":
        return max(sizes)
    if whole:
        return max(*sizes, square * (1 + DOUBLE_DOUBLE_WHOLE))
    # the blocks of tiles stay; the other methods have use for them
    tile = 8 * DOUBLE_DOUBLE_TILE_ROWS**2
    return max(sizes) + (DOUBLE_DOUBLE_TILE * tile if method == EXTREME else 0)


def _refinable(method: str, n_samples: int) -> bool:
    """Whether the passes are kept for products in double-double."""
    return method != "eigh" and (method != "auto" or n_samples <= REFINED_SAMPLES)


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


def give_back() -> None:
    """Returns free memory to the system, so that a large point takes no more than what it holds."""
    # only glibc has it; Windows does not even name the libraries of a process by None
    with suppress(TypeError, OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


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
