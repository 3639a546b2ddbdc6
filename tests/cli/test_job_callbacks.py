"""Protects Hydra's callbacks of jobs: each computed point is told of once, with its config and its
row, and no callback harms a sweep. The examples of docs/guide/logging.md run here."""

import json
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobStatus
from hydra.experimental.callback import Callback
from hydra.types import HydraContext, RunMode

from hydra_plugins.ntk_sweep_hydra.job_callbacks import JobConfigs
from hydra_plugins.ntk_sweep_hydra.launchers import SweepLauncher
from ntk_sweep import load_results
from ntk_sweep.errors import PointFailed
from tests.helpers.command_line import launch
from tests.helpers.places import ROOT

PAGE = (ROOT / "docs" / "guide" / "logging.md").read_text()
SMALL = ("data=digits", "data.n_per_class=5")
SERIAL = ("-m", "hydra/launcher=serial")
CALLS: list[tuple] = []


class Recorder(Callback):
    """Notes what it is told, and what Hydra knows at that moment."""

    def on_multirun_start(self, config, **kwargs):
        CALLS.append(("multirun start",))

    def on_multirun_end(self, config, config_name):
        CALLS.append(("multirun end", config_name))

    def on_run_end(self, config, **kwargs):
        CALLS.append(("run end",))

    def on_job_start(self, config, *, task_function, **kwargs):
        assert HydraConfig.get().job.override_dirname == config.hydra.job.override_dirname
        assert callable(task_function)
        CALLS.append(("start", config))

    def on_job_end(self, config, job_return, **kwargs):
        CALLS.append(("end", config, job_return))


class Raises(Callback):
    """A logging tool whose server does not answer."""

    def on_job_start(self, config, **kwargs):
        raise ConnectionError("no server")

    def on_job_end(self, config, job_return, **kwargs):
        raise ConnectionError("no server either")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs launch.py with a callback of this module; the status, and the calls of a recorder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, callback="Recorder"):
        CALLS.clear()
        name = f"+hydra.callbacks.own._target_={__name__}.{callback}"
        status = launch(*arguments, *SMALL, name, f"results={tmp_path / 'results'}")
        return status, list(CALLS)

    return run


def stored(tmp_path):
    return load_results(tmp_path / "results" / "spectrum")


def assert_told_as_stored(calls, tmp_path):
    """Pairs of start and end, each with the config and the row of one stored point."""
    names = [call[0] for call in calls]
    count = len(stored(tmp_path))
    assert names == ["multirun start", *["start", "end"] * count, "multirun end"]
    rows = stored(tmp_path).set_index("key")
    ends = [call[1:] for call in calls if call[0] == "end"]
    assert [call[1] for call in calls if call[0] == "start"] == [config for config, _ in ends]
    for config, job_return in ends:
        assert job_return.status == JobStatus.COMPLETED
        told = job_return.return_value
        row = rows.loc[told["key"]]
        assert set(told) == {"key", *rows.columns}
        assert (told["lambda_min"], told["host"]) == (row.lambda_min, row.host)
        assert told["eigenvalues"] == list(row.eigenvalues)
        assert (config.act, config.width) == (row.act, row.width)
        assert (job_return.cfg.act, job_return.cfg.width) == (row.act, row.width)
        assert "hydra" not in job_return.cfg
        assert f"width={row.width}" in job_return.overrides
        assert f"width={row.width}" in config.hydra.job.override_dirname
        assert job_return.working_dir == str(tmp_path)
    numbers = {config.hydra.job.num: (config.width, config.act) for config, _ in ends}
    assert numbers == dict(enumerate([(5, "relu"), (5, "elu"), (6, "relu"), (6, "elu")]))


GRID = ("width=5,6", "act=relu,elu")


