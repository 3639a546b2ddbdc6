import json
import re
import subprocess
import sys
from dataclasses import asdict, fields, replace

import pytest

from ntk_sweep.errors import ConfigError
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.settings import point as points_module
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import (
    TASKS,
    ComputeConfig,
    DataConfig,
    SpectrumConfig,
    SweepConfig,
    TrainingConfig,
    absolute_results,
    setting_names,
    unknown_setting,
    validate,
)
from tests.helpers.places import ROOT

LARGEST = 2**63 - 1

POINT = Point(SpectrumConfig(), "relu", 100, 3, 0, "thesis", "float64", "0" * 64)


def settings(**changes) -> SweepConfig:
    """Valid settings with some changed; nested ones by a name with double underscore."""
    config = SweepConfig(data=DataConfig("digits", classes=[0, 9], n_per_class=100))
    for name, value in changes.items():
        *parents, leaf = name.split("__")
        target = config
        for parent in parents:
            target = getattr(target, parent)
        setattr(target, leaf, value)
    return config


def test_defaults_are_valid():
    validate(settings())


@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("parametrisation", ["thesis", "ntk", "standard"])
def test_every_activation_and_parametrisation_is_valid(act, parametrisation):
    validate(settings(act=act, parametrisation=parametrisation))


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 1, "depth": 2, "seed": 0},
        {"seed": LARGEST},
        {"dtype": "float32", "device": "cuda", "force": True},
        {"results": "s3://bucket/prefix"},
        {"data": DataConfig("npz", path="data.npz")},
        {"data": DataConfig("npz", path="data.npz", classes=[3, 1], n_per_class=5)},
        {"data": DataConfig("fashion_mnist", root="somewhere", classes=[0, 9])},
        {"compute": ComputeConfig(address="auto", num_workers=3, num_cpus=0.5, num_gpus=0.25)},
        {"compute": ComputeConfig(num_gpus=2)},
        {"task": TrainingConfig()},
        {
            "task": TrainingConfig(
                learning_rate=50.0,
                learning_rate_unit="inverse_lambda_max",
                batch_size=None,
                record_kernel_every=5,
            )
        },
    ],
)
def test_valid_settings_are_accepted(changes):
    validate(settings(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"act": "softplus"},
            (
                "act=softplus is unknown: choose one of relu, elu, lrelu, sigmoid, tanh, erf, "
                "gelu, silu"
            ),
        ),
        ({"act": "ReLU"}, "act=ReLU is unknown"),
        ({"act": ""}, "act= is unknown"),
        (
            {"parametrisation": "mup"},
            "parametrisation=mup is unknown: choose one of thesis, ntk, standard",
        ),
        ({"dtype": "float16"}, "dtype=float16 is unknown: choose one of float64, float32"),
        ({"device": "tpu"}, "device=tpu is unknown: choose one of auto, cpu, cuda"),
        (
            {"task__name": "training"},
            "task.name=training cannot be set: choose one of task=spectrum, task=training",
        ),
        (
            {"task": TrainingConfig(learning_rate=0.0)},
            "task.learning_rate=0.0 must be a positive number",
        ),
        (
            {"task": TrainingConfig(learning_rate=float("inf"))},
            "task.learning_rate=inf must be a positive number",
        ),
        (
            {"task": TrainingConfig(learning_rate_unit="percent")},
            "choose one of absolute, inverse_lambda_max",
        ),
        (
            {"task": TrainingConfig(batch_size=0)},
            "task.batch_size=0 must be an integer of at least 1",
        ),
        ({"task": TrainingConfig(epochs=0)}, "task.epochs=0 must be an integer of at least 1"),
        ({"task": TrainingConfig(record_kernel_every=0)}, "task.record_kernel_every=0 must be"),
        (
            {"data__name": "mnist"},
            "data.name=mnist is unknown: choose one of fashion_mnist, digits, npz",
        ),
        ({"width": 0}, "width=0 must be an integer of at least 1"),
        ({"width": -5}, "width=-5 must be an integer of at least 1"),
        ({"width": 2.5}, "width=2.5 must be an integer"),
        ({"width": 2.0}, "width=2.0 must be an integer"),
        ({"width": "abc"}, "width=abc must be an integer"),
        ({"width": True}, "width=True must be an integer"),
        ({"width": None}, "width=None must be an integer"),
        ({"width": LARGEST + 1}, "width=9223372036854775808 .* at most 9223372036854775807"),
        (
            {"depth": 1},
            "depth=1 must be an integer of at least 2: .*the activation would not appear",
        ),
        ({"depth": 0}, "depth=0 must be"),
        ({"depth": LARGEST + 1}, "depth=9223372036854775808 .* at most"),
        ({"seed": -1}, "seed=-1 must be an integer of at least 0"),
        ({"seed": LARGEST + 1}, "seed=9223372036854775808 .* at most"),
        ({"results": ""}, "results is empty: give a folder, or a URI"),
        ({"results": "  "}, "results is empty"),
        ({"data__classes": [0]}, r"data.classes=\[0\] must be two different labels"),
        ({"data__classes": []}, r"data.classes=\[\] must be two different labels"),
        ({"data__classes": [0, 1, 2]}, r"data.classes=\[0, 1, 2\] must be two different labels"),
        ({"data__classes": [4, 4]}, r"data.classes=\[4, 4\] must be two different labels"),
        ({"data__classes": None}, "only data=npz can go without"),
        ({"data__n_per_class": 0}, "data.n_per_class=0 must be an integer of at least 1"),
        ({"data__n_per_class": 1.5}, "data.n_per_class=1.5 must be"),
        (
            {"data": DataConfig("npz", path="f.npz", n_per_class=3)},
            "data.n_per_class needs data.classes",
        ),
        ({"data": DataConfig("npz")}, "data=npz needs data.path=FILE.npz"),
        ({"data": DataConfig("npz", path="")}, "data=npz needs data.path=FILE.npz"),
        ({"compute__num_workers": 0}, "compute.num_workers=0 must be an integer of at least 1"),
        ({"compute__num_cpus": 0}, "compute.num_cpus=0 must be a positive number"),
        ({"compute__num_cpus": float("nan")}, "compute.num_cpus=nan must be a positive number"),
        ({"compute__num_cpus": float("inf")}, "compute.num_cpus=inf must be a positive number"),
        ({"compute__num_gpus": -1}, "compute.num_gpus=-1 must be 0 or a positive number"),
        ({"compute__num_gpus": float("nan")}, "compute.num_gpus=nan must be"),
        ({"compute__num_gpus": 1.5}, "compute.num_gpus=1.5 must be whole above 1"),
        ({"compute__chunk_seconds": 0}, "compute.chunk_seconds=0 must be a positive number"),
        (
            {"compute__object_store_mb": 10},
            "compute.object_store_mb=10 must be an integer of at least 80",
        ),
    ],
)
def test_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        validate(settings(**changes))


