"""Remakes what docs/reference/results.md and the README show from stored results.

    python -m docs.tools.remake RESULTS RESULTS_EIGH

RESULTS holds the spectra and the training runs that the page names; RESULTS_EIGH the sigmoid
networks by plain float64 (task.method=eigh), to be shown beside the exact ones. Figures go to
docs/figures. Tables go into the page, between the comments that name them, or into
docs/reference/tables where they are too long for it. The picture of the report needs a browser:
`make browser`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from docs.tools.browser import BrowserMissing, screenshot
from docs.tools.pages import fill, write_csv
from ntk_sweep.analysis.drawing import cell_grid
from ntk_sweep.analysis.drawing.rendering import render
from ntk_sweep.analysis.drawing.stacked_heatmaps import Panel, stacked, unresolved_count
from ntk_sweep.analysis.rows.cells import cells, not_positive
from ntk_sweep.analysis.rows.grouping import groups, load

DOCS = Path(__file__).parents[1]
PAGE = DOCS / "reference" / "results.md"
TABLES_FOLDER = DOCS / "reference" / "tables"
GROUP = "fashion_mnist-thesis"
SHARED = "fashion_mnist, classes 0 and 9, N = 200, parametrisation thesis, float64"
"""What all captions say; the page says it at its top."""

COMMANDS = ("table1", "prediction", "convergence", "diagnostics", "kernel", "spectrum")
FIGURES = ("prediction-[!s]*.png", "kernel-*.png", "spectrum-*.png")
TABLES = ("table1", "networks", "prediction", "convergence", "diagnostics")

TRAINING_COMMANDS = (
    ("training", "--best"),
    ("training", "--network", "relu-800x3", "--network", "sigmoid-300x8"),
    ("bounds",),
    ("drift",),
)
THESIS = "lr0.001-b1-e100"
"""How the thesis trains, as file names say it."""

TRAINING = {
    "training": (
        (f"training-best-{THESIS}", ""),
        (
            f"curves-best-{THESIS}",
            "Figure 9: loss and accuracy of the best network of each activation",
        ),
        (f"predicted-best-{THESIS}", "Figure 9: the measured loss and its predictions"),
        (f"training-relu-800x3-sigmoid-300x8-{THESIS}", ""),
        (
            f"curves-relu-800x3-sigmoid-300x8-{THESIS}",
            "Figure 10: loss and accuracy of ReLU 800 × 3 and Sigmoid 300 × 8",
        ),
        (
            f"predicted-relu-800x3-sigmoid-300x8-{THESIS}",
            "Figure 10: the measured loss and its predictions",
        ),
        (f"training-relu-800x3-sigmoid-300x8-{THESIS}-fixed", ""),
        (
            f"curves-relu-800x3-sigmoid-300x8-{THESIS}-fixed",
            "Figure 10 with the samples in their order",
        ),
    ),
    "bounds": (
        (f"bounds-{THESIS}", ""),
        (f"bounds-{THESIS}", "Figure 11: the loss of the best ReLU network and its bounds"),
    ),
    "drift": (
        ("drift-slopes-*", ""),
        ("drift-width-*", "Change of the kernel in training, against width"),
        ("drift-ends-*", ""),
        ("drift-epochs-*", "Change of the kernel over epochs"),
        ("drift-eigenvalues-*", "Eigenvalues and alignment of the kernel over epochs"),
    ),
}
"""The files between the comments of each name, without group and ending.

