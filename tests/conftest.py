"""What all tests share: plain surroundings, run-time checks of annotations, deterministic property
tests, small data."""

import gc
import os
from pathlib import Path

import jaxtyping

from tests.helpers import surroundings
from tests.helpers.places import ROOT

# Before anything that reads them is imported: processes side by side do not fight for the cores.
os.environ.update(dict.fromkeys(surroundings.THREADS, "1"))

# Before anything imports these modules: from here on a tensor that contradicts its annotation
# raises. The elementwise steps of double-double, of which a kernel takes thousands, are left out:
# to check them took a quarter of the time of the tests of kernels and spectra.
NUMERICS = {f"numerics.{path.stem}" for path in (ROOT / "ntk_sweep" / "numerics").glob("[!_]*.py")}
CHECKED = {"network", "kernel", "spectrum", "limit", "training", "dynamics", *NUMERICS}
jaxtyping.install_import_hook(
    [f"ntk_sweep.{name}" for name in CHECKED - {"numerics.double_double"}], "beartype.beartype"
)

import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

hypothesis.settings.register_profile(
    "deterministic", deadline=None, derandomize=True, max_examples=30, database=None
)
hypothesis.settings.load_profile("deterministic")

torch.set_num_threads(1)

MOST_PROCESSES = 8
"""More would need more memory than a laptop has; each takes about a gigabyte."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """One more than there are cores for this process: tests of Ray mostly wait."""
    from ntk_sweep.cores import available_cores

    return min(available_cores() + 1, MOST_PROCESSES)


def pytest_configure(config):
    """Files go to the processes in the order of `pytest_collection_modifyitems`."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_sessionstart(session):
    """Whoever started the tests has no part in what they see. Parallel processes inherit that."""
    config = session.config
    if not hasattr(config, "workerinput"):
        config.add_cleanup(surroundings.settle())
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        # Not in the process that only hands out tests, which would end with its terminal.
        surroundings.mind_signals()


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What is imported and collected stays to the end: a search for garbage in it takes a fifth of
    the time and finds none."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items):
    """Files that mostly wait for Ray begin early, but not together: while one process waits, others
    compute."""
    files = dict.fromkeys(item.path for item in items)
    waiting = dict.fromkeys(item.path for item in items if item.get_closest_marker("ray"))
    order = [path for path in files if path not in waiting]
    step = len(order) // (len(waiting) + 1) + 1
    for number, path in enumerate(waiting):
        order.insert(number * step, path)
    places = {path: place for place, path in enumerate(order)}
    items.sort(key=lambda item: places[item.path])


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
    from tests.helpers.command_line import launch
    from tests.helpers.processes import GRID

    results = tmp_path_factory.mktemp("undisturbed")
    assert launch("-m", *GRID, "hydra/launcher=serial", f"results={results}") == 0
    return load_results(results / "spectrum")


@pytest.fixture(scope="session")
def object_store():
    """An S3-compatible server on the loopback, which all tests of a process share."""
    from tests.helpers.s3 import s3_server

    with s3_server() as server:
        yield server
