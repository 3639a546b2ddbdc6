"""Protects the command line: what it prints, what it refuses, what it leaves behind. It runs in
this process."""

import datetime
import shlex
import socket

import numpy as np
import pandas as pd
import pytest

from ntk_sweep import load_results
from ntk_sweep.executors.ray import RayExecutor
from tests.helpers.command_line import launch


@pytest.fixture
def run(capsys, tmp_path):
    """Runs launch.py with these arguments; the exit status and what was printed."""

    def run(*arguments):
        status = launch(*arguments, f"results={tmp_path / 'results'}")
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


@pytest.fixture
def no_ray(monkeypatch):
    def refuse(self, compute):
        raise AssertionError("Ray was started")

    monkeypatch.setattr(RayExecutor, "__init__", refuse)


def test_one_network_prints_its_figures_and_stores_its_row(run, tmp_path):
    status, out, err = run("data=digits", "act=elu", "width=30", "depth=3", "seed=5")
    assert (status, err) == (0, "")
    row = load_results(tmp_path / "results" / "spectrum").iloc[0]
    assert (row.act, row.width, row.depth, row.seed, row.status, row.data) == (
        "elu",
        30,
        3,
        5,
        "ok",
        "digits",
    )
    assert f"{row.lambda_min:.10g} ± " in out
    assert f"{row.lambda_max:.10g} ± " in out
    assert f"{row.condition_number:.6g}" in out
    assert str(tmp_path / "results" / "spectrum") in out
    assert row.lambda_min == row.eigenvalues[0]
    assert len(row.eigenvalues) == len(row.eigenvalue_errors) == row.n_samples == 200


def test_the_same_network_again_is_not_computed_again_unless_forced(run, tmp_path):
    folder = tmp_path / "results" / "spectrum"
    run("data=digits", "width=20")
    status, out, _ = run("data=digits", "width=20")
    assert status == 0
    assert "already in the store" in out
    assert len(pd.read_parquet(folder)) == 1
    run("data=digits", "width=20", "force=true")
    assert len(pd.read_parquet(folder)) == 2
    assert len(load_results(folder)) == 1


def test_an_unresolved_eigenvalue_is_not_shown_as_a_fact(run, tmp_path):
    # Two identical inputs make the kernel singular.
    np.savez(tmp_path / "twins.npz", x=np.ones((2, 3)), y=np.arange(2))
    status, out, _ = run(
        "data=npz", f"data.path={tmp_path / 'twins.npz'}", "width=20", "act=sigmoid"
    )
    assert status == 0
    assert "unresolved: at most" in out
    assert "unknown, since lambda_min is unresolved" in out


def test_several_values_without_multirun_get_the_fitting_advice(run):
    status, _, err = run("act=relu,elu")
    assert status == 2
    assert err == "error: act=relu,elu holds several values: add -m to sweep over them\n"
    _, _, err = run("act=glob(*)")
    assert err == "error: act=glob(*) holds several values: add -m to sweep over them\n"
    _, _, err = run("data.root=a,b")
    assert """ntk-sweep run 'data.root="a,b"' results=""" in err


