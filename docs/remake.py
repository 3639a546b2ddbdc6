"""Remakes what docs/results.md and the README show from stored results.

    python docs/remake.py RESULTS

Figures go to docs/figures; tables go into docs/results.md, between the comments that name them.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
GROUP = "fashion_mnist-thesis"
FIGURES = ("heatmap-*.png", "kernel-*.png", "spectrum-*.png")
TABLES = ("table1", "networks")


def main(results: str) -> None:
    """Runs the analysis and takes over what the docs show."""
    with tempfile.TemporaryDirectory() as folder:
        for command in ("table1", "heatmaps", "kernel", "spectrum"):
            arguments = [sys.executable, "-m", "analysis", command, results, "-o", folder, "--data", "fashion_mnist"]
            subprocess.run(arguments, check=True, cwd=DOCS.parent, stdout=subprocess.DEVNULL)
        (DOCS / "figures").mkdir(exist_ok=True)
        for pattern in FIGURES:
            for figure in sorted(Path(folder).glob(pattern)):
                name = figure.name.replace(f"-{GROUP}", "")
                (DOCS / "figures" / name).write_bytes(figure.read_bytes())
        for name in TABLES:
            fill(DOCS / "results.md", name, (Path(folder) / f"{name}-{GROUP}.md").read_text())


def fill(page: Path, name: str, content: str) -> None:
    """Puts `content` between the comments ``<!-- name -->`` and ``<!-- end -->`` of a page."""
    text = page.read_text()
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{page} has no place for {name}: <!-- {name} --> … <!-- end -->")
    page.write_text(pattern.sub(lambda match: f"{match[1]}{content.strip()}\n{match[2]}", text))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
