"""Protects how little it takes to add an activation, a data source or a task: an entry, and a file.

Each test adds one for a moment, computes a row with it, and counts what it touched.
"""

import dataclasses
import re
from textwrap import dedent

import numpy as np
import pytest

from ntk_sweep.data.dataset import Dataset, find_again, load_dataset
from ntk_sweep.data.sources import SOURCES, Source
from ntk_sweep.errors import ConfigError
from ntk_sweep.network.activations.activation import Activation
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.settings.help import settings_help
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.tasks import TASKS, Task, resolve
from ntk_sweep.settings.validation import from_dict
from ntk_sweep.tasks.rows import compute_rows
from tests.helpers.settings import settings

REGISTRIES = {
    "activations": ACTIVATIONS,
    "parametrisations": PARAMETRISATIONS,
    "sources": SOURCES,
    "tasks": TASKS,
}
DATASET = Dataset(
    "npz", np.random.default_rng(3).random((6, 4)), np.arange(6) % 2.0, None, "fingerprint"
)


@pytest.fixture
def touched(tmp_path, monkeypatch):
    """What a test has added: entries of registries, and files that lie beside ours."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = {name: dict(registry) for name, registry in REGISTRIES.items()}

    def found():
        entries = [
            f"{name}: {entry}"
            for name, registry in REGISTRIES.items()
            for entry in registry
            if registry[entry] is not before[name].get(entry)
        ]
        return entries + sorted(path.name for path in tmp_path.glob("*.py"))

    return found


def read(**changes):
    """Settings as the command line brings them: plain containers, which are validated."""
    return from_dict(dataclasses.asdict(settings(**changes)))


def row_of(config, dataset=DATASET):
    """The row of the point that some settings describe."""
    point = Point.of(config, dataset.fingerprint)
    (result,) = compute_rows([point], dataset, "cpu", None)
    assert result.row["status"] == "ok", result.row.get("error")
    assert result.row["key"] == point.key
    return result.row


def test_an_activation_is_one_entry(monkeypatch, touched):
    with pytest.raises(ConfigError, match="act=nosuch is unknown"):
        read(act="nosuch")
    entry = Activation(
        title="Softplus",
        function=lambda z: z.clamp(min=0) + (-z.abs()).exp().log1p(),
        derivative=lambda z: z.sigmoid(),
        curvature=0.25,
        jump=0.0,
    )
    monkeypatch.setitem(ACTIVATIONS, "nosuch", entry)
    row = row_of(read(act="nosuch", width=9, depth=3))
    assert (row["act"], len(row["eigenvalues"])) == ("nosuch", 6)
    # a wide network is near its limit, which is found by quadrature
    wide = row_of(read(act="nosuch", width=2000, depth=2, parametrisation="ntk"))
    assert wide["limit_distance"] < 0.1
    assert "nosuch" in settings_help()
    assert touched() == ["activations: nosuch"]


def test_a_data_source_is_one_entry_and_one_file(monkeypatch, tmp_path, touched):
    with pytest.raises(ConfigError, match=r"data\.name=circles is unknown"):
        read(data__name="circles")
    (tmp_path / "circles.py").write_text(
        dedent(
            """
            import numpy as np

            def load(place):
                angles = np.linspace(0, 6, 40)
                labels = np.arange(40) % 2
                points = np.stack((np.cos(angles), np.sin(angles)), axis=1)
                return points * (1 + labels[:, None]), labels
            """
        )
    )
    load = resolve("circles:load")
    monkeypatch.setitem(SOURCES, "circles", Source("circles", load, load, scale=2.0, place="path"))
    with pytest.raises(ConfigError, match=r"only data=npz can go without \(data=circles\)"):
        read(data__name="circles", data__classes=None)
    config = read(data__name="circles", data__classes=[1, 0], data__path="f", width=9)
    dataset = load_dataset("circles", [1, 0], 7, config.data.place)
    np.testing.assert_allclose(np.linalg.norm(dataset.x, axis=1), [1.0] * 7 + [0.5] * 7)
    row = row_of(config, dataset)
    assert (row["data"], row["data_classes"], row["n_samples"]) == ("circles", (1, 0), 14)
    again = find_again("circles", row["data_fingerprint"], row["data_classes"], 14)
    assert again.fingerprint == dataset.fingerprint
    assert re.search(r"data\.path.*\(data=npz or circles\)", settings_help())
    assert touched() == ["sources: circles", "circles.py"]


def test_a_task_is_one_entry_and_one_file(monkeypatch, tmp_path, touched):
    values = dataclasses.asdict(settings(width=9, depth=3))
    values["task"] = {"name": "slope", "step": 0.5}
    with pytest.raises(ConfigError, match=r"task\.name=slope is unknown"):
        from_dict(values)
    (tmp_path / "slope.py").write_text(
        dedent(
            """
            from dataclasses import dataclass, field

            from ntk_sweep.settings.checks import positive
            from ntk_sweep.settings.schema import TaskConfig, about

            @dataclass
            class SlopeConfig(TaskConfig):
                name: str = "slope"
                step: float = field(default=1.0, metadata=about("how far apart", positive))

                def columns(self, n_samples):
                    return {"step": self.step}

            def compute(work):
                from ntk_sweep.tasks.spectrum import initial_kernel

                initial = initial_kernel(work, work.point.settings.kernel_method, 1e-9)
                slope = initial.network(initial.x).std() / work.point.settings.step
                return {"slope": float(slope)}, None

            def summary():
                return None
            """
        )
    )
    entry = Task("slope", resolve("slope:SlopeConfig"), (), "slope:compute", "slope:summary")
    monkeypatch.setitem(TASKS, "slope", entry)
    row, twice = (
        row_of(from_dict(values | {"task": {"name": "slope", "step": step}})) for step in (0.5, 1.0)
    )
    assert (row["task"], row["step"], row["width"]) == ("slope", 0.5, 9)
    assert row["slope"] == 2 * twice["slope"] > 0
    assert row["key"] != twice["key"]
    with pytest.raises(ConfigError, match=r"task\.step=-1.0 must be a positive number"):
        from_dict(values | {"task": {"name": "slope", "step": -1.0}})
    with pytest.raises(ConfigError, match=r"task\.step is a setting of task=slope only"):
        from_dict(values | {"task": {"name": "spectrum", "step": 1.0}})
    assert re.search(r"task\.step +how far apart \(task=slope\)", settings_help())
    assert touched() == ["tasks: slope", "slope.py"]


def test_what_a_failed_point_of_another_task_says_is_kept(monkeypatch):
    """Whatever a new task raises is its row, as for those that are there."""
    broken = dataclasses.replace(TASKS["spectrum"], compute="nowhere:compute")
    monkeypatch.setitem(TASKS, "spectrum", broken)
    point = Point.of(read(width=9), DATASET.fingerprint)
    (result,) = compute_rows([point], DATASET, "cpu", None)
    assert result.row["status"] == "failed" and "nowhere" in result.row["error"]