def test_settings_survive_plain_containers():
    config = settings(width=7, compute__num_gpus=0.5, task__save_kernel=True)
    assert SweepConfig.from_dict(asdict(config)) == config


def test_plain_containers_are_validated():
    with pytest.raises(ConfigError, match="width=0 must be"):
        SweepConfig.from_dict(asdict(settings(width=0)))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("widht", "Did you mean width?"),
        ("data.rot", "Did you mean data.root?"),
        ("compute.num_gpu", "Did you mean compute.num_gpus?"),
        ("q", ""),
    ],
)
def test_unknown_settings_are_refused_with_the_known_ones(name, hint):
    values = asdict(settings())
    *parents, leaf = name.split(".")
    target = values
    for parent in parents:
        target = target[parent]
    target[leaf] = 3
    with pytest.raises(ConfigError) as caught:
        SweepConfig.from_dict(values)
    assert str(caught.value) == unknown_setting(name, "spectrum")
    assert f"unknown setting '{name}'" in str(caught.value)
    assert ("Did you mean" in str(caught.value)) == bool(hint)
    assert hint in str(caught.value)
    assert all(known in str(caught.value) for known in setting_names("spectrum"))


def test_a_setting_of_another_task_is_refused():
    values = asdict(settings())
    values["task"]["epochs"] = 3
    with pytest.raises(ConfigError, match=r"^task\.epochs is a setting of task=training only$"):
        SweepConfig.from_dict(values)


