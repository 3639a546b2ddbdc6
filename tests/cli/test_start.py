"""Protects how soon a command starts: each loads only what it needs."""

import subprocess
import sys

import numpy as np
import pytest

from tests.helpers import analysis_rows
from tests.helpers.command_line import launch
from tests.helpers.places import ROOT

NEVER = {"ray", "sklearn", "IPython"}

FRAMES = {"pandas", "scipy", "matplotlib"}

DEFERRED = {"torch._prims", "torch.export.exported_program", "torch.ao.quantization"}
"""What the parts of torch that are not used would load."""

COMMANDS = {
    "help": (["run", "--help"], FRAMES | {"torch", "pyarrow.compute"}),
    "a new row": (["run", "RUN", "seed=1"], FRAMES | DEFERRED | {"pyarrow.compute"}),
    "a sweep": (
        ["run", "RUN", "-m", "hydra/launcher=serial", "seed=2,3"],
        FRAMES | DEFERRED,
    ),
    "a row that is there": (
        ["run", "RUN"],
        FRAMES | {"torch", "unittest.mock", "pyarrow.compute"},
    ),
    "status": (["status", "RESULTS"], FRAMES | {"torch", "hydra"}),
    "table1": (
        ["table1", "RESULTS", "-o", "OUT"],
        {"torch", "hydra", "scipy", "matplotlib", "jinja2"},
    ),
    "report": (["report", "RESULTS", "-o", "OUT"], {"torch", "hydra", "omegaconf"}),
}
CASES = [
    pytest.param(*case, id=name, marks=[pytest.mark.long] * (name == "report"))
    for name, case in COMMANDS.items()
]


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A finished network, and the results of another."""
    folder = tmp_path_factory.mktemp("start")
    np.savez(folder / "tiny.npz", x=np.eye(2), y=np.arange(2))
    results = analysis_rows.store(folder / "rows", [analysis_rows.row()])
    run = ["width=1", "data=npz", f"data.path={folder}/tiny.npz", f"results={folder}/one"]
    assert launch(*run) == 0
    return {"RUN": run, "RESULTS": [str(results)], "OUT": [str(folder / "out")]}


@pytest.mark.parametrize(("words", "spared"), CASES)
def test_a_command_loads_only_what_it_needs(places, words, spared):
    code = "import sys; from ntk_sweep.cli import command as c; c.main(); print('>', *sys.modules)"
    words = [part for word in words for part in places.get(word, [word])]
    ended = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=ROOT, check=True
    )
    said, _, loaded = ended.stdout.rpartition("> ")
    assert said, ended.stderr
    assert not (NEVER | spared) & set(loaded.split())
