"""What a sweep has to compute: its points without those that the stores already have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from ntk_sweep.data.dataset import Dataset, load_dataset
from ntk_sweep.settings.locations import absolute_results
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import DataConfig, SweepConfig
from ntk_sweep.store.reading import finished
from ntk_sweep.store.store import Store

StoreId = tuple[str, str]
"""Names a store of a sweep: the results folder or URI, and the task."""


@dataclass(frozen=True)
class Job:
    """A point to compute.

    Attributes:
        point: What is computed.
        results: The results folder or URI that its row goes to.
        device: "auto", "cpu" or "cuda".
        force: Whether it is computed even if the store has its result.
        dataset: Its data set.
        index: Its place among the points of the sweep; the last one where several are equal.
    """

    point: Point
    results: str
    device: str
    force: bool
    dataset: Dataset = field(repr=False)
    index: int = 0

    @property
    def store_id(self) -> StoreId:
        """Names the store that its row goes to."""
        return (self.results, self.point.task)

    @property
    def batch(self) -> tuple[str, str, str, str, str]:
        """Jobs of the same batch may share a chunk."""
        data = (self.point.data_fingerprint, self.point.test_fingerprint or "")
        return (self.results, self.point.task, self.device, *data)


@dataclass(frozen=True)
class Plan:
    """A sweep before it starts.

    Attributes:
        points: The points of the sweep, in the order given; one that is given twice stands here
            twice.
        jobs: What is to be computed, each key once a store.
        skipped: How many different points the stores have already.
        stores: The stores of the sweep.
    """

    points: list[Point]
    jobs: list[Job]
    skipped: int
    stores: dict[StoreId, Store]


def located(configs: Iterable[SweepConfig]) -> list[SweepConfig]:
    """Points whose results are spelt in one way: those of one folder must meet in one store."""
    absolute = cache(absolute_results)
    return [replace(config, results=absolute(config.results)) for config in configs]


def open_stores(configs: Iterable[SweepConfig]) -> dict[StoreId, Store]:
    """The stores that the points' rows go to."""
    ids = dict.fromkeys((config.results, config.task.name) for config in configs)
    return {store_id: Store(*store_id) for store_id in ids}


def make_plan(
    configs: Sequence[SweepConfig],
    stores: dict[StoreId, Store],
    tick: Callable[[], None] = lambda: None,
) -> Plan:
    """Loads the data sets, makes the points, and leaves out those whose results are in their store.

    Args:
        configs: The settings of each point.
        stores: What `open_stores` makes of them.
        tick: Is called after each point.

    Raises:
        DataError: A data set cannot be used.
        StoreError: A store holds a part that cannot be read.
    """
    done = {store_id: finished(store) for store_id, store in stores.items()}
    datasets: dict[str, Dataset] = {}
    data: DataConfig | None = None
    points: list[Point] = []
    jobs: dict[tuple[str, str], Job] = {}
    skipped: set[tuple[str, str]] = set()
    for index, config in enumerate(configs):
        if config.data is not data:
            data = config.data
            if repr(data) not in datasets:
                datasets[repr(data)] = load_dataset(**data.arguments, download=not config.dry_run)
            dataset = datasets[repr(data)]
        point = Point.of(config, *dataset.fingerprints)
        points.append(point)
        entry = None if config.force else done[config.results, point.task].get(point.key)
        place = (config.results, point.key)
        if entry is not None and entry.serves(point.files):
            skipped.add(place)
        else:
            # the new row takes the place of one whose files may be wanted
            there = entry.files if entry is not None else frozenset()
            asked = jobs[place].point.files if place in jobs else frozenset()
            jobs[place] = Job(
                point.with_files(there | asked),
                config.results,
                config.device,
                config.force,
                dataset,
                index,
            )
        tick()
    return Plan(points, list(jobs.values()), len(skipped - set(jobs)), stores)
