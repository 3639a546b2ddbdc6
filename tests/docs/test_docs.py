"""Protects what README and docs show: Python runs, command lines compose, links lead somewhere,
names are those of the code."""

import importlib
import re
import shlex
from fnmatch import fnmatch
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from hydra_plugins.ntk_sweep_hydra.composition import compose_all
from hydra_plugins.ntk_sweep_hydra.grid_sweeper import GridSweeper
from ntk_sweep.settings.tasks import TASKS
from ntk_sweep.settings.validation import choices, from_dict, setting_names
from ntk_sweep.store.columns import schema
from tests.helpers.command_line import launch
from tests.helpers.places import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(language):
    # Of rows.md tests/docs/test_querying.py runs the snippets, one after the other; of logging.md
    # tests/cli/test_job_callbacks.py.
    for page in (page for page in PAGES if page.name not in ("rows.md", "logging.md")):
        for number, block in enumerate(
            re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)
        ):
            yield pytest.param(block, id=f"{page.name}-{number}")


@pytest.fixture(scope="module")
def folder_with_results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    small = ("data=digits", "data.n_per_class=5", "act=relu,elu", "width=20,30")
    assert launch("-m", "hydra/launcher=serial", *small, f"results={folder}/results") == 0
    return folder


@pytest.mark.parametrize("block", list(blocks("python")))
def test_python_examples_run(block, folder_with_results, monkeypatch):
    monkeypatch.chdir(folder_with_results)
    exec(block, {"__name__": "__main__"})


def launch_lines():
    for page in PAGES:
        text = page.read_text()
        for line in re.findall(
            r"^(?:ntk-sweep run|sbatch .*sweep.sbatch) (.*)$", text, re.MULTILINE
        ):
            yield pytest.param(shlex.split(line, comments=True), id=line.split("#")[0].strip())


@pytest.mark.parametrize("arguments", list(launch_lines()))
def test_launch_lines_compose(arguments):
    overrides = [argument for argument in arguments if argument != "-m"]
    with initialize_config_dir(config_dir=str(ROOT / "conf"), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("config", overrides=overrides, run_mode=RunMode.MULTIRUN)
        sweeper = GridSweeper(dict(master.hydra.sweeper.params), list(master.hydra.sweeper.points))
        sweeper.hydra_context = type("Context", (), {"config_loader": loader})()
        jobs = sweeper.expand(overrides)
        assert jobs
        for values in compose_all(loader, master, jobs[:3]):
            from_dict(values)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_picture_is_shown_and_remade():
    from docs.tools import phases, remake

    shown = {
        Path(name).name
        for page in PAGES
        for name in re.findall(r"!\[[^]]*\]\(([^)]+\.png)\)", page.read_text())
    }
    assert shown == {path.name for path in (ROOT / "docs/figures").glob("*")}
    of_training = [
        pattern.replace(f"-{remake.THESIS}", "").removesuffix("-*") + "*.png"
        for parts in remake.TRAINING.values()
        for pattern, words in parts
        if words
    ]
    made = [*remake.FIGURES, *of_training, "report.png", "sigmoid-methods.png", "growth.png"]
    made += ["study-modes.png", "linear-width.png", f"{phases.NAME}.png"]
    made += [f"{name}.png" for name in phases.PLANES]
    assert [name for name in shown if not any(fnmatch(name, pattern) for pattern in made)] == []


BENCHMARKS = [
    path
    for path in sorted((ROOT / "benchmarks").rglob("[a-z]*.py"))
    if path.parent.name != "peers"  # those run in environments of their own
]


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_benchmarks_start(path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    page = (ROOT / "docs/reference/performance.md").read_text() + (
        ROOT / "docs/theory/numerics.md"
    ).read_text()
    importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for name in re.findall(r'fill\w*\(.*?, "(\w+)"', path.read_text()):
        assert f"<!-- {name} -->" in page


def test_every_setting_is_explained():
    text = (ROOT / "docs" / "reference" / "settings.md").read_text()
    missing = [
        name for name in setting_names() if not name.endswith(".name") and f"`{name}" not in text
    ]
    assert not missing


def test_every_choice_is_named():
    text = (ROOT / "docs" / "reference" / "settings.md").read_text()
    assert [
        choice for names in choices().values() for choice in names if f"`{choice}`" not in text
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_table_is_left_empty(page):
    assert not re.search(r"<!-- \w+ -->\s*<!-- end -->", page.read_text())


def test_every_column_is_explained():
    text = (ROOT / "docs" / "reference" / "columns.md").read_text()
    assert [name for task in TASKS for name in schema(task).names if f"`{name}`" not in text] == []
