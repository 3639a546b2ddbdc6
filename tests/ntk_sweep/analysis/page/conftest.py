"""A report with everything that a page shows, and a browser to open it."""

from __future__ import annotations

import numpy as np
import pytest

from docs.tools.browser import BrowserMissing, chromium
from ntk_sweep.analysis.cli import main
from ntk_sweep.analysis.drawing.rendering import render_many
from ntk_sweep.data.dataset import load_dataset
from ntk_sweep.store.store import Store
from tests.helpers import analysis_training_rows as training_rows
from tests.helpers.analysis_rows import failed, grid, row, store

DRAWN = 4
"""Figures that are drawn: the data, two heat maps, and a kernel."""

NASTY = "Traceback\nE: <img src=x onerror=alert(1)> & λ"


@pytest.fixture(scope="session")
def browser():
    started = chromium()
    try:
        found = started.__enter__()
    except BrowserMissing as error:
        pytest.skip(str(error))
    yield found
    started.__exit__(None, None, None)


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """Two groups: digits with three seeds, a kernel, an unresolved and a failed cell; of other data
    one network's extreme eigenvalues, and runs that recorded their kernels."""
    folder = tmp_path_factory.mktemp("report")
    digits = load_dataset("digits", [0, 9], 100)
    rows = [*grid(seeds=3), failed("relu", 75, 2, 0, error=NASTY)]
    rows = [one for one in rows if (one["act"], one["width"], one["depth"]) != ("sigmoid", 75, 3)]
    rows = [
        {
            **one,
            "data": "digits",
            "data_fingerprint": digits.fingerprint,
            "n_inputs": 64,
            "key": f"{number:04x}" * 16,
        }
        for number, one in enumerate(rows)
    ]
    theta = np.random.default_rng(0).random((200, 200))
    chosen = next(
        one for one in rows if (one["act"], one["width"], one["depth"]) == ("relu", 400, 3)
    )
    chosen["kernel_file"] = Store(str(folder), "spectrum").save_kernel(
        chosen["key"], theta + theta.T
    )
    extreme = {
        "eigenvalues": None,
        "eigenvalue_errors": None,
        "effective_rank": None,
        "method": "extreme",
    }
    npz = {"data": "npz", "data_fingerprint": "e" * 64, "data_classes": None}
    results = store(folder / "r", [*rows, row("elu", 77, 4, 3, 2.5, **npz, **extreme)])
    runs = [
        training_rows.recorded(act, width, depth, seed, depth / width * (1 + seed), **npz)
        for act in ("relu", "elu")
        for width in (50, 100)
        for depth in (2, 3)
        for seed in (0, 1, 2)
    ]
    training_rows.store(folder / "r", runs)
    (folder / "_kernels").rename(folder / "r/_kernels")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ntk_sweep.analysis.writing.publishing.render_many", first_drawn)
        assert main(["report", results, "-o", str(folder / "page")]) == 0
    return folder


def first_drawn(draws):
    """Only the first figures, and the last of these for all others: drawing takes longer than all
    else here."""
    draws = list(draws)
    drawn = list(render_many(draws[:DRAWN]))
    return [*drawn, *[drawn[-1]] * (len(draws) - DRAWN)]


@pytest.fixture
def watched(browser):
    """A page, and what went wrong on it: messages, errors, and requests for anything but the page
    itself."""
    context = browser.new_context(viewport={"width": 1200, "height": 1000})
    page = context.new_page()
    faults = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(f"failed: {request.url}"))
    page.on("request", lambda request: None if is_own(request.url) else faults.append(request.url))
    yield page, faults
    context.close()


def is_own(url):
    return url.startswith(("data:", "blob:")) or url.endswith("/page/index.html")
