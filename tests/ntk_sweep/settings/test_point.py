"""Protects keys: a point is found again in every store, and never taken for another."""

import dataclasses
import subprocess
import sys
from dataclasses import replace

import pytest

from ntk_sweep.network.architecture import Architecture
from ntk_sweep.settings import point as points_module
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import ComputeConfig, DataConfig, SpectrumConfig, TrainingConfig
from ntk_sweep.settings.tasks import TASKS
from tests.helpers.places import ROOT
from tests.helpers.points import changed
from tests.helpers.settings import settings

POINT = Point(SpectrumConfig(), Architecture("relu", 100, 3, "thesis"), 0, "float64", "0" * 64)

DIGITS = "778ceba36fe247b2c2d4a154e3ac4833cc6879ce11eaec2e0960d240869fbe62"
PINNED = {
    "fd1cfd3edf53287db7f619ac8307f118c113981c6d11c8455cfd237e323fa4ae": POINT,
    "f78b782467603bab1436c8ae42072eb4178676bd6eecee431ec97a93f46a965a": Point(
        SpectrumConfig(), Architecture("sigmoid", 200, 2, "thesis"), 1, "float64", DIGITS
    ),
    "f894e1073a2e03bc4d3f0da833a1013d9d64ecaafaad7f3c5d26ab98f7561b7d": Point(
        SpectrumConfig(save_kernel=True), Architecture("silu", 40, 2, "ntk"), 0, "float32", DIGITS
    ),
    "dfec4315dc44b7735ca7ff714750fdbd9d29fffc93d6429eaca007d510ad5836": Point(
        SpectrumConfig("spectrum", "extreme"),
        Architecture("silu", 40, 3, "thesis"),
        0,
        "float64",
        DIGITS,
    ),
    "32a6451f0a903864cc31ae8ae37391ce9d844fc90708af56097320e53f399cb7": Point(
        TrainingConfig(epochs=20), Architecture("relu", 800, 3, "thesis"), 0, "float64", DIGITS
    ),
    "4d852abe93e64e88a8f2408bc6baecd10b47895b95fc4370ae8cbc0b3b97f49a": Point(
        TrainingConfig(learning_rate=50.0, learning_rate_unit="inverse_lambda_max", epochs=20),
        Architecture("erf", 100, 3, "thesis"),
        1,
        "float64",
        DIGITS,
    ),
    "ec56338afa999e538bb8f3fc97859f2d37502b179f99a714a139644e4d882134": Point(
        TrainingConfig(epochs=20, record_kernel_every=10),
        Architecture("elu", 100, 3, "thesis"),
        0,
        "float64",
        DIGITS,
    ),
}
"""Keys of stored rows, of every kind that there is."""


def test_a_point_does_not_change_with_the_settings_that_it_was_made_of():
    config = settings()
    point = Point.of(config, "f")
    config.task.method = "eigh"
    assert point.settings.method == "auto"
    assert point.key == Point.of(settings(), "f").key


@pytest.mark.parametrize(("key", "point"), PINNED.items(), ids=str)
def test_keys_of_stored_rows_stay_what_they_are(key, point):
    assert point.key == key


# Fields that are added later


def later(record, **added):
    """A record of a class with further fields, each with its default and its value."""
    base = type(record)
    fields = [
        (name, type(default), dataclasses.field(default=default))
        for name, (default, _) in added.items()
    ]
    frozen = base.__dataclass_params__.frozen
    cls = dataclasses.make_dataclass(base.__name__, fields, bases=(base,), frozen=frozen)
    own = {item.name: getattr(record, item.name) for item in dataclasses.fields(record)}
    return cls(**own, **{name: value for name, (_, value) in added.items()})


def test_a_field_added_to_the_architecture_leaves_keys_at_its_default_alone():
    default = later(POINT.architecture, gain=(1.0, 1.0), shift=(1.0, 1.0))
    assert replace(POINT, architecture=default).key == POINT.key
    others = [
        later(POINT.architecture, gain=(1.0, 1.5), shift=(1.0, 1.0)),
        later(POINT.architecture, gain=(1.0, 1.0), shift=(1.0, 1.5)),
        later(POINT.architecture, gain=(1.0, 1.5), shift=(1.0, 1.5)),
    ]
    keys = {replace(POINT, architecture=other).key for other in others}
    assert len(keys | {POINT.key}) == 4
    assert replace(POINT, architecture=others[0]).coordinates["gain"] == 1.5


