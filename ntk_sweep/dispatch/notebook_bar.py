"""A progress bar in a notebook: one line of HTML that is replaced, without widgets."""

from __future__ import annotations

import time
from html import escape

REFRESH_SECONDS = 0.5
"""Time between two pictures, which travel to the browser."""


class NotebookBar:
    """Shows a bar where the cell's output is; rich needs widgets for that, which may be missing."""

    def __init__(self) -> None:
        from IPython.display import display  # where there is a notebook, there is IPython

        self._handle = display({"text/plain": ""}, raw=True, display_id=True)
        self._next = 0.0

    def show(self, done: int, total: int, figures: str, last: bool = False) -> None:
        """Shows points done and what `figures` says, at most twice a second but for the last."""
        if not last and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + REFRESH_SECONDS
        text = f"{done}/{total} points, {figures}"
        html = f'<progress value="{done}" max="{total}"></progress> {escape(text)}'
        self._handle.update({"text/plain": text, "text/html": html}, raw=True)
