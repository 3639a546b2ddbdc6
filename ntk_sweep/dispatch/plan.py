"""What a sweep has to compute: points without those already in the store, packed into chunks for
the workers."""

from __future__ import annotations

import subprocess
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ntk_sweep.data.dataset import Dataset, load_dataset
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.numerics.thresholds import LIMIT_SAMPLES
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import SweepConfig, TrainingConfig
from ntk_sweep.store.store import Store
from ntk_sweep.tasks.limit_request import LimitRequest, limit_request
from ntk_sweep.tasks.memory import MemoryPlan, point_memory

OVERHEAD_SECONDS = 0.01
"""Cost of the smallest point on one core of a server of 2023, where the three figures below were
measured too."""

SECONDS_PER_DRAW = 1e-8
"""Of a weight."""

SECONDS_PER_PASS_FLOP = 4e-11
"""Of the forward and backward passes."""

SECONDS_PER_GRAM_FLOP = 2e-10
"""Of the Gram matrices, in float64 and double-double; the latter are not always needed, so this
errs upwards."""

SECONDS_PER_LAYER_STEP = 3e-5
"""Of training: what a layer costs in a step, however narrow it is."""

SECONDS_PER_WEIGHT_STEP = 4e-10
"""Of training: what a hidden layer's weight costs in a step."""