REFUSED = [
    (
        ["act=foo"],
        "act=foo is unknown: choose one of relu, elu, lrelu, sigmoid, tanh, erf, gelu, silu",
    ),
    (["parametrisation=foo"], "choose one of thesis, ntk, standard"),
    (["width=0"], "width=0 must be an integer of at least 1"),
    (["width=2.5"], "width=2.5: '2.5' is not an integer"),
    (["width=abc"], "width=abc: 'abc' is not an integer"),
    (["weight_std=0"], "weight_std=0.0 must be a positive number"),
    (["weight_std=null"], "weight_std"),
    (["bias_std=-1"], "bias_std=-1.0 must be 0 or a positive number"),
    (["bias_std=nan"], "bias_std=nan must be 0 or a positive number"),
    (["depth=1"], "with fewer than two weight layers the activation would not appear"),
    (["seed=-1"], "seed=-1 must be an integer of at least 0"),
    (["widht=5"], "unknown setting 'widht'. Did you mean width?"),
    (["activation=elu"], "Did you mean act?"),
    (["--act", "elu"], "Settings are typed name=value"),
    (["data.classes=3,5"], "a list stands in brackets"),
    (["+foo=5"], "unknown setting 'foo'"),
    (["+data.foo=5"], "unknown setting 'data.foo'"),
    (["~act"], "the settings act are missing"),
    (["data=foo"], "Available options in 'data'"),
    (["data=3"], "Config group override must be a string or a list"),
    (["task=foo"], "Available options in 'task'"),
    (["compute=foo"], "Available options in 'compute'"),
    (["device=tpu"], "choose one of auto, cpu, cuda"),
    (["dtype=float16"], "choose one of float64, float32"),
    (["force=maybe"], "force=maybe: 'maybe' is neither true nor false"),
    (["data.n_per_class=179"], "has 178 inputs of class 0, but data.n_per_class asks for 179"),
    (["data.classes=[0,77]"], "has 0 inputs of class 77"),
    (["data.classes=[3]"], "must be two different labels"),
    (["data.path=x.npz"], "belongs to data=npz"),
    (["data=npz"], "data=npz needs data.path"),
    (["data=npz", "data.path=/nowhere.npz"], "cannot be read as an npz file"),
    (["width"], "width has no value: width=…"),
    (["act=(relu"], "act=(relu cannot be read: '(' is unexpected"),
    (["data.root=~/a,b"], 'data.root="~/a,b"'),
    (["experiment=thesis_grid"], "experiment needs a +, since the settings hold none yet:\n"),
    (["experiment=thesis_grid"], "  ntk-sweep run"),
    (["experiment=thesis_grid"], " data=digits +experiment=thesis_grid results="),
    (["hydra.sweeper.params.act=elu"], " data=digits +hydra.sweeper.params.act=elu results="),
    (["hydra/callbacks=x"], "unknown group 'hydra/callbacks'"),
    (["+width=3"], "+width=3 has a + too many:\n  ntk-sweep run"),
    (["+compute=local"], "+compute=local has a + too many:\n  ntk-sweep run"),
    (
        ["task.method=svd"],
        "choose one of auto, eigh, compensated, double-double, jacobian, certified, extreme",
    ),
    (["task.target=2"], "must be a relative error between 0 and 1"),
    (["task.epochs=3"], "task.epochs is a setting of task=training only"),
    (["task=training", "task.method=eigh"], "task.method is a setting of task=spectrum only"),
    (["task=training", "task.epoch=3"], "Did you mean task.epochs?"),
    (
        ["task=training", "task.learning_rate=-1"],
        "task.learning_rate=-1.0 must be a positive number",
    ),
    (["task=training", "task.learning_rate=fast"], "'fast' is not a number"),
    (["task=training", "task.shuffle=3.5"], "'3.5' is neither true nor false"),
    (["task=training", "task.batch_size=0"], "task.batch_size=0 must be an integer of at least 1"),
    (["task.name=training"], "task.method is a setting of task=spectrum only"),
]


@pytest.mark.parametrize(
    ("arguments", "message", "mode"),
    [
        # Every mistake in the two modes by turns; the other half is slow.
        pytest.param(
            *(arguments, message, mode),
            id=" ".join([*mode, *arguments]),
            marks=() if number % 2 == len(mode) else pytest.mark.slow,
        )
        for number, (arguments, message) in enumerate(REFUSED)
        for mode in ([], ["-m"])
    ],
)
def test_a_mistake_is_refused_before_anything_starts(
    run, no_ray, tmp_path, arguments, message, mode
):
    data = [] if any(a.startswith("data=") for a in arguments) else ["data=digits"]
    status, _, err = run(*mode, *data, *arguments)
    assert status == 2
    assert err.startswith("error: ")
    assert message in err
    assert "Traceback" not in err
    assert not list(tmp_path.glob("results/spectrum/*.parquet"))


