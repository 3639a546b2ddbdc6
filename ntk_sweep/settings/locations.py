"""Where results lie."""

from __future__ import annotations

import os


def absolute_results(results: str) -> str:
    """`results` as a URI unchanged, or as an absolute path: the same in every process."""
    return results if "://" in results else os.path.abspath(os.path.expanduser(results))
