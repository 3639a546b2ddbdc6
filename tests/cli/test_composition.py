"""Protects fast composition, which must equal Hydra's own, and what the sweeper expands."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf, open_dict

from hydra_plugins.ntk_sweep_hydra.composition import compose_all
from hydra_plugins.ntk_sweep_hydra.grid_sweeper import GridSweeper
from hydra_plugins.ntk_sweep_hydra.job_callbacks import JobConfigs
from ntk_sweep import critical_point
from ntk_sweep.analysis.chapters.speed.associations import LEAST_NETWORKS
from ntk_sweep.cli.composed_once import ComposedOnce
from ntk_sweep.cli.messages import explain
from ntk_sweep.errors import ConfigError
from ntk_sweep.network.activations.registry import ACTIVATIONS

CHECKOUT = Path(__file__).parents[2]


def hydras_own(composer, job):
    loader, master = composer
    config = loader.load_sweep_config(master, list(job))
    return OmegaConf.to_container(
        OmegaConf.masked_copy(config, [key for key in config if key != "hydra"]), resolve=True
    )


def outcome(compose):
    """The config, or None where the override is refused: both ways must agree on that too."""
    try:
        return compose()
    except Exception:  # noqa: BLE001 - of whatever kind
        return None


VALUES = {
    "act": ["relu", "'elu'", '"sigmoid"', "foo", "12", "null", "''"],
    "width": [
        "50",
        "1000",
        "0",
        "-3",
        "2.5",
        "abc",
        "'70'",
        "1e3",
        "null",
        "true",
        "[1,2]",
        "{a:1}",
    ],
    "depth": ["2", "10", "${width}"],
    "seed": ["0", "123456789012345"],
    "results": ["out", "'a b'", "s3://bucket/prefix", "out/${act}/${width}", "/tmp/x=y"],
    "force": ["true", "false", "maybe"],
    "data": ["digits", "fashion_mnist", "npz", "nothing", "{n_per_class:7}"],
    "data.classes.0": ["5"],
    "data.classes": ["[0,9]", "[1,2]", "null", "[a,b]", "7"],
    "data.n_per_class": ["5", "null", "${depth}"],
    "data.path": ["x.npz", "null", "'${act}.npz'"],
    "task.save_kernel": ["true", "false"],
    "task.save_eigenvectors": ["true"],
    "compute": ["local", "cluster", "{num_cpus:2}"],
    "compute.num_gpus": ["0", "0.25", "x"],
    "compute.num_workers": ["null", "3"],
    "experiment": ["thesis_kernels"],
    "unknown": ["1"],
}


def override_lines():
    def line(key):
        prefixes = ["+"] if key == "experiment" else ["", "", "", "", "++", "+"]
        plain = st.builds(
            lambda prefix, value: f"{prefix}{key}={value}",
            st.sampled_from(prefixes),
            st.sampled_from(VALUES[key]),
        )
        return (
            st.one_of(plain, plain, plain, st.just(f"~{key}"))
            if key not in ("experiment", "unknown")
            else plain
        )

    # Several overrides may meet on one node, in any order.
    return st.lists(st.sampled_from(sorted(VALUES)), max_size=5).flatmap(
        lambda keys: st.tuples(*map(line, keys))
    )


@settings(max_examples=12, deadline=None)
@given(job=override_lines())
def test_one_job_composes_as_in_hydra(composer, job):
    assert outcome(lambda: next(compose_all(*composer, [job]))) == outcome(
        lambda: hydras_own(composer, job)
    )


@pytest.mark.parametrize(
    "job",
    [
        ["data=digits", "data.n_per_class=3", "++data={n_per_class:7}"],
        ["data.classes.0=5", "data.classes=[1,2]"],
        ["data.classes=[1,2]", "data.classes.0=5"],
        ["compute.num_cpus=3", "++compute={num_cpus:2}"],
        ["++compute={num_cpus:2}", "compute.num_cpus=3"],
        ["seed=3", "~seed"],
        ["compute.num_cpus=3", "compute=cluster"],
    ],
)
def test_overrides_of_one_node_keep_their_order(composer, job):
    assert outcome(lambda: next(compose_all(*composer, [job]))) == outcome(
        lambda: hydras_own(composer, job)
    )


@settings(max_examples=8, deadline=None)
@given(
    sweeps=st.dictionaries(
        st.sampled_from(["act", "width", "depth", "data", "results", "data.n_per_class", "seed"]),
        st.lists(st.integers(0, 1), min_size=1, max_size=2, unique=True),
        min_size=1,
        max_size=3,
    )
)
def test_jobs_that_share_a_base_do_not_disturb_each_other(composer, sweeps):
    valid = {
        "act": ["relu", "elu"],
        "width": ["50", "1000"],
        "depth": ["2", "${width}"],
        "data": ["digits", "fashion_mnist"],
        "results": ["out", "out/${act}/${width}"],
        "data.n_per_class": ["5", "null"],
        "seed": ["0", "7"],
    }
    jobs = [[]]
    for key, picks in sweeps.items():
        jobs = [[*job, f"{key}={valid[key][pick]}"] for job in jobs for pick in picks]
    assert list(compose_all(*composer, jobs)) == [hydras_own(composer, job) for job in jobs]


@pytest.mark.parametrize(
    "jobs",
    [
        [["act=relu", "width=50"], ["act=elu", "width=70"]],
        [["data=digits", "seed=3"], ["data=fashion_mnist", "seed=3"], ["seed=4"]],
        [["width=50", "++data={n_per_class:7}"], ["+experiment=thesis_kernels", "act=elu"]],
        [["hydra.job.config.override_dirname.item_sep='+'", "width=50", "act=elu"]],
        [["hydra/sweeper=basic", "width=50"], []],
    ],
)
def test_the_whole_config_of_a_job_is_that_of_hydras_own_launcher(composer, jobs):
    loader, master = composer
    configs = JobConfigs(loader, master)
    for number, job in enumerate(jobs):
        own = loader.load_sweep_config(master, list(job))
        with open_dict(own):
            own.hydra.job.id = own.hydra.job.num = number
        assert configs.compose(job, number) == own


def expand(composer, arguments, params=None, points=(), zips=()):
    sweeper = GridSweeper(params, points, zip=zips)
    sweeper.hydra_context = type("Context", (), {"config_loader": composer[0]})()
    return sweeper.expand(arguments)


@pytest.mark.parametrize(
    "jobs",
    [
        [["width=50", "data.path=null"], ["width=60", "data.path=x"], ["width=50", "data.path=x"]],
        [["data.root=a", "data.root=b"], ["data.root=b", "data.root=a"]],
        [["data.n_per_class=5", "depth=${data.n_per_class}"], ["data.n_per_class=6", "depth=7"]],
        [["task.target=1e-3", "compute.num_cpus=2"], ["task.target='0.1'", "compute.num_cpus=3"]],
        [["seed=0", "weight_std=2"], ["seed=-1", "weight_std=1"], ["seed=08", "weight_std=3"]],
        [["data.n_per_class=5"], ["data.n_per_class=null"], ["data.n_per_class=6"]],
        [["results=1", "compute.num_cpus=2"], ["results=2", "compute.num_cpus=3"]],
        [["results='a\\${act}'"], ["results='a\\\\\\${act}'"], ["results=1e3"], ["results=1000"]],
    ],
)
def test_values_that_jobs_set_by_turns(composer, jobs):
    jobs = [*jobs, *reversed(jobs)]
    composed = list(compose_all(*composer, jobs))
    assert composed == [hydras_own(composer, job) for job in jobs]


def test_a_value_without_interpolation_is_converted_once(composer, monkeypatch):
    applied = []
    apply = ConfigLoaderImpl._apply_overrides_to_config

    def noting(overrides, config):
        applied.extend(override.input_line for override in overrides)
        apply(overrides, config)

    monkeypatch.setattr(ConfigLoaderImpl, "_apply_overrides_to_config", noting)
    jobs = [
        [f"weight_std={scale}", f"act={act}", f"seed={seed}"]
        for seed, scale in enumerate((1, 1.5, 2))
        for act in ("relu", "elu")
    ]
    list(compose_all(*composer, jobs))
    assert [line for line in applied if "hydra" not in line] == [
        "weight_std=1",
        "act=relu",
        "act=elu",
        "weight_std=1.5",
        "weight_std=2",
    ], "integers stay themselves"


def test_the_sweeper_expands_choices_ranges_and_groups(composer):
    jobs = expand(
        composer,
        [
            "act=relu,elu",
            "width=range(50,151,50)",
            "data=digits,fashion_mnist",
            "depth=choice(2,3)",
            "seed=4",
        ],
    )
    assert len(jobs) == 2 * 3 * 2 * 2
    assert jobs[0] == ["act=relu", "width=50", "data=digits", "depth=2", "seed=4"]
    assert len({tuple(job) for job in jobs}) == len(jobs)


def test_the_command_line_wins_over_sweeps_of_a_config_file(composer):
    assert expand(composer, ["width=7"], params={"width": "range(1,100)", "act": "relu,elu"}) == [
        ["width=7", "act=relu"],
        ["width=7", "act=elu"],
    ]


def test_points_that_are_no_product_are_combined_with_the_grid(composer):
    points = [{"act": "relu", "width": 800}, {"act": "sigmoid", "width": 300}]
    assert expand(composer, ["seed=0,1"], points=points) == [
        ["act=relu", "width=800", "seed=0"],
        ["act=relu", "width=800", "seed=1"],
        ["act=sigmoid", "width=300", "seed=0"],
        ["act=sigmoid", "width=300", "seed=1"],
    ]


def test_an_empty_range_is_named(composer):
    with pytest.raises(ConfigError, match=r"the sweep is empty: width=range\(5,5\) has no value"):
        expand(composer, ["width=range(5,5)"])


def experiment(composer, name):
    """The points of an experiment, each the set of its settings."""
    loader, _ = composer
    master = loader.load_configuration(
        "config", overrides=[f"+experiment={name}"], run_mode=RunMode.MULTIRUN
    )
    sweeper = OmegaConf.to_container(master.hydra.sweeper)
    return expand(
        composer,
        [],
        params=sweeper["params"],
        points=sweeper.get("points") or [],
        zips=sweeper.get("zip") or [],
    )


NETWORK = ("act", "width", "depth")


def values(jobs, name):
    return {
        setting.removeprefix(f"{name}=")
        for job in jobs
        for setting in job
        if setting.startswith(f"{name}=")
    }


STUDY = {
    "act": {"relu", "elu", "sigmoid", "tanh"},
    "width": {"50", "75", "100", "150"},
    "depth": {"2", "3", "4"},
    "data": {"fashion_mnist", "digits"},
    "task.centre_outputs": {"True", "False"},
}
"""What docs/study.md declares."""


def test_the_study_is_the_one_declared(composer):
    jobs = experiment(composer, "study")
    assert len({tuple(sorted(job)) for job in jobs}) == len(jobs) == 48 * 24 * 5
    flows = experiment(composer, "study_flow")
    assert len({tuple(sorted(job)) for job in flows}) == len(flows) == 48 * 12 * 2
    for found, seeds in ((jobs, "01234"), (flows, "01")):
        assert {name: values(found, name) for name in STUDY} == STUDY
        assert values(found, "seed") == set(seeds)
        assert values(found, "data.labels") == {"random"}
    assert values(jobs, "task.learning_rate_unit") == {"absolute", "inverse_lambda_max"}
    text = (CHECKOUT / "docs" / "study.md").read_text()
    assert f"{len(jobs):,} runs" in text
    assert f"{len(flows):,}" in text


def test_a_small_study_is_enough_for_a_ranking_and_for_the_flow(composer):
    jobs = experiment(composer, "study_small")
    networks = {tuple(word for word in job if word.split("=")[0] in NETWORK) for job in jobs}
    assert len(networks) >= LEAST_NETWORKS
    assert len(jobs) == 3 * len(networks)


def test_the_drift_is_recorded_over_widths_50_to_1000_and_many_activations(composer):
    jobs = experiment(composer, "drift")
    assert {"relu", "elu", "lrelu", "sigmoid", "tanh"} < values(jobs, "act") <= set(ACTIVATIONS)
    widths = sorted(map(int, values(jobs, "width")))
    assert (widths[0], widths[-1]) == (50, 1000)
    assert values(jobs, "seed") == set("01234")
    assert values(jobs, "task.learning_rate_unit") == {"absolute", "inverse_lambda_max"}


def test_the_plane_of_scales_straddles_the_critical_lines(composer):
    jobs = experiment(composer, "phase_diagram")
    assert len({tuple(job) for job in jobs}) == len(jobs) == 3 * 2 * 3 * 6 * 4
    assert values(jobs, "act") == {"tanh", "erf", "relu"}
    assert values(jobs, "width") == {"200", "1000"}
    weights = sorted(map(float, values(jobs, "weight_std")))
    biases = sorted(map(float, values(jobs, "bias_std")))
    for act in ("tanh", "erf"):
        for bias in biases:
            assert weights[0] < critical_point(act, bias).weight_std < weights[-1], (act, bias)
    assert critical_point("relu").weight_std in weights[1:-1] and biases[0] == 0
    training = experiment(composer, "phase_diagram_training")
    for name in ("act", "weight_std", "bias_std"):
        assert values(training, name) == values(jobs, name)


def test_order_edge_and_chaos_lie_around_the_critical_point(composer):
    jobs = [dict(word.split("=") for word in job) for job in experiment(composer, "edge_of_chaos")]
    assert {job["seed"] for job in jobs} == set("01234")
    scales = {(job["act"], float(job["weight_std"]), float(job["bias_std"])) for job in jobs}
    assert len(scales) == 6 * 4
    for act in ("relu", "elu", "lrelu", "sigmoid", "tanh", "erf"):
        assert (act, 1.0, 1.0) in scales, "the thesis's"
        own = sorted((w, b) for a, w, b in scales if a == act and (w, b) != (1.0, 1.0))
        (bias,) = {b for _, b in own}
        edge = critical_point(act, bias).weight_std
        ratios = [w**2 / edge**2 for w, _ in own]
        assert ratios == pytest.approx([0.5, 1.0, 1.5], rel=1e-3)
        assert ratios[1] == pytest.approx(1, abs=1e-15)


def test_figure_10_is_over_seeds_and_both_orders_of_samples(composer):
    jobs = experiment(composer, "thesis_kernels_training")
    assert values(jobs, "seed") == set("01234")
    assert values(jobs, "task.shuffle") == {"True", "False"}
    assert len(jobs) == 2 * 2 * 5


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_sweep_runs_all_of_the_thesis_and_enough_for_a_ranking():
    line = ["make", "-n", "-o", ".venv/.ready", "sweep", "SEEDS=2"]
    shown = subprocess.run(line, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    lines = [words.split() for words in re.findall(r"'\+experiment=([^']*)'", shown)]
    names = [words[0] for words in lines]
    assert names[0] == "thesis_grid"  # the winners are taken from its spectra
    assert {
        path.stem for path in (CHECKOUT / "ntk_sweep" / "conf").glob("experiment/thesis_*.yaml")
    } < set(names)
    drawn = [words[0] for words in lines if "seed=range(0,2)" in words]
    assert [name for name in names if name not in drawn] == ["thesis_kernels"]
    assert "study_small" in drawn


def test_the_grid_of_the_thesis_has_720_points(composer):
    jobs = experiment(composer, "thesis_grid")
    assert len({tuple(job) for job in jobs}) == len(jobs) == 4 * 20 * 9
    assert {"act=sigmoid", "width=1000", "depth=10"} <= set(jobs[-1])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("widht=3", "unknown setting 'widht'. Did you mean width?"),
        ("width=abc", "width=abc: 'abc' is not an integer"),
        (
            "data=nothing",
            (
                "data=nothing is unknown\n"
                "Available options in 'data':\n"
                "\tdigits\n"
                "\tfashion_mnist\n"
                "\tnpz"
            ),
        ),
    ],
)
def test_hydras_errors_are_told_in_one_message(composer, line, message):
    OverridesParser.create().parse_override(line)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the text is what matters
        list(compose_all(*composer, [[line]]))
    assert explain(caught.value).startswith(message)


@pytest.mark.parametrize("typed", [["width=7"], ["hydra.mode=MULTIRUN", "width=7,8"]])
def test_settings_composed_once_are_hydras_own(composer, typed):
    path = composer[0].config_search_path
    own, once = Hydra("ntk-sweep", ConfigLoaderImpl(path)), Hydra("ntk-sweep", ComposedOnce(path))
    configs = []
    for hydra in (own, once):
        mode = hydra.get_mode("config", typed) or RunMode.MULTIRUN
        added = [] if "hydra.mode=MULTIRUN" in typed else [f"hydra.mode={mode.name}"]
        configs.append(hydra.compose_config("config", typed + added, mode))
        with pytest.raises(ConfigCompositionException, match="widht"):
            hydra.get_mode("config", ["widht=7"]) or hydra.compose_config(
                "config", ["widht=7", "hydra.mode=RUN"], RunMode.RUN
            )
    assert configs[0] == configs[1] and configs[0].hydra.mode == configs[1].hydra.mode
    assert list(configs[1].hydra.overrides.hydra)[-1] == "hydra.mode=MULTIRUN"
    for hydra in (own, once):
        hydra.get_mode("config", ["width=7,8"])
        with pytest.raises(ConfigCompositionException, match="Ambiguous value"):
            hydra.compose_config("config", ["width=7,8", "hydra.mode=RUN"], RunMode.RUN)