MULTIRUN_REFUSED = [
    (["width=range(5,1)", "seed=0,1"], "the sweep is empty: width=range(5,1) has no value\n"),
    (["act=glob(*)"], "the sweep is empty: act=glob(*) has no value; glob chooses among the files"),
    (["act=glob(*)", "seed=range(3,3)"], "act=glob(*) and seed=range(3,3) have no value"),
    (["act=choice()"], "act=choice() cannot be read: empty choice is not legal"),
    (["experiment=a,b"], "ntk-sweep run -m data=digits +experiment=a,b results="),
    (["act=relu,foo"], "act=foo is unknown"),
    (["width=50,abc"], "width=abc"),
    (["compute=local,cluster"], "compute must be the same for all points"),
    (["device=cuda"], "give them one, or a part, with compute.num_gpus"),
    (["hydra/launcher=foo"], "Available options in 'hydra/launcher'"),
    (["+experiment=foo"], "Available options in 'experiment'"),
    (["width=interval(1,5)"], "does not support sweep type"),
]


@pytest.mark.parametrize(
    ("arguments", "message"),
    MULTIRUN_REFUSED,
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_in_a_sweep_is_refused_before_ray_starts(run, no_ray, arguments, message):
    status, _, err = run("-m", "data=digits", *arguments)
    assert status == 2
    assert message in err
    assert "Traceback" not in err


def test_non_finite_pixels_are_refused(run, tmp_path):
    x = np.ones((4, 3))
    x[1, 1] = np.nan
    np.savez(tmp_path / "bad.npz", x=x, y=np.arange(4))
    status, _, err = run("data=npz", f"data.path={tmp_path / 'bad.npz'}")
    assert status == 2
    assert "not finite" in err


def test_a_results_folder_that_cannot_be_written_is_refused_first(capsys, tmp_path, no_ray):
    (tmp_path / "file").write_text("")
    folder = f"results={tmp_path / 'file'}"
    assert launch("-m", "data=fashion_mnist", "data.root=/nowhere", folder) == 2
    assert "cannot be written" in capsys.readouterr().err


SERIAL = ("-m", "hydra/launcher=serial", "data=digits")


def test_a_serial_sweep_stores_every_point_and_sums_up(run, tmp_path):
    status, out, err = run(
        *SERIAL, "act=relu,elu", "width=range(10,31,10)", "depth=2,3", "seed=0,1"
    )
    assert (status, err) == (0, "")
    frame = load_results(tmp_path / "results" / "spectrum")
    assert len(frame) == 2 * 3 * 2 * 2
    best = frame[frame.act == "elu"].lambda_min.max()
    assert f"{best:.6g}" in out
    assert "24 points computed" in out
    assert "\x1b" not in out
    status, out, _ = run(*SERIAL, "act=relu,elu", "width=range(10,41,10)", "depth=2,3", "seed=0,1")
    assert "8 points computed" in out
    assert "24 were there" in out


def test_sweeps_over_data_and_tasks_settings_are_kept_apart(run, tmp_path):
    np.savez(tmp_path / "own.npz", x=np.random.default_rng(0).random((7, 2, 3)), y=np.arange(7))
    status, _, err = run(
        *SERIAL[:2], "data=digits,npz", f"data.path={tmp_path / 'own.npz'}", "width=10"
    )
    assert (status, err) == (0, "")
    frame = load_results(tmp_path / "results" / "spectrum")
    assert frame.set_index("data").n_samples.to_dict() == {"digits": 200, "npz": 7}
    assert frame.data_fingerprint.nunique() == 2


def test_scales_are_swept_and_kept_apart(run, tmp_path):
    sweep = [*SERIAL, "act=relu", "width=10", "weight_std=1,1.5", "bias_std=1,0,null"]
    status, out, err = run(*sweep)
    assert (status, err) == (0, "") and "6 points computed" in out
    table = out[out.index("greatest lambda_min") :].splitlines()
    assert table[1].split()[:3] == ["weight_std", "bias_std", "act"]
    assert len(table[2:8]) == 6 and {line.split()[1] for line in table[2:8]} == {"1.0", "0.0", "—"}
    frame = load_results(tmp_path / "results" / "spectrum")
    assert sorted(frame.weight_std) == [1.0] * 3 + [1.5] * 3
    assert frame.bias_std.isna().sum() == 2 and frame.lambda_min.nunique() == 4, "0 is none here"
    status, out, _ = run(*sweep)
    assert "6 were there" in out
    run(*SERIAL[1:], "act=relu", "width=10", "weight_std=1")  # the same network as without it
    assert len(load_results(tmp_path / "results" / "spectrum")) == 6


def test_what_may_not_be_compared_stands_on_lines_of_its_own(run):
    _, out, _ = run(
        *SERIAL,
        "act=sigmoid,relu",
        "width=10",
        "parametrisation=ntk,standard",
        "data.n_per_class=5,6",
    )
    table = out[out.index("greatest lambda_min") :].splitlines()
    assert table[1].split()[:3] == ["data_fingerprint", "parametrisation", "act"]
    kinds = [["ntk", "relu"], ["ntk", "sigmoid"], ["standard", "relu"], ["standard", "sigmoid"]]
    assert [line.split()[1:3] for line in table[2:10]] == kinds * 2


def test_rows_of_another_commit_are_named(run, monkeypatch):
    run("data=digits", "width=10")
    monkeypatch.setattr("ntk_sweep.commands.run.git_commit", lambda: "another")
    _, out, _ = run(*SERIAL, "width=10,20")
    assert "1 were there (1 from another commit of the code; force=true computes them anew)" in out


def test_a_finished_sweep_starts_no_ray(run, no_ray):
    run(*SERIAL, "width=10,20")
    status, out, _ = run("-m", "hydra/launcher=ray", "data=digits", "width=10,20")
    assert status == 0
    assert "0 points computed in 0 s, 2 were there" in out


def test_rows_from_the_future_are_told_of(run, monkeypatch):
    class Ahead(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return super().now(tz) + datetime.timedelta(hours=2)

    monkeypatch.setattr("ntk_sweep.tasks.common_columns.datetime", Ahead)
    run("data=digits", "width=10")
    monkeypatch.undo()
    _, out, _ = run(*SERIAL, "width=10,20")
    assert "1 row bears a time in the future, up to " in out
    assert f"the clock of {socket.gethostname()}, or that of this machine, is wrong" in out


def test_a_stock_launcher_computes_every_point(run, tmp_path):
    status, _, _ = run(
        "-m", "hydra/launcher=basic", f"hydra.sweep.dir={tmp_path}", "data=digits", "width=10,20"
    )
    assert status == 0
    assert load_results(tmp_path / "results" / "spectrum").width.tolist() == [10, 20]


def test_a_failing_point_becomes_a_row_and_the_others_go_on(run, tmp_path):
    # Sums of these inputs overflow float32, whose largest number is 3.4e38; float64 holds even
    # their kernel.
    np.savez(
        tmp_path / "huge.npz", x=np.full((3, 2), 1e38) * np.arange(1, 4)[:, None], y=np.arange(3)
    )
    huge = ("data=npz", f"data.path={tmp_path / 'huge.npz'}")
    status, out, _ = run("-m", "hydra/launcher=serial", *huge, "dtype=float32,float64", "width=5")
    frame = load_results(tmp_path / "results" / "spectrum").set_index("dtype")
    assert frame.status.to_dict() == {"float32": "failed", "float64": "ok"}
    assert status == 1
    assert "1 point failed" in out
    assert "width=5 depth=3 seed=0 (thesis, float32): ValueError" in out
    assert "Traceback" in frame.loc["float32"].error
    assert pd.isna(frame.loc["float32"].lambda_min)
    status, out, _ = run(*huge, "dtype=float32", "width=5")
    assert status == 1
    assert "ValueError" in out


def test_a_sweep_that_fails_fast_says_what_is_left(run, tmp_path):
    x = np.full((3, 2), 1e38) * np.arange(1, 4)[:, None]  # overflows float32, as above
    np.savez(tmp_path / "huge.npz", x=x, y=np.arange(3))
    status, out, _ = run(
        *(*SERIAL, "data=npz", f"data.path={tmp_path / 'huge.npz'}", "width=5"),
        *("dtype=float32,float64", "compute.fail_fast=true"),
    )
    assert status == 1
    assert "0 points computed in " in out and "1 failed" in out
    assert (
        "1 point is left, since compute.fail_fast ended the sweep; the same command goes on, and "
        "tries what failed again"
    ) in out
    assert load_results(tmp_path / "results" / "spectrum").dtype.tolist() == ["float32"]


def test_one_network_that_takes_too_long_fails(run, tmp_path):
    status, out, _ = run("data=digits", "width=2000", "depth=30", "compute.time_limit=1e-6")
    assert status == 1
    assert "the point took longer than compute.time_limit=1e-06 s" in out
    assert load_results(tmp_path / "results" / "spectrum").status.tolist() == ["failed"]


TRAINING = ("task=training", "data.n_per_class=5", "task.epochs=3")


def test_one_run_prints_its_figures_and_stores_its_row(run, tmp_path):
    status, out, err = run("data=digits", *TRAINING, "width=20")
    assert (status, err) == (0, "")
    row = load_results(tmp_path / "results" / "training").iloc[0]
    assert (row.task, row.status, row.steps, len(row.losses)) == ("training", "ok", 30, 4)
    assert f"{row.initial_loss:.6g} before training, {row.final_loss:.6g} after 30 steps" in out
    assert f"{row.lambda_min:.10g} ± " in out
    status, out, _ = run("data=digits", *TRAINING, "width=20")
    assert "already in the store" in out


def test_spectra_and_runs_in_one_sweep_go_to_their_own_stores(run, tmp_path):
    tasks = ("task=training,spectrum", "data.n_per_class=5", "width=10,20")
    status, out, _ = run(*SERIAL, *tasks)
    assert status == 0
    assert "smallest loss" in out and "greatest lambda_min" in out and "4 points computed" in out
    for task in ("training", "spectrum"):
        assert load_results(tmp_path / "results" / task).width.tolist() == [10, 20]
    assert "4 were there" in run(*SERIAL, *tasks)[1]


def test_runs_that_diverge_are_results(run, tmp_path):
    status, out, _ = run(
        *SERIAL, *TRAINING, "task.epochs=30", "width=20", "task.learning_rate=1e-3,1e4"
    )
    assert status == 0
    frame = load_results(tmp_path / "results" / "training").set_index("learning_rate")
    assert frame.status.to_dict() == {1e-3: "ok", 1e4: "diverged"}
    assert "1 of 2 runs diverged" in out
    status, out, _ = run(
        "data=digits", *TRAINING, "task.epochs=30", "width=20", "task.learning_rate=1e4"
    )
    assert (status, "the learning rate is too large" in out) == (0, True)
    assert "already in the store" in out


def test_thesis_training_takes_the_winners_from_the_store(run, tmp_path):
    small = ("hydra/launcher=serial", "data=digits", "data.n_per_class=5")
    status, _, err = run("+experiment=thesis_training", *small)
    assert status == 2
    assert (
        "holds no spectra of relu, elu, lrelu, sigmoid" in err and "+experiment=thesis_grid" in err
    )
    run("+experiment=thesis_grid", *small, "width=10,20", "depth=2,3", "seed=0,1")
    status, _, err = run("+experiment=thesis_training", *small, "task.epochs=2", "seed=0,1,2")
    assert (status, err) == (0, "")
    spectra = load_results(tmp_path / "results" / "spectrum")
    means = spectra.groupby(["act", "width", "depth"]).lambda_min.mean().reset_index()
    best = means.loc[means.groupby("act").lambda_min.idxmax()]
    runs = load_results(tmp_path / "results" / "training")
    assert len(runs) == 12
    named = {tuple(point) for point in best[["act", "width", "depth"]].to_numpy()}
    assert {tuple(point) for point in runs[["act", "width", "depth"]].to_numpy()} == named


def test_thesis_kernels_saves_two_kernels(run, tmp_path):
    from ntk_sweep.store.store import Store

    status, _, _ = run(
        "+experiment=thesis_kernels", "hydra/launcher=serial", "data=digits", "data.n_per_class=5"
    )
    assert status == 0
    frame = load_results(tmp_path / "results" / "spectrum")
    assert set(zip(frame.act, frame.width, frame.depth, strict=True)) == {
        ("relu", 800, 3),
        ("sigmoid", 300, 8),
    }
    for row in frame.itertuples():
        kernel = Store(str(tmp_path / "results"), "spectrum").load_kernel(row.kernel_file)
        assert kernel.shape == (10, 10)
        assert np.trace(kernel) == pytest.approx(row.trace, rel=1e-14)
    assert len(pd.read_parquet(tmp_path / "results" / "spectrum")) == 2


def test_a_kernel_asked_for_later_is_computed_later(run, tmp_path):
    run("data=digits", "width=10")
    assert load_results(tmp_path / "results" / "spectrum").kernel_file.isna().all()
    run("data=digits", "width=10", "task.save_kernel=true")
    frame = load_results(tmp_path / "results" / "spectrum")
    assert len(frame) == 1
    assert frame.kernel_file.notna().all()


def test_a_path_with_signs_works_in_both_modes(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    small = ("data=digits", "data.n_per_class=5", "width=10")
    assert launch(*small, "results=~/ünï λ/a=b#c(1)") == 0
    assert launch("-m", "hydra/launcher=serial", *small, "results=~/ünï λ/a=b#c(1)") == 0
    assert "1 were there" in capsys.readouterr().out
    assert len(list((tmp_path / "ünï λ" / "a=b#c(1)" / "spectrum").glob("*.parquet"))) == 1


@pytest.mark.parametrize(
    "order",
    [
        ["hydra/launcher=serial", "-m", "data=digits"],
        ["hydra/launcher=serial", "data=digits", "-m"],
        ["hydra/launcher=serial", "--multirun", "data=digits", "--config-dir", "docs"],
    ],
    ids=" ".join,
)
def test_flags_may_stand_between_settings(capsys, tmp_path, order):
    arguments = [*order, "data.n_per_class=5", "width=10,20", f"results={tmp_path}"]
    assert launch(*arguments) == 0
    assert "2 points computed" in capsys.readouterr().out


def test_a_folder_of_experiments_that_holds_the_results_is_told_of(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    assert launch("--config-dir", ".", "data=digits", "results=results") == 2
    assert "give your experiments a folder of their own" in capsys.readouterr().err


def test_an_unknown_flag_is_refused(capsys):
    assert launch("act=elu", "--nope") == 2
    assert "unrecognized arguments: --nope" in capsys.readouterr().err


def test_lines_of_other_commands_are_right_too(capsys, tmp_path):
    folder = f"{tmp_path}/no, rows"
    assert launch("+experiment=thesis_training", "data=digits", f'results="{folder}"') == 2
    line = capsys.readouterr().err.splitlines()[-1].strip()
    words = shlex.split(line)
    assert words[:3] == ["ntk-sweep", "run", "+experiment=thesis_grid"]
    assert words[-1] == f'results="{folder}"'


def test_help_names_every_setting_and_choice(run):
    status, out, _ = run("--help")
    assert status == 0
    for word in (
        "act ",
        "relu, elu, lrelu, sigmoid",
        "thesis, ntk, standard",
        "thesis_grid",
        "digits, fashion_mnist, npz",
        "force",
        "--version : The version of ntk-sweep",
    ):
        assert word in out


def test_cfg_job_shows_the_settings(run):
    status, out, _ = run("--cfg", "job", "act=elu")
    assert status == 0
    assert "act: elu" in out
    assert "hydra" not in out


def test_version_is_that_of_the_package(capsys):
    """Hydra has a flag of the same name, which would tell Hydra's."""
    assert launch("--version") == 0
    assert capsys.readouterr().out == "ntk-sweep 0.1.0\n"
