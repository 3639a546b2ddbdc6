"""Protects the batch script as far as that goes without a Slurm; `make slurm` submits it."""

import re
import shutil
import subprocess

import pytest

from tests.helpers.places import ROOT

SCRIPT = ROOT / "slurm" / "sweep.sbatch"


def test_the_script_is_one_that_bash_reads():
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    checked = subprocess.run([bash, "-n", SCRIPT], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_the_script_asks_for_a_token_of_its_own_and_sends_nothing_home():
    text = SCRIPT.read_text()
    options = re.findall(r"^#SBATCH (--\S+)$", text, re.MULTILINE)
    assert {"--requeue", "--signal=B:USR1@120", "--open-mode=append"} <= set(options)
    assert text.index("#SBATCH") < text.index("set -euo pipefail"), "Slurm reads no option below it"
    for line in ("RAY_AUTH_MODE=token", "RAY_USAGE_STATS_ENABLED=0"):
        assert f"\n{line}\n" in text
    assert "RAY_AUTH_TOKEN=$(openssl rand" in text
    assert not re.search(r"--\S*=\"?\$RAY_AUTH_TOKEN", text), "arguments are seen by all"
