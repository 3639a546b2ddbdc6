"""Where the repository lies."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STORES = ROOT / "tests" / "data" / "stores"
"""Small stores as past versions wrote them."""
