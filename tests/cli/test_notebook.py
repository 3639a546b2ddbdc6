"""Protects the sweep as a function: the points of the command line, and errors that are raised."""

import os
import signal

import numpy as np
import pandas as pd
import pytest
from hydra.core.global_hydra import GlobalHydra

from ntk_sweep import load_results, sweep
from ntk_sweep.cli import notebook
from ntk_sweep.dispatch.signals import Interrupted
from ntk_sweep.errors import ConfigError, SweepError
from tests.helpers.command_line import launch

SMALL = ("data=digits", "data.n_per_class=3", "width=5,7", "depth=2")


def test_a_sweep_gives_the_rows_that_the_command_line_stores(tmp_path):
    frame = sweep(*SMALL, "act=relu,elu", results=tmp_path / "called", launcher="serial")
    typed = tmp_path / "typed"
    launch("-m", *SMALL, "act=relu,elu", f"results={typed}", "hydra/launcher=serial")
    expected = load_results(typed / "spectrum")
    columns = ["key", "act", "width", "lambda_min", "status"]
    pd.testing.assert_frame_equal(frame[columns], expected[columns])
    assert not GlobalHydra.instance().is_initialized()


def test_rows_are_those_of_the_sweep_alone_and_a_second_call_computes_nothing(tmp_path):
    # A folder that the command line would need quotes for.
    results = tmp_path / "a=b, (c) λ"
    first = sweep(*SMALL, results=results, launcher="serial")
    both = sweep(*SMALL, "seed=0,1", results=results, launcher="serial")
    again = sweep(*SMALL, results=results, launcher="serial")
    assert (len(first), len(both)) == (2, 4)
    pd.testing.assert_frame_equal(first, again)
    assert first.columns.equals(load_results(results / "spectrum").columns)


def test_zipped_settings_and_experiments_are_taken(tmp_path):
    frame = sweep(
        *("data=digits", "data.n_per_class=3", "width=5,7", "depth=2,3", "zip=width,depth"),
        results=tmp_path,
        launcher="serial",
    )
    assert sorted(zip(frame.width, frame.depth, strict=True)) == [(5, 2), (7, 3)]


def test_a_dry_run_computes_nothing(tmp_path, capsys):
    assert sweep(*SMALL, "dry_run=true", results=tmp_path / "r", launcher="serial").empty
    assert "nothing is computed" in capsys.readouterr().out
    assert not os.path.exists(tmp_path / "r")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["widht=5"], "widht"),
        (["width=five"], "'five' is not an integer"),
        (["width=-5"], "width"),
        (["act=glob(*)"], "act"),
        (["data=3"], "data=3 .*Config group override"),
        (["-m"], "-m"),
        (["width=1,,2"], "width"),
    ],
)
def test_mistakes_are_raised(tmp_path, settings, message, capfd):
    with pytest.raises(SweepError, match=message):
        sweep(*settings, results=tmp_path, launcher="serial")
    assert capfd.readouterr() == ("", "")
    assert not GlobalHydra.instance().is_initialized()


def test_an_unknown_launcher_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="hydra/launcher"):
        sweep(results=tmp_path, launcher="slurm")


def test_failed_points_are_warned_of(tmp_path):
    # Sums of these inputs overflow float32.
    np.savez(tmp_path / "huge.npz", x=1e38 * np.array([[1, 1], [2, 2], [3, 3]]), y=np.arange(3))
    with pytest.warns(UserWarning, match="1 of 2 points failed"):
        frame = sweep(
            *("data=npz", f"data.path={tmp_path / 'huge.npz'}", "dtype=float32,float64", "width=5"),
            results=tmp_path / "results",
            launcher="serial",
        )
    assert sorted(frame.status) == ["failed", "ok"]


def test_an_interruption_is_that_of_python(tmp_path, monkeypatch):
    def interrupted(*_):
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr(notebook, "run_sweep", interrupted)
    with pytest.raises(KeyboardInterrupt, match="finished points are in the store"):
        sweep(*SMALL, results=tmp_path, launcher="serial")


def test_the_best_networks_are_looked_for_in_the_results_that_are_given(tmp_path):
    spectra = sweep(*SMALL, "act=relu", results=tmp_path, launcher="serial")
    best = spectra.sort_values("lambda_min").iloc[-1]
    runs = sweep(
        *("+experiment=thesis_training", "hydra.sweeper.winners=[relu]", "seed=0"),
        *("data=digits", "data.n_per_class=3", "task.epochs=1"),
        results=tmp_path,
        launcher="serial",
    )
    assert runs[["act", "width", "depth"]].values.tolist() == [["relu", best.width, best.depth]]
