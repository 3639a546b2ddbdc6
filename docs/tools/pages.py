"""Places in a page that programs fill."""

from __future__ import annotations

import re
from pathlib import Path


def fill(page: Path, name: str, content: str) -> None:
    """Puts `content` between the comments ``<!-- name -->`` and ``<!-- end -->`` of a page."""
    text = page.read_text()
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{page} has no place for {name}: <!-- {name} --> … <!-- end -->")
    page.write_text(pattern.sub(lambda match: f"{match[1]}{content.strip()}\n{match[2]}", text))