def test_scales_are_in_a_key_where_they_are_not_1():
    scales = [(1.5, 1.0), (1.0, 1.5), (1.5, 1.5), (1.0, 0.0), (1.0, None), (1.0, 2.0)]
    points = [
        replace(
            POINT,
            architecture=replace(POINT.architecture, weight_std=weight_std, bias_std=bias_std),
        )
        for weight_std, bias_std in scales
    ]
    assert len({POINT.key, *(point.key for point in points)}) == len(scales) + 1
    same = replace(POINT.architecture, weight_std=1.0, bias_std=1.0)
    assert replace(POINT, architecture=same).key == POINT.key
    plus, minus = (replace(POINT.architecture, bias_std=zero) for zero in (0.0, -0.0))
    assert replace(POINT, architecture=plus).key == replace(POINT, architecture=minus).key
    assert "bias_std=null" in str(points[4]) and "std" not in str(POINT)


@pytest.mark.parametrize("task", TASKS)
def test_a_setting_added_to_a_task_leaves_keys_at_its_default_alone(task):
    point = replace(POINT, settings=TASKS[task].settings())
    assert replace(point, settings=later(point.settings, momentum=(0.0, 0.0))).key == point.key
    assert replace(point, settings=later(point.settings, momentum=(0.0, 0.9))).key != point.key


def test_a_setting_cannot_hide_a_coordinate_of_its_name():
    with pytest.raises(AssertionError, match="used twice"):
        _ = replace(POINT, settings=later(POINT.settings, width=(1, 2))).key


# What is in a key


@pytest.mark.parametrize(
    "changes",
    [
        {"act": "elu"},
        {"width": 101},
        {"depth": 4},
        {"seed": 1},
        {"parametrisation": "ntk"},
        {"weight_std": 1.5},
        {"bias_std": 0.0},
        {"bias_std": None},
        {"dtype": "float32"},
        {"settings": SpectrumConfig(method="jacobian")},
        {"settings": SpectrumConfig(target=1e-6)},
        {"settings": TrainingConfig()},
        {"data_fingerprint": "1" + "0" * 63},
        {"width": 3, "depth": 100},
    ],
)
def test_key_changes_with_all_that_determines_the_numbers(changes):
    assert changed(POINT, **changes).key != POINT.key


def other_values(item):
    """Another value of a setting, whatever its type."""
    if isinstance(item.default, bool):
        return not item.default
    if isinstance(item.default, str):
        return f"{item.default} or another"
    return 7 if item.default is None else item.default * 2


SETTINGS = [
    (task, item.name) for task in TASKS for item in dataclasses.fields(TASKS[task].settings)
]


@pytest.mark.parametrize(("task", "name"), SETTINGS)
def test_key_changes_with_every_setting_of_a_task_but_by_products(task, name):
    settings_class = TASKS[task].settings
    (item,) = (item for item in dataclasses.fields(settings_class) if item.name == name)
    point = replace(POINT, settings=settings_class())
    other = replace(POINT, settings=settings_class(**{name: other_values(item)}))
    assert (other.key == point.key) == (name in points_module.BY_PRODUCTS)


def test_key_changes_with_the_numerics_version(monkeypatch):
    before = replace(POINT).key
    monkeypatch.setattr(points_module, "NUMERICS_VERSION", points_module.NUMERICS_VERSION + 1)
    assert replace(POINT).key != before


@pytest.mark.parametrize(
    "changes",
    [
        {"results": "elsewhere"},
        {"device": "cuda"},
        {"force": True},
        {"dry_run": True},
        {"task": SpectrumConfig(save_kernel=True)},
        {"compute": ComputeConfig(address="auto", num_workers=5, num_cpus=2, num_gpus=1)},
        {"data": DataConfig("npz", path="elsewhere.npz")},
    ],
)
def test_key_does_not_depend_on_where_and_how_it_is_computed(changes):
    assert Point.of(replace(settings(), **changes), "f").key == Point.of(settings(), "f").key


@pytest.mark.parametrize(
    "changes",
    [
        {"act": "elu"},
        {"width": 3},
        {"depth": 9},
        {"seed": 2},
        {"parametrisation": "ntk"},
        {"dtype": "float32"},
    ],
)
def test_points_carry_the_settings(changes):
    point = Point.of(settings(**changes), "f")
    assert {name: point.coordinates[name] for name in changes} == changes
    assert point.data_fingerprint == "f"
    assert point.key != Point.of(settings(), "f").key


def test_key_is_the_same_in_every_process():
    code = """
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import SpectrumConfig

network = Architecture("relu", 100, 3, "thesis")
print(Point(SpectrumConfig(), network, 0, "float64", "0" * 64).key)
"""
    for hash_seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env={"PYTHONHASHSEED": hash_seed},
        )
        assert run.stdout.strip() == POINT.key


def test_points_are_told_apart_in_messages():
    assert str(POINT) == "act=relu width=100 depth=3 seed=0 (thesis, float64)"
