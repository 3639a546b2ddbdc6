"""Protects the installed package: what the built wheel holds works alone, wherever it is called."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pandas as pd
import pytest

from tests.helpers.places import ROOT
from tests.helpers.processes import environment

DECOY = 'raise ImportError("a folder of the user was imported")'


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # The build leaves its traces in the source tree, so it gets one of its own.
    source = folder / "source"
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    for name in tracked.stdout.splitlines():
        if (ROOT / name).is_file() and name.split("/")[0] not in ("tests", "docs", "benchmarks"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", folder, source], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The command `ntk-sweep` of an environment that holds the wheel, and not the checkout."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    python = folder / "bin" / "python"
    site = sysconfig.get_path("purelib", "venv", {"base": folder, "platbase": folder})
    # Packages of this environment are found there, but its .pth files are not read, and with them
    # not the checkout.
    with open(os.path.join(site, "others.pth"), "w") as file:
        file.write(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", python]
    subprocess.run([*pip, "install", "--no-deps", wheel], check=True)
    return folder / "bin" / "ntk-sweep"


@pytest.fixture
def call(installed, tmp_path):
    """Calls the command in a folder whose names are those of the package; its status and output."""
    for name in ("analysis", "conf", "ntk_sweep", "hydra_plugins"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(DECOY)

    def call(*arguments):
        env = environment()
        del env["PYTHONPATH"]
        ended = subprocess.run(
            [installed, *arguments],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        return ended.returncode, ended.stdout, ended.stderr

    return call


def test_the_wheel_holds_the_settings_and_no_generic_name(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    files = {name.partition("/")[2] for name in names if name.startswith("ntk_sweep/conf/")}
    conf = ROOT / "ntk_sweep" / "conf"
    assert files == {f"conf/{path.relative_to(conf)}" for path in conf.rglob("*.yaml")}
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"ntk_sweep", "hydra_plugins"}


def test_the_installed_command_computes_and_reads(call, tmp_path):
    status, out, err = call("run", "act=elu", "width=20", "data=digits", "results=R")
    assert (status, err) == (0, "")
    assert "lambda_min" in out
    assert len(pd.read_parquet(tmp_path / "R" / "spectrum")) == 1
    status, out, err = call("table1", "R")
    assert (status, err) == (0, "")
    assert "| ELU" in out


@pytest.mark.ray
def test_workers_on_ray_import_nothing_of_the_working_folder(call, tmp_path):
    status, out, err = call("run", "-m", "width=10,20", "data=digits", "results=R")
    assert (status, err) == (0, "")
    assert "2 points computed" in out
    assert len(pd.read_parquet(tmp_path / "R" / "spectrum")) == 2


def test_experiments_of_a_folder_outside_the_package_work(call, tmp_path):
    folder = tmp_path / "mine" / "experiment"
    folder.mkdir(parents=True)
    (folder / "two_widths.yaml").write_text(
        "# @package _global_\n"
        "hydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      width: 10,20\n"
        "data:\n  n_per_class: 5\n"
    )
    status, _, err = call(
        "run",
        "--config-dir",
        "mine",
        "+experiment=two_widths",
        "hydra/launcher=serial",
        "data=digits",
        "results=R",
    )
    assert (status, err) == (0, "")
    frame = pd.read_parquet(tmp_path / "R" / "spectrum")
    assert sorted(frame.width) == [10, 20]
    assert set(frame.n_samples) == {10}
