"""A headless Chromium for the pages of the report: their tests, and the screenshot that the docs show.

`make browser` installs one. One of the system is taken where it is found: `NTK_SWEEP_BROWSER` names it, or it is called as below.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

VARIABLE = "NTK_SWEEP_BROWSER"
NAMES = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome", "google-chrome-stable")

LOADED_MS = 60_000
"""Until the maps stand: seconds at the most, more on a machine that is busy."""


class BrowserMissing(RuntimeError):
    """There is no browser; the message says how to get one."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium, closed at the end.

    Raises:
        BrowserMissing: Playwright is not installed, or has no browser to drive.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise BrowserMissing("Playwright is not installed: `make browser` installs it and a Chromium") from error
    with sync_playwright() as playwright:
        found = os.environ.get(VARIABLE) or next(filter(None, map(shutil.which, NAMES)), None)
        # Playwright's own, where there is one, is the one it was tested with. A sandbox needs rights that containers lack, and
        # nothing but our own page is opened.
        own = playwright.chromium.executable_path
        path = os.environ.get(VARIABLE) or (own if Path(own).exists() else found)
        if path is None:
            raise BrowserMissing(f"there is no Chromium: run `make browser`, or name one in {VARIABLE}")
        try:
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except Error as error:
            raise BrowserMissing(
                f"{path} does not start ({str(error).splitlines()[0]}): run `make browser`, or set {VARIABLE}"
            ) from error
        try:
            yield browser
        finally:
            browser.close()


def opened(page: Page, path: Path) -> Page:
    """Opens a report, and waits until its first maps stand."""
    page.goto(path.resolve().as_uri())
    page.wait_for_selector(".explorer[data-ready] .map .heatmaplayer image", state="attached", timeout=LOADED_MS)
    return page


def screenshot(report: Path, target: Path, width: int = 1200) -> None:
    """The interactive part of a report, with the spectrum of its first network, as a PNG file.

    Raises:
        BrowserMissing: There is no browser.
    """
    with chromium() as browser:
        page = opened(browser.new_page(viewport={"width": width, "height": 900}, color_scheme="light"), report)
        page.locator(".explorer .facts").first.evaluate("part => part.hidden = true")
        page.locator(".explorer").first.screenshot(path=target)


if __name__ == "__main__":
    try:
        with chromium() as found:
            print(f"Chromium {found.version} is there and starts")
    except BrowserMissing as error:
        raise SystemExit(str(error)) from error
