"""What all tests share: run-time checks of annotations, deterministic property tests, small data."""

import os
import signal
from pathlib import Path

import jaxtyping

from tests.helpers.places import ROOT

# Before anything imports these modules: from here on a tensor that contradicts its annotation
# raises.
CHECKED = ("numerics", "network", "kernel", "spectrum", "limit", "training", "dynamics")
jaxtyping.install_import_hook([f"ntk_sweep.{name}" for name in CHECKED], "beartype.beartype")

import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

hypothesis.settings.register_profile(
    "deterministic", deadline=None, derandomize=True, max_examples=30, database=None
)
hypothesis.settings.load_profile("deterministic")

torch.set_num_threads(1)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background of a script; sweeps would inherit it, and mind no Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with genuine images (`data`) and spectra to 25 digits (`reference`)."""
    given = os.environ.get("NTK_SWEEP_SHARED")
    folder = Path(given) if given else ROOT.parent / "shared"
    if not (folder / "reference").is_dir():
        if given:
            pytest.fail(f"NTK_SWEEP_SHARED={given} holds no folder 'reference'")
        pytest.skip(f"no reference data: NTK_SWEEP_SHARED is not set, and {folder} does not exist")
    return folder


@pytest.fixture
def unchecked():
    """Without the checks of annotations, as users have it: for mistakes that the package itself
    must refuse."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def few_inputs() -> torch.Tensor:
    """Seven inputs of five features, as uneven as images: many zeros, the rest in [0, 1]."""
    rng = np.random.default_rng(3)
    return torch.from_numpy(rng.random((7, 5)) * (rng.random((7, 5)) < 0.7))


@pytest.fixture
def npz(tmp_path):
    """Writes arrays to an npz file and returns its path."""

    def write(name="data.npz", **arrays) -> str:
        np.savez(tmp_path / name, **arrays)
        return str(tmp_path / name)

    return write


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The rows of the grid of `processes`, computed in one process that nothing happens to."""
    from ntk_sweep.store.reading import load_results
    from tests.helpers.processes import GRID, run

    results = tmp_path_factory.mktemp("undisturbed")
    done = run(results, *GRID, "hydra/launcher=serial")
    assert done.returncode == 0, done.stdout + done.stderr
    return load_results(results / "spectrum")
