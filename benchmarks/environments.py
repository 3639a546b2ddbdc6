"""Environments of the peers in `.peers/`, each with pinned versions, made when first needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.places import ROOT

FOLDER = ROOT / ".peers"
PEERS = ROOT / "benchmarks" / "peers"


def interpreter(name: str) -> Path:
    """The Python of the environment that `benchmarks/peers/<name>.txt` describes.

    Raises:
        subprocess.CalledProcessError: Its packages cannot be installed.
    """
    wanted, folder = PEERS / f"{name}.txt", FOLDER / name
    mark = folder / "requirements.txt"
    if not mark.exists() or mark.read_text() != wanted.read_text():
        print(f"installing {name} into {folder.relative_to(ROOT)}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [
            folder / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--requirement",
            wanted,
        ]
        subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
        mark.write_text(wanted.read_text())
    return folder / "bin" / "python"
