"""Protects `dry_run=true` on the command line: what it prints, and that it leaves nothing."""

import os

import pytest

from ntk_sweep.executors import worker
from ntk_sweep.executors.ray import RayExecutor
from tests.helpers.command_line import launch

SMALL = ("data=digits", "data.n_per_class=5")


@pytest.fixture
def dry(capsys, tmp_path, monkeypatch):
    """Runs launch.py dryly; what was printed, as a mapping of its lines."""

    def refuse(*arguments):
        raise AssertionError("something was computed")

    def dry(*arguments):
        capsys.readouterr()
        before = sorted(os.walk(tmp_path))
        with monkeypatch.context() as during:
            during.setattr(RayExecutor, "__init__", refuse)
            during.setattr(worker.Worker, "run_chunk", refuse)
            arguments = (*SMALL, f"results={tmp_path}/R", "dry_run=true", *arguments)
            status = launch(*sorted(arguments, key=lambda word: word != "-m"))
        printed = capsys.readouterr()
        assert (status, printed.err) == (0, "")
        assert sorted(os.walk(tmp_path)) == before
        first, *lines = printed.out.splitlines()
        assert first == "dry run: nothing is computed, nothing is written"
        return {line[:16].strip(): line[17:] for line in lines}

    return dry


def test_one_network(dry, tmp_path):
    said = dry("act=elu")
    assert (said["points"], said["in the store"], said["left"]) == ("1", "0", "1")
    assert said["time"].startswith("less than a second with 1 worker, once it has started (an esti")
    assert "GiB a worker at most; " in said["memory"]
    assert (
        said["first point"]
        == said["last point"]
        == "act=elu width=100 depth=3 seed=0 (thesis, float64)"
    )
    assert said["largest point"].startswith(said["first point"])
    assert said["results"] == f"{tmp_path}/R/spectrum"


def test_a_sweep_that_is_half_done(dry, tmp_path):
    computed = ("act=relu,elu", "width=8,9", *SMALL, f"results={tmp_path}/R")
    assert launch("-m", "hydra/launcher=serial", *computed) == 0
    dry_again = dry("-m", "act=relu,elu", "width=range(8,12)")
    said = {name: dry_again[name] for name in ("points", "in the store", "left", "first point")}
    assert said == {
        "points": "8",
        "in the store": "4",
        "left": "4",
        "first point": "act=relu width=8 depth=3 seed=0 (thesis, float64)",
    }
    assert "width=11" in dry_again["largest point"] and "width=11" in dry_again["last point"]
    assert "by the speed of 4 rows that this machine computed" in dry_again["time"]
    done = dry("-m", "act=relu,elu", "width=8,9")
    assert (done["left"], "time" in done) == ("0", False)


def test_training_of_winners(dry, tmp_path):
    grid = ("+experiment=thesis_grid", "width=8,9", "depth=2")
    assert launch(*grid, *SMALL, "hydra/launcher=serial", f"results={tmp_path}/R") == 0
    said = dry("+experiment=thesis_training")
    assert (said["points"], said["left"]) == (str(4 * 5), str(4 * 5))
    assert said["results"] == f"{tmp_path}/R/training"


def test_on_a_cluster(dry):
    said = dry("-m", "compute=cluster", "compute.address=192.0.2.1:6379", "width=8,9")
    assert "of one worker; the cluster is not asked how many there are" in said["time"]
    assert said["memory"].endswith("GiB a worker at most")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["width=0"], "width=0 must be an integer of at least 1"),
        (["-m", "dry_run=true,false"], "dry_run must be the same for all points"),
        (["-m", "device=cuda"], "give them one, or a part, with compute.num_gpus"),
        (["+experiment=thesis_training"], "holds no spectra of relu, elu, lrelu, sigmoid"),
        (["width=1000000", "depth=50"], "cannot be computed on this machine: it needs"),
    ],
)
def test_what_would_be_refused_is_refused(capsys, tmp_path, arguments, message):
    common = [f"results={tmp_path}/R", *SMALL]
    common += [] if any("dry_run" in word for word in arguments) else ["dry_run=true"]
    assert launch(*arguments, *common) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "R").exists()