@dataclass(frozen=True)
class Job:
    """A point, where its row goes, on which kind of device it is computed, and whether it is even
    if its result is there."""

    point: Point
    results: str
    device: str
    force: bool
    dataset: Dataset = field(repr=False)

    @property
    def home(self) -> tuple[str, str]:
        """Names the store that its row goes to."""
        return (self.results, self.point.task)

    @property
    def batch(self) -> tuple[str, str, str, str]:
        """Jobs with the same batch may share a chunk."""
        return (self.results, self.point.task, self.device, self.point.data_fingerprint)

    @property
    def cost(self) -> float:
        """Expected seconds of one worker; `ChunkQueue` corrects the scale as reports come in."""
        network, (n_samples, n_inputs) = self.point.architecture, self.dataset.x.shape
        n = network.width
        weights = n * n_inputs + n * n * (network.depth - 2)
        passes = 4 * n_samples * weights
        gram = 2 * n_samples**2 * (n_inputs + 2 * n * (network.depth - 1) + 20 * n_samples)
        spectrum = (
            SECONDS_PER_DRAW * weights
            + SECONDS_PER_PASS_FLOP * passes
            + SECONDS_PER_GRAM_FLOP * gram
        )
        return OVERHEAD_SECONDS + spectrum + self._training_cost(spectrum, passes)

    def _training_cost(self, spectrum: float, passes: int) -> float:
        settings = self.point.settings
        if not isinstance(settings, TrainingConfig):
            return 0.0
        n_samples = len(self.dataset.x)
        width, depth = self.point.architecture.width, self.point.architecture.depth
        batch_size = settings.used_batch_size(n_samples)
        step = SECONDS_PER_LAYER_STEP * depth + SECONDS_PER_WEIGHT_STEP * width**2 * (depth - 2)
        # A larger batch costs a step at least the arithmetic of its passes, of which an epoch holds
        # one and a half.
        epoch = -(-n_samples // batch_size) * step + 1.5 * SECONDS_PER_PASS_FLOP * passes
        kernels = (
            settings.epochs // settings.record_kernel_every if settings.record_kernel_every else 0
        )
        return settings.epochs * epoch + kernels * spectrum


@dataclass(frozen=True)
class Chunk:
    """Jobs of one batch that a worker computes in one go."""

    jobs: tuple[Job, ...]

    @property
    def cost(self) -> float:
        """Expected seconds of one worker."""
        return sum(job.cost for job in self.jobs)


@dataclass(frozen=True)
class Plan:
    """A sweep before it starts.

    Attributes:
        points: The points of the sweep, in the order given; one that is given twice stands here
            twice.
        jobs: What is to be computed, each key once.
        skipped: How many different points are in the store already.
        stores: The stores involved, by results and task.
    """

    points: list[Point]
    jobs: list[Job]
    skipped: int
    stores: dict[tuple[str, str], Store]


def open_stores(configs: Iterable[SweepConfig]) -> dict[tuple[str, str], Store]:
    """The stores that the points' rows go to, by results and task."""
    homes = dict.fromkeys((config.results, config.task.name) for config in configs)
    return {home: Store(*home) for home in homes}


def make_plan(configs: Sequence[SweepConfig], stores: dict[tuple[str, str], Store]) -> Plan:
    """Loads the data sets, makes the points, and leaves out those whose results are in their store.

    Raises:
        DataError: A data set cannot be used.
        StoreError: A store holds a part that cannot be read.
    """
    finished = {home: store.finished() for home, store in stores.items()}
    datasets: dict[str, Dataset] = {}
    points: list[Point] = []
    jobs: dict[tuple[str, str], Job] = {}
    skipped: set[tuple[str, str]] = set()
    for config in configs:
        dataset = datasets.get(repr(config.data))
        if dataset is None:
            dataset = datasets[repr(config.data)] = load_dataset(*config.data.arguments)
        point = Point.of(config, dataset.fingerprint)
        points.append(point)
        entry = None if config.force else finished[config.results, point.task].get(point.key)
        if entry is not None and entry.serves(point.save_kernel):
            skipped.add((config.results, point.key))
        else:
            jobs[config.results, point.key] = Job(
                point, config.results, config.device, config.force, dataset
            )
    return Plan(points, list(jobs.values()), len(skipped - set(jobs)), stores)


def greediest(jobs: Sequence[Job]) -> tuple[Job, MemoryPlan]:
    """The job that needs the most memory, and how much."""
    kinds = {
        (
            job.batch,
            job.point.architecture.width,
            job.point.architecture.depth,
            job.point.dtype,
            repr(job.point.settings),
        ): job
        for job in jobs
    }
    plans = [(job, point_memory(job.point, *job.dataset.x.shape)) for job in kinds.values()]
    return max(plans, key=lambda pair: pair[1].peak)


class LimitPlan:
    """Which limit kernels the jobs of a sweep need: those of an architecture together, since one
    recursion gives them all."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._depths: dict[tuple[str, Architecture], set[int]] = {}
        for job in jobs:
            depth = job.point.architecture.depth
            self._depths.setdefault(self._without_depth(job), set()).add(depth)

    def of(self, chunk: Chunk) -> tuple[LimitRequest, ...]:
        """The limits of a chunk's points, each once; none where there are too many inputs for
        one."""
        if len(chunk.jobs[0].dataset.x) > LIMIT_SAMPLES:
            return ()
        return tuple(dict.fromkeys(map(self._request, chunk.jobs)))

    def _request(self, job: Job) -> LimitRequest:
        depths = self._depths[self._without_depth(job)]
        return limit_request(job.point.architecture, depths, len(job.dataset.x))

    @staticmethod
    def _without_depth(job: Job) -> tuple[str, Architecture]:
        return (job.point.data_fingerprint, replace(job.point.architecture, depth=0))


class ChunkQueue:
    """Jobs on their way to the workers: dear ones first, in chunks of about equal time, smaller
    towards the end.

    Jobs on the same draws (equal seed, width and depth) stand together.
    """

    def __init__(self, jobs: Sequence[Job], chunk_seconds: float) -> None:
        order = sorted(
            jobs,
            key=lambda job: (
                job.batch,
                -job.point.architecture.width,
                -job.point.architecture.depth,
                job.point.seed,
                job.point.architecture.activation,
            ),
        )
        self._jobs = deque(order)
        self._alone: deque[Job] = deque()
        self._chunk_seconds = chunk_seconds
        self._remaining = sum(job.cost for job in jobs)
        self._measured = 0.0
        self._expected = 0.0

    def __len__(self) -> int:
        return len(self._jobs) + len(self._alone)

    @property
    def slowness(self) -> float:
        """Measured over expected seconds, so far."""
        return self._measured / self._expected if self._expected else 1.0

    def next(self, slots: int) -> Chunk:
        """The next chunk, for one of `slots` workers."""
        if self._alone and not self._jobs:
            return Chunk((self._alone.popleft(),))
        # Half of an equal share at the most, so that no worker is left with a long chunk while the
        # others idle.
        budget = min(self._chunk_seconds / self.slowness, self._remaining / (2 * slots))
        jobs = [self._jobs.popleft()]
        spent = jobs[0].cost
        while (
            self._jobs
            and self._jobs[0].batch == jobs[0].batch
            and spent + self._jobs[0].cost <= budget
        ):
            jobs.append(self._jobs.popleft())
            spent += jobs[-1].cost
        self._remaining -= spent
        return Chunk(tuple(jobs))

    def observe(self, expected: float, measured: float) -> None:
        """Learns from a finished chunk how fast the workers really are."""
        self._expected += expected
        self._measured += measured

    def put_back_alone(self, jobs: Iterable[Job]) -> None:
        """Takes jobs of a lost chunk back; each travels alone from now on, so that a deadly one
        harms no other."""
        self._alone.extend(jobs)


def git_commit() -> str | None:
    """The commit of the code in use, with "-dirty" where files differ from it; None outside a
    repository."""
    folder = Path(__file__).parent
    try:
        command = [
            "git",
            "-C",
            str(folder),
            "describe",
            "--always",
            "--dirty",
            "--abbrev=40",
            "--exclude=*",
        ]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
