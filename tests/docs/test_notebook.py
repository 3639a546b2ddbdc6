"""Protects the notebook of the docs: it runs as it stands, and shows what it says."""

import json

import pytest

from tests.helpers.places import ROOT
from tests.helpers.processes import TIME_LIMIT, environment

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
INLINE = "module://matplotlib_inline.backend_inline"


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The cells after a run in a kernel of its own."""
    reason = "nbclient, nbformat or ipykernel is missing: pip install -e .[dev]"
    nbclient = pytest.importorskip("nbclient", reason=reason)
    nbformat = pytest.importorskip("nbformat", reason=reason)
    pytest.importorskip("ipykernel", reason=reason)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    folder = tmp_path_factory.mktemp("notebook")
    client = nbclient.NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=TIME_LIMIT,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=environment(MPLBACKEND=INLINE))
    assert not list(folder.iterdir()), "it leaves files behind"
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(cells, kind):
    """By cell, what was shown of a kind such as text/html."""
    return [
        "".join(output.data[kind] for output in cell.outputs if kind in output.get("data", {}))
        for cell in cells
    ]


def test_the_notebook_is_committed_without_outputs():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert len(cells) == 10
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)


def test_the_notebook_shows_a_bar_rows_and_figures(executed):
    html, png = outputs(executed, "text/html"), outputs(executed, "image/png")
    assert '<progress value="54" max="54">' in html[1] and "<table" in html[1]
    assert html[3].count("<img alt=") == 3
    assert png[5]
    assert '<progress value="6" max="6">' in html[6]
    assert html[7].count("<img alt=") == 2


def test_nothing_but_results_is_said(executed):
    streams = [output for cell in executed for output in cell.outputs if "name" in output]
    assert [output.text for output in streams] == []