They are figures where there are words for them, else tables."""

LONG = ("drift-slopes-*", "drift-ends-*", "convergence")
"""Tables that are too long for a page: CSV files, to which their captions link."""

DEFINED = "diagnostics"
"""The table whose notes define what docs/theory/diagnostics.md defines; the first stays."""


def main(results: str, results_eigh: str) -> None:
    """Runs the analysis and copies what the pages show."""
    (DOCS / "figures").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for command in COMMANDS:
            analyse(results, folder, command)
        for pattern in FIGURES:
            for figure in sorted(Path(folder).glob(pattern)):
                name = figure.name.replace(f"-{GROUP}", "")
                (DOCS / "figures" / name).write_bytes(figure.read_bytes())
        for name in TABLES:
            made = Path(folder) / f"{name}-{GROUP}.md"
            content = once(filed(made) if name in LONG else made.read_text())
            fill(PAGE, name, first_note(content) if name == DEFINED else content)
    with tempfile.TemporaryDirectory() as folder:
        analyse(results, folder, "report")
        try:
            screenshot(Path(folder) / "index.html", DOCS / "figures" / "report.png")
        except BrowserMissing as error:
            raise SystemExit(
                f"the README's picture of the report was not remade: {error}"
            ) from error
    figure, text = beside(results, results_eigh)
    (DOCS / "figures" / "sigmoid-methods.png").write_bytes(figure)
    fill(PAGE, "sigmoid", text)
    training(results)


def training(results: str) -> None:
    """The training runs: tables and the figures that belong to them, in the order of `TRAINING`."""
    with tempfile.TemporaryDirectory() as folder:
        for name, parts in TRAINING.items():
            for command in TRAINING_COMMANDS:
                if command[0] == name:
                    analyse(results, folder, *command)
            content: list[str] = []
            for pattern, words in parts:
                found = sorted(Path(folder).glob(f"{pattern}-{GROUP}.{'png' if words else 'md'}"))
                if not found:
                    raise SystemExit(
                        f"{results} has no runs for {pattern}: docs/reference/results.md names "
                        "the commands that make them"
                    )
                content += [
                    shown(path, words)
                    if words
                    else filed(path)
                    if pattern in LONG
                    else path.read_text().strip()
                    for path in found
                ]
            fill(PAGE, name, once("\n\n".join(content)))


def once(content: str) -> str:
    """Drops the notes that stand in the content already, and what all captions say."""
    content = content.replace(f" ({SHARED})", "").replace(f"({SHARED}; ", "(")
    return "\n\n".join(dict.fromkeys(content.split("\n\n")))


def first_note(content: str) -> str:
    """Caption, table and first note."""
    return "\n\n".join(content.split("\n\n")[:3])


def filed(path: Path) -> str:
    """Moves the lines of a table into a CSV file; returns the linked caption and the notes."""
    target = TABLES_FOLDER / f"{path.stem.removesuffix(f'-{GROUP}')}.csv"
    caption, lines, *notes = path.read_text().strip().split("\n\n")
    write_csv(target, lines.splitlines())
    return "\n\n".join([f"[{caption}](tables/{target.name})", *notes])


def shown(figure: Path, words: str) -> str:
    """Copies a figure; returns the line that shows it."""
    name = figure.name.replace(f"-{GROUP}", "").replace(f"-{THESIS}", "")
    (DOCS / "figures" / name).write_bytes(figure.read_bytes())
    return f"![{words}](../figures/{name})"


def analyse(results: str, folder: str, command: str, *options: str) -> None:
    """Runs a command of the analysis."""
    arguments = [
        sys.executable,
        "-m",
        "analysis",
        command,
        results,
        "-o",
        folder,
        "--data",
        "fashion_mnist",
        *options,
    ]
    subprocess.run(arguments, check=True, cwd=DOCS.parent, stdout=subprocess.DEVNULL)


def beside(results: str, results_eigh: str) -> tuple[bytes, str]:
    """The sigmoid heat maps by both methods in the same colours, and what is unresolved in them.

    Also in how many cells plain float64 gives a λ_min that is not positive.
    """
    block, counts = [], []
    for folder, title in (
        (results, "by the default method"),
        (results_eigh, "by plain float64, task.method=eigh"),
    ):
        (group,) = groups(load(folder), folder, "fashion_mnist", "thesis", "float64")
        grid = cell_grid.grid(cells(group.rows), "sigmoid")
        block.append(Panel(title, grid))
        counts.append(unresolved_count(grid))
    negative = int(not_positive(group.rows).get("sigmoid", 0))
    text = (
        f"Unresolved: {counts[0]} cells with the default method, {counts[1]} by plain float64, in "
        f"{negative} of which it computes a λ_min of 0 or below for at least one seed."
    )
    return render(stacked([block], "Sigmoid: the smallest eigenvalue by two methods"), "png"), text


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