def test_an_unknown_task_is_refused():
    values = asdict(settings())
    values["task"] = {"name": "training_run"}
    with pytest.raises(
        ConfigError, match=r"task\.name=training_run is unknown: choose one of spectrum, training"
    ):
        SweepConfig.from_dict(values)


REMOVABLE = [(task, name) for task in TASKS for name in setting_names(task) if name != "task.name"]


@pytest.mark.parametrize(("task", "name"), REMOVABLE)
def test_removed_settings_are_refused(task, name):
    values = asdict(settings(task=TASKS[task]()))
    *parents, leaf = name.split(".")
    target = values
    for parent in parents:
        target = target[parent]
    del target[leaf]
    with pytest.raises(ConfigError, match=f"the settings {re.escape(name)} are missing"):
        SweepConfig.from_dict(values)


def test_setting_names_are_those_promised():
    promised = (
        "act width depth seed parametrisation task.name task.save_kernel data.name data.root "
        "data.path data.classes"
    )
    promised += " data.n_per_class results compute.address device force"
    assert set(promised.split()) <= set(setting_names())


# Keys


def test_key_is_pinned():
    """Results of all versions that share the numerics are found again only as long as this does not
    change."""
    assert POINT.key == "fd1cfd3edf53287db7f619ac8307f118c113981c6d11c8455cfd237e323fa4ae"


@pytest.mark.parametrize(
    "changes",
    [
        {"act": "elu"},
        {"width": 101},
        {"depth": 4},
        {"seed": 1},
        {"parametrisation": "ntk"},
        {"dtype": "float32"},
        {"settings": SpectrumConfig(method="jacobian")},
        {"settings": SpectrumConfig(target=1e-6)},
        {"settings": TrainingConfig()},
        {"data_fingerprint": "1" + "0" * 63},
        {"width": 3, "depth": 100},
    ],
)
def test_key_changes_with_all_that_determines_the_numbers(changes):
    assert replace(POINT, **changes).key != POINT.key


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 1e-2},
        {"learning_rate_unit": "inverse_lambda_max"},
        {"batch_size": None},
        {"batch_size": 2},
        {"epochs": 99},
        {"shuffle": False},
        {"record_kernel_every": 10},
    ],
)
def test_key_of_a_run_changes_with_all_its_settings(changes):
    point = replace(POINT, settings=TrainingConfig())
    assert replace(point, settings=TrainingConfig(**changes)).key != point.key
    assert {"name", *changes} < {item.name for item in fields(TrainingConfig)}


def test_key_is_not_changed_by_a_by_product():
    assert replace(POINT, settings=SpectrumConfig(save_kernel=True)).key == POINT.key


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
    assert {name: getattr(point, name) for name in changes} == changes
    assert point.data_fingerprint == "f"
    assert point.key != Point.of(settings(), "f").key


def test_key_is_the_same_in_every_process():
    code = "from ntk_sweep.settings.point import Point; from ntk_sweep.settings.schema import SpectrumConfig; "
    code += "print(Point(SpectrumConfig(), 'relu', 100, 3, 0, 'thesis', 'float64', '0' * 64).key)"
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


def test_relative_results_mean_the_same_in_every_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert absolute_results("results") == str(tmp_path / "results")
    assert absolute_results("~/results") == str(tmp_path / "home" / "results")
    assert absolute_results("/a/../b") == "/b"
    assert absolute_results("s3://bucket/prefix") == "s3://bucket/prefix"


def test_points_are_told_apart_in_messages():
    assert str(POINT) == "act=relu width=100 depth=3 seed=0 (thesis, float64)"
    assert json.dumps(asdict(POINT))
