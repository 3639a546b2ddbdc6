"""Remakes what docs/results.md and the README show from stored results.

    python docs/remake.py RESULTS RESULTS_EIGH

RESULTS_EIGH holds the sigmoid networks by plain float64 (task.method=eigh), to be shown beside the exact ones.
Figures go to docs/figures; tables go into docs/results.md, between the comments that name them.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from analysis import heatmaps
from analysis.cells import cells
from analysis.figures import render
from analysis.frame import groups, load
from analysis.panels import Panel, stacked, unresolved_count

DOCS = Path(__file__).parent
GROUP = "fashion_mnist-thesis"
COMMANDS = ("table1", "heatmaps", "prediction", "convergence", "diagnostics", "kernel", "spectrum")
FIGURES = ("heatmap-*.png", "prediction-*.png", "convergence-*.png", "kernel-*.png", "spectrum-*.png")
TABLES = ("table1", "networks", "prediction", "convergence", "diagnostics")


def main(results: str, results_eigh: str) -> None:
    """Runs the analysis and takes over what the docs show."""
    with tempfile.TemporaryDirectory() as folder:
        for command in COMMANDS:
            arguments = [sys.executable, "-m", "analysis", command, results, "-o", folder, "--data", "fashion_mnist"]
            subprocess.run(arguments, check=True, cwd=DOCS.parent, stdout=subprocess.DEVNULL)
        (DOCS / "figures").mkdir(exist_ok=True)
        for pattern in FIGURES:
            for figure in sorted(Path(folder).glob(pattern)):
                name = figure.name.replace(f"-{GROUP}", "")
                (DOCS / "figures" / name).write_bytes(figure.read_bytes())
        for name in TABLES:
            fill(DOCS / "results.md", name, (Path(folder) / f"{name}-{GROUP}.md").read_text())
    figure, text = beside(results, results_eigh)
    (DOCS / "figures" / "sigmoid-methods.png").write_bytes(figure)
    fill(DOCS / "results.md", "sigmoid", text)


def beside(results: str, results_eigh: str) -> tuple[bytes, str]:
    """The sigmoid heat map beside the one by plain float64, in the same colours; and how many cells of each are unresolved."""
    block, counts = [], []
    for folder, title in (
        (results, "by the default method"),
        (results_eigh, "by plain float64, task.method=eigh"),
    ):
        (group,) = groups(load(folder), folder, "fashion_mnist", "thesis", "float64")
        grid = heatmaps.grid(cells(group.rows), "sigmoid")
        block.append(Panel(title, grid))
        counts.append(unresolved_count(grid))
    text = f"Unresolved: {counts[0]} cells with the default method, {counts[1]} by plain float64."
    return render(stacked([block], "Sigmoid: the smallest eigenvalue by two methods"), "png"), text


def fill(page: Path, name: str, content: str) -> None:
    """Puts `content` between the comments ``<!-- name -->`` and ``<!-- end -->`` of a page."""
    text = page.read_text()
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{page} has no place for {name}: <!-- {name} --> … <!-- end -->")
    page.write_text(pattern.sub(lambda match: f"{match[1]}{content.strip()}\n{match[2]}", text))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
