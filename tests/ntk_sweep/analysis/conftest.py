"""What the tests of the analysis share: reports without figures, and a store of many rows."""

import pytest

from tests.helpers.analysis_rows import failed, grid, store
from tests.helpers.report_pages import kernel_rows


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are empty: drawing takes most of the time of tests that ask for something else."""
    drawn = {"svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "png": b"", "pdf": b""}
    monkeypatch.setattr(
        "ntk_sweep.analysis.writing.publishing.render_many", lambda draws: [drawn for _ in draws]
    )


@pytest.fixture(scope="session")
def results(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("results")
    return store(
        folder,
        [
            *grid(),
            *kernel_rows(folder),
            failed("elu", error="Traceback\nE: <script>alert(1)</script> & λ"),
        ],
    )
