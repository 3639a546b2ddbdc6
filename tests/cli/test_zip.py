"""Protects zipped values: settings that advance together, and what is said where they cannot."""

import itertools

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from hydra_plugins.ntk_sweep_hydra.combinations import combinations
from ntk_sweep import load_results
from ntk_sweep.errors import ConfigError
from tests.helpers.command_line import launch


def jobs(line, zips=()):
    overrides = OverridesParser.create().parse_overrides(line.split())
    return [" ".join(job) for job in combinations(overrides, zips)]


def test_without_a_zip_the_jobs_are_hydras_own():
    line = "act=relu,elu width=range(1,4) +seed=5 depth=choice(2,3) width=8,9 data.classes=[1,2]"
    overrides = OverridesParser.create().parse_overrides(line.split())
    (expected,) = BasicSweeper.split_arguments(overrides, None)
    assert len(expected) == 8
    assert combinations(overrides) == expected


def test_zipped_settings_advance_together_and_are_combined_with_the_others():
    assert jobs("width=50,100 act=relu,elu depth=range(2,4) zip=width,depth") == [
        "width=50 depth=2 act=relu",
        "width=50 depth=2 act=elu",
        "width=100 depth=3 act=relu",
        "width=100 depth=3 act=elu",
    ]


@pytest.mark.parametrize("zips", [(), [["seed", "+task.epochs"]]])
def test_several_zips_stand_beside_each_other(zips):
    typed = "" if zips else "zip=seed,task.epochs"
    line = f"zip=width,depth {typed} width=50,100 depth=2,3 seed=0,1 +task.epochs=5,6"
    expected = [
        f"width={width} depth={depth} seed={seed} +task.epochs={epochs}"
        for (width, depth), (seed, epochs) in itertools.product(
            [(50, 2), (100, 3)], [(0, 5), (1, 6)]
        )
    ]
    assert jobs(line, [[name.lstrip("+") for name in names] for names in zips]) == expected


def test_a_file_may_name_one_zip_without_a_second_pair_of_brackets():
    assert jobs("width=5,6 depth=2,3", ["width", "depth"]) == ["width=5 depth=2", "width=6 depth=3"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "seed=range(0,1000000) act=relu,elu",
            r"seed=range\(0,1000000\) has 1,000,000 points, but",
        ),
        ("seed=range(0,1000) width=range(0,501)", "the sweep has 501,000 points, but a plan holds"),
    ],
)
def test_a_sweep_that_no_plan_holds_is_refused_before_it_is_expanded(line, said):
    with pytest.raises(ConfigError, match=said):
        jobs(line)


def test_a_zip_of_no_value_is_an_empty_sweep():
    assert jobs("zip=width,depth width=range(5,5) depth=range(2,2)") == []


@pytest.mark.parametrize(
    ("line", "zips", "message"),
    [
        ("zip=width,depth width=1,2,3 depth=2,3", (), "but width has 3, depth has 2$"),
        ("zip=width,depth width=1,2 depth=2", (), "but width has 2, depth has 1$"),
        (
            "zip=width,dept width=1,2 depth=2,3 seed=4",
            (),
            r"dept has no values in this sweep; those that have several are width, depth$",
        ),
        ("zip=width,depth,width width=1,2 depth=2,3", (), "width is zipped twice"),
        ("zip=width,depth zip=act,width width=1,2 depth=2,3 act=a,b", (), "width is zipped twice"),
        ("width=1,2", [["width"]], "zip=width: zip takes two settings or more"),
        ("width=1,2", [3], "zip=3: zip takes two settings or more"),
        ("width=1,2", [["width", "depth"], "act"], "zip takes two settings or more"),
    ],
)
def test_what_cannot_be_zipped_is_refused(line, zips, message):
    with pytest.raises(ConfigError, match=message):
        jobs(line, zips)


SMALL = ("hydra/launcher=serial", "data=digits", "data.n_per_class=3")


def test_a_zip_is_no_setting_of_the_points(tmp_path, capsys):
    results = tmp_path / "R"
    assert (
        launch("-m", *SMALL, "zip=width,depth", "width=5,6", "depth=2,3", f"results={results}") == 0
    )
    frame = load_results(results / "spectrum")
    assert frame[["width", "depth"]].to_numpy().tolist() == [[5, 2], [6, 3]]
    for width, depth in ((5, 2), (6, 3)):
        launch("-m", *SMALL, f"width={width}", f"depth={depth}", f"results={results}")
        assert "1 were there" in capsys.readouterr().out
    assert len(load_results(results / "spectrum")) == 2


def test_the_sweeps_of_an_experiment_are_zipped(tmp_path):
    folder = tmp_path / "mine" / "experiment"
    folder.mkdir(parents=True)
    (folder / "two.yaml").write_text(
        "# @package _global_\n"
        "hydra:\n  mode: MULTIRUN\n  sweeper:\n    zip: [[width, depth]]\n"
        "    params: {width: '5,6', depth: '2,3', act: 'relu,elu'}\n"
    )
    own = ("--config-dir", str(tmp_path / "mine"), "+experiment=two", *SMALL)
    assert launch(*own, "zip=act,seed", "seed=0,1", f"results={tmp_path / 'R'}") == 0
    frame = load_results(tmp_path / "R" / "spectrum")
    assert frame[["act", "width", "depth", "seed"]].to_numpy().tolist() == [
        ["elu", 5, 2, 1],
        ["elu", 6, 3, 1],
        ["relu", 5, 2, 0],
        ["relu", 6, 3, 0],
    ]


@pytest.mark.parametrize("typed", ["zip=width", "zip=[width,depth]", "zip=3"])
def test_a_zip_that_hydra_takes_for_a_setting_is_explained(typed, capsys):
    assert launch("-m", *SMALL, typed, "width=5,6") == 2
    assert "zip takes two settings or more that advance together" in capsys.readouterr().err


def test_a_zip_without_a_sweep_gets_the_fitting_advice(capsys):
    assert launch(*SMALL[1:], "zip=width,depth") == 2
    assert "zip=width,depth holds several values: add -m" in capsys.readouterr().err