def test_every_computed_point_is_told_of_with_its_config_and_row(run, tmp_path):
    status, calls = run(*SERIAL, *GRID)
    assert status == 0
    assert_told_as_stored(calls, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results"]


@pytest.mark.ray
@pytest.mark.long
def test_on_ray_the_driver_tells(run, tmp_path):
    status, calls = run("-m", "compute.num_workers=1", *GRID)
    assert status == 0
    assert_told_as_stored(calls, tmp_path)


def test_points_of_the_store_are_not_told_of_again(run):
    run(*SERIAL, "width=5,6")
    _, calls = run(*SERIAL, "width=5,6,7")
    assert [call[1].width for call in calls if call[0] == "end"] == [7]
    assert [call[1].hydra.job.num for call in calls if call[0] == "end"] == [2]
    _, calls = run(*SERIAL, "width=5,6", "force=true")
    assert sorted(call[1].width for call in calls if call[0] == "end") == [5, 6]


@pytest.fixture
def overflowing(tmp_path):
    """Settings of inputs whose sums overflow float32 and not float64."""
    x = np.full((3, 2), 1e38) * np.arange(1, 4)[:, None]
    np.savez(tmp_path / "huge.npz", x=x, y=np.arange(3))
    return "data=npz", f"data.path={tmp_path / 'huge.npz'}", "data.n_per_class=null"


def test_a_failed_point_is_told_of_as_failed(tmp_path, run, overflowing, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "SMALL", ())
    status, calls = run(*SERIAL, *overflowing, "dtype=float64,float32")
    assert status == 1
    returns = {call[1].dtype: call[2] for call in calls if call[0] == "end"}
    assert returns["float64"].status == JobStatus.COMPLETED
    assert returns["float32"].status == JobStatus.FAILED
    with pytest.raises(PointFailed, match="ValueError") as caught:
        _ = returns["float32"].return_value
    assert caught.value.row["status"] == "failed"
    assert caught.value.row["error"] == str(caught.value)
    assert calls[-1] == ("multirun end", "config")


def test_a_callback_that_raises_costs_no_row(run, tmp_path):
    with pytest.warns(UserWarning, match="Raises.on_job_end raised ConnectionError") as told:
        status, _ = run(*SERIAL, "width=5,6", callback="Raises")
    assert status == 0
    assert any("on_job_start raised ConnectionError: no server" in str(w.message) for w in told)
    assert stored(tmp_path).width.tolist() == [5, 6]


def test_what_keeps_a_job_from_being_told_of_costs_no_row(run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match=r"were not told of act=relu width=5.*: FileExists"):
        status, _ = run(*SERIAL, "width=5", f"hydra.sweep.dir={tmp_path / 'file'}")
    assert status == 0
    assert stored(tmp_path).width.tolist() == [5]


def test_a_sweep_without_callbacks_composes_nothing_for_them(run, tmp_path, monkeypatch):
    monkeypatch.setattr(JobConfigs, "compose", None)
    assert launch(*SERIAL, *SMALL, "width=5,6", f"results={tmp_path / 'results'}") == 0


def test_one_network_returns_its_row_to_hydra(run, tmp_path):
    for _ in ("computed", "in the store"):
        status, calls = run("width=5")
        assert status == 0
        assert [call[0] for call in calls] == ["start", "end", "run end"]
        (row,) = stored(tmp_path).to_dict("records")
        told = calls[1][2].return_value
        assert (told["key"], told["lambda_min"]) == (row["key"], row["lambda_min"])
        assert set(told) == set(row)


def test_one_failed_network_is_told_of_as_failed(run, overflowing, monkeypatch, capsys):
    monkeypatch.setattr(sys.modules[__name__], "SMALL", ())
    status, calls = run(*overflowing, "dtype=float32")
    assert status == 1
    assert [call[0] for call in calls] == ["start", "end", "run end"]
    assert calls[1][2].status == JobStatus.FAILED
    printed = capsys.readouterr()
    assert "1 point failed" in printed.out
    assert "Traceback" not in printed.err


def test_jobs_return_the_key_of_their_point_or_why_there_is_none(overflowing, tmp_path, capsys):
    """What a sweeper is handed. The first point fails, and ends the sweep."""
    with initialize_config_dir(config_dir=str(ROOT / "conf"), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("config", overrides=[], run_mode=RunMode.MULTIRUN)
        launcher = SweepLauncher("serial")
        launcher.setup(
            hydra_context=HydraContext(loader, Callbacks()),
            task_function=lambda config: None,
            config=master,
        )
        base = [*overflowing, f"results={tmp_path / 'results'}"]
        jobs = [[*base, "width=5", f"dtype={dtype}"] for dtype in ("float32", "float64")]
        failed, left = launcher.launch([[*job, "compute.fail_fast=true"] for job in jobs], 0)
        _, good = launcher.launch(jobs, 0)
    with pytest.raises(RuntimeError, match="not finite"):
        _ = failed.return_value
    with pytest.raises(RuntimeError, match=r"not computed: compute.fail_fast ended"):
        _ = left.return_value
    assert (good.status, good.overrides) == (JobStatus.COMPLETED, jobs[1])
    assert good.return_value in set(stored(tmp_path).key)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The files of docs/guide/logging.md in a folder `mine`."""
    folder = tmp_path / "mine"
    (folder / "hydra" / "callbacks").mkdir(parents=True)
    modules = re.findall(r"The file `mine/(\w+\.py)`.*?```python\n(.*?)```", PAGE, re.DOTALL)
    settings = re.findall(r"The file `mine/(\S+\.yaml)`.*?```yaml\n(.*?)```", PAGE, re.DOTALL)
    for name, text in modules + settings:
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_the_example_writes_a_line_a_point(mine, tmp_path):
    command = re.search(r"^PYTHONPATH=mine ntk-sweep run (.*)$", PAGE, re.MULTILINE).group(1)
    assert launch(*command.split(), *SMALL, "hydra/launcher=serial") == 0
    lines = [json.loads(line) for line in (tmp_path / "points.jsonl").read_text().splitlines()]
    found = {line["number"]: (line["key"], line["lambda_min"]) for line in lines}
    frame = stored(tmp_path)
    assert found == dict(enumerate(zip(frame.key, frame.lambda_min, strict=True)))
    assert (
        launch(
            *command.split(),
            *SMALL,
            "hydra/launcher=serial",
            "compute.time_limit=1e-9",
            "force=true",
        )
        == 1
    )
    last = json.loads((tmp_path / "points.jsonl").read_text().splitlines()[-1])
    assert last["failed"].endswith("the point took longer than compute.time_limit=1e-09 s")


def test_the_example_for_mlflow_opens_and_ends_a_run_a_point(mine, monkeypatch):
    """On as much of MLflow as it uses; like MLflow, it refuses a second open run."""
    calls, is_open = [], []

    def start_run(run_name):
        assert not is_open
        is_open.append(run_name)
        calls.append(run_name)

    def end_run(status):
        is_open.pop()
        calls.append(status)

    fake = SimpleNamespace(
        set_experiment=lambda name: None,
        start_run=start_run,
        log_params=calls.append,
        log_metrics=calls.append,
        end_run=end_run,
    )
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    own = "+hydra.callbacks.m={_target_:mlflow_runs.MlflowRuns,experiment:ntk}"
    assert launch(*SERIAL, *SMALL, "width=5,6", own) == 0
    assert [call for call in calls if isinstance(call, str)][1::2] == ["FINISHED"] * 2
    assert {call["width"] for call in calls if "width" in call and isinstance(call, dict)} == {5, 6}
    assert all(call["lambda_min"] for call in calls if "lambda_min" in call)


def test_a_job_has_a_folder_of_its_own_where_one_is_asked_for(run, tmp_path):
    subdir = "hydra.sweep.subdir=${hydra.job.num}"
    _, calls = run(*SERIAL, "width=5,6", f"hydra.sweep.dir={tmp_path / 'logs'}", subdir)
    folders = {call[1].hydra.runtime.output_dir for call in calls if call[0] == "start"}
    assert folders == {str(tmp_path / "logs" / number) for number in "01"}
    assert {str(path) for path in (tmp_path / "logs").iterdir()} == folders
