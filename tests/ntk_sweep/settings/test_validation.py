"""Protects what settings may hold: a mistake is refused before anything starts, by name."""

import re
from dataclasses import asdict

import pytest

from ntk_sweep.errors import ConfigError
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.settings.locations import absolute_results
from ntk_sweep.settings.schema import ComputeConfig, DataConfig, SweepConfig, TrainingConfig
from ntk_sweep.settings.tasks import TASKS
from ntk_sweep.settings.validation import (
    choices,
    from_dict,
    setting_fields,
    setting_names,
    unknown_setting,
    validate,
    validate_data_files,
)
from tests.helpers.settings import settings

LARGEST = 2**63 - 1


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
            {"act": "nosuch"},
            f"act=nosuch is unknown: choose one of {', '.join(ACTIVATIONS)}",
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
    assert from_dict(asdict(config)) == config


def test_plain_containers_are_validated():
    with pytest.raises(ConfigError, match="width=0 must be"):
        from_dict(asdict(settings(width=0)))


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
        from_dict(values)
    assert str(caught.value) == unknown_setting(name, "spectrum")
    assert f"unknown setting '{name}'" in str(caught.value)
    assert ("Did you mean" in str(caught.value)) == bool(hint)
    assert hint in str(caught.value)
    assert all(known in str(caught.value) for known in setting_names("spectrum"))


def test_a_setting_of_another_task_is_refused():
    values = asdict(settings())
    values["task"]["epochs"] = 3
    with pytest.raises(
        ConfigError, match=r"^task\.epochs is a setting of task=training only: leave it"
    ):
        from_dict(values)


def test_an_unknown_task_is_refused():
    values = asdict(settings())
    values["task"] = {"name": "training_run"}
    with pytest.raises(
        ConfigError, match=r"task\.name=training_run is unknown: choose one of spectrum, training"
    ):
        from_dict(values)


REMOVABLE = [(task, name) for task in TASKS for name in setting_names(task) if name != "task.name"]


@pytest.mark.parametrize(("task", "name"), REMOVABLE)
def test_removed_settings_are_refused(task, name):
    values = asdict(settings(task=TASKS[task].settings()))
    *parents, leaf = name.split(".")
    target = values
    for parent in parents:
        target = target[parent]
    del target[leaf]
    with pytest.raises(ConfigError, match=f"the settings {re.escape(name)} are missing"):
        from_dict(values)


def test_settings_of_a_task_are_those_of_its_class_and_those_of_all():
    for task, entry in TASKS.items():
        own = {f"task.{name}" for name in asdict(entry.settings())}
        assert {name for name in setting_names(task) if name.startswith("task.")} == own
    of_all = set.intersection(*(set(setting_names(task)) for task in TASKS))
    assert set(setting_names()) == of_all.union(*(setting_names(task) for task in TASKS))
    assert set(asdict(SweepConfig())) == {name.partition(".")[0] for name in of_all}


@pytest.mark.parametrize(("name", "names"), choices().items())
def test_a_choice_is_refused_by_name_wherever_it_is_made(name, names):
    task = next(task for task in TASKS if name in setting_names(task))
    values = asdict(settings(task=TASKS[task].settings()))
    *parents, leaf = name.split(".")
    target = values
    for parent in parents:
        target = target[parent]
    target[leaf] = "neither"
    message = f"{name}=neither is unknown: choose one of {', '.join(names)}"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        from_dict(values)


def test_every_setting_says_what_it_is():
    silent = {name for name, item in setting_fields().items() if not item.metadata.get("text")}
    assert silent == {"task.name"}


def test_files_of_data_that_no_data_set_of_the_sweep_reads_are_refused():
    digits, npz = settings(data__path="f.npz"), settings(data=DataConfig("npz", path="f.npz"))
    message = r"data\.path=f\.npz belongs to data=npz, but data is digits"
    with pytest.raises(ConfigError, match=message):
        validate_data_files([digits])
    validate_data_files([digits, npz])
    with pytest.raises(ConfigError, match=r"data\.root=r belongs to data=fashion_mnist, .* npz"):
        validate_data_files([npz, settings(data__root="r")])


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (DataConfig("npz", path="f.npz", root="r"), "f.npz"),
        (DataConfig("fashion_mnist", path="f.npz", root="r"), "r"),
        (DataConfig("digits", path="f.npz", root="r"), None),
    ],
)
def test_a_source_reads_the_place_that_is_its_own(data, place):
    assert data.place == place


def test_relative_results_mean_the_same_in_every_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert absolute_results("results") == str(tmp_path / "results")
    assert absolute_results("~/results") == str(tmp_path / "home" / "results")
    assert absolute_results("/a/../b") == "/b"
    assert absolute_results("s3://bucket/prefix") == "s3://bucket/prefix"


FLOW_TASK = {"optimiser": "flow"}


@pytest.mark.parametrize(
    "task",
    [
        FLOW_TASK,
        FLOW_TASK | {"flow_time": 3.0, "flow_tolerance": 1e-3},
        FLOW_TASK | {"centre_outputs": True, "stop_at_loss": 0.01},
        {"centre_outputs": True, "stop_at_loss": 0.01},
        {"learning_rate_unit": "inverse_max_diagonal"},
    ],
)
def test_settings_of_an_optimiser_are_accepted(task):
    validate(settings(task=TrainingConfig(**task)))


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (
            {"flow_time": 3.0},
            "task.flow_time=3.0 is a setting of task.optimiser=flow, but this is "
            "task.optimiser=sgd",
        ),
        ({"flow_tolerance": 1e-3}, "task.flow_tolerance=0.001 is a setting of task.optimiser=flow"),
        *(
            (
                FLOW_TASK | {name: value},
                f"task.{name}={value} is a setting of task.optimiser=sgd, but this is "
                "task.optimiser=flow",
            )
            for name, value in {
                "learning_rate": 0.5,
                "learning_rate_unit": "inverse_lambda_max",
                "batch_size": 10,
                "epochs": 7,
                "shuffle": False,
                "record_kernel_every": 3,
            }.items()
        ),
        (FLOW_TASK | {"flow_time": 0.0}, "task.flow_time=0.0 must be a positive number"),
        (FLOW_TASK | {"flow_tolerance": 0.0}, "task.flow_tolerance=0.0 must be a relative error"),
        ({"stop_at_loss": 0.0}, "task.stop_at_loss=0.0 must be a positive number"),
        ({"stop_at_loss": -1.0}, "task.stop_at_loss=-1.0 must be a positive number"),
        ({"optimiser": "adam"}, "task.optimiser=adam is unknown: choose one of sgd, flow"),
        ({"learning_rate_unit": "x"}, "choose one of absolute, inverse_lambda_max, inverse_max_d"),
    ],
)
def test_settings_that_the_optimiser_does_not_read_are_refused(task, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        validate(settings(task=TrainingConfig(**task)))


def test_eigenvectors_of_a_method_without_them_are_refused():
    valid = settings(width=7, task__method="extreme", task__save_layer_kernels=True)
    assert valid.task.save_layer_kernels
    with pytest.raises(ConfigError, match=r"save_eigenvectors=true needs all.*method=auto or eigh"):
        validate(settings(width=7, task__method="extreme", task__save_eigenvectors=True))


def test_a_flow_in_single_precision_is_refused():
    message = "dtype=float32 is too coarse for task.optimiser=flow: set dtype=float64"
    with pytest.raises(ConfigError, match=message):
        validate(settings(task=TrainingConfig(**FLOW_TASK), dtype="float32"))
