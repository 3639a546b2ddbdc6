"""A headless Chromium: for the tests of the report, and for the README's screenshot.

    python -m docs.tools.browser              says which one there is
    python -m docs.tools.browser --install    gets one where there is none, as `make browser` does

One of the system is taken where it is found: `NTK_SWEEP_BROWSER` names it, or it is called as
below.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

VARIABLE = "NTK_SWEEP_BROWSER"
NAMES = (
    "chromium",
    "chromium-browser",
    "chromium-headless-shell",
    "google-chrome",
    "google-chrome-stable",
)

FLAGS = (
    # A sandbox needs rights that containers lack, and nothing but our own page is opened.
    "--no-sandbox",
    "--disable-gpu",
    # What a browser asks its maker for on its own would hide a request of the page.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-first-run",
    "--no-pings",
)

PACKAGES = ("chromium", "fonts-dejavu-core")
"""Of Debian and its kin; the fonts hold λ, Θ and the digits of exponents."""

_APT = ("apt-get", "-qq", "-o", "Acquire::http::Timeout=15", "-o", "DPkg::Lock::Timeout=120")
_PLAYWRIGHT = (sys.executable, "-m", "playwright")

MARGIN = 12
"""Pixels around what a screenshot shows."""

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
        raise BrowserMissing(
            "Playwright is not installed: `make browser` installs it and a Chromium"
        ) from error
    with sync_playwright() as playwright:
        found = os.environ.get(VARIABLE) or next(filter(None, map(shutil.which, NAMES)), None)
        # Playwright's own, where there is one, is the one it was tested with.
        own = playwright.chromium.executable_path
        path = os.environ.get(VARIABLE) or (own if Path(own).exists() else found)
        if path is None:
            raise BrowserMissing(
                f"there is no Chromium: run `make browser`, or name one in {VARIABLE}"
            )
        try:
            browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        except Error as error:
            raise BrowserMissing(
                f"{path} does not start ({str(error).splitlines()[0]}): run `make browser`, or set "
                f"{VARIABLE}"
            ) from error
        try:
            yield browser
        finally:
            browser.close()


def opened(page: Page, path: Path) -> Page:
    """Opens a report, and waits until its first maps stand."""
    page.goto(path.resolve().as_uri())
    page.wait_for_selector(
        ".explorer[data-ready] .map .heatmaplayer image", state="attached", timeout=LOADED_MS
    )
    return page


def screenshot(report: Path, target: Path, width: int = 1140) -> None:
    """Writes a PNG of the maps of a report and of the spectrum below.

    The pointer stands on the best network.

    Raises:
        BrowserMissing: There is no browser.
    """
    with chromium() as browser:
        page = opened(
            browser.new_page(viewport={"width": width, "height": 1400}, color_scheme="light"),
            report,
        )
        explorer = page.locator(".explorer").first
        for part in (".facts", ".packed"):
            explorer.locator(part).evaluate("part => part.hidden = true")
        explorer.scroll_into_view_if_needed()
        # Where the first of the thin red frames is, that of the greatest mean.
        best = explorer.locator(".map").first.evaluate(
            """map => {
                const {x0, x1, y0, y1} = map.layout.shapes.find(
                    (one) => one.line.width === 2
                );
                const {xaxis, yaxis} = map._fullLayout, box = map.getBoundingClientRect();
                return [
                    box.x + xaxis._offset + xaxis.l2p((x0 + x1) / 2),
                    box.y + yaxis._offset + yaxis.l2p((y0 + y1) / 2),
                ];
            }"""
        )
        page.mouse.move(best[0] - 3, best[1])
        page.mouse.move(*best)
        explorer.locator(".hoverlayer .hovertext").first.wait_for()
        box = explorer.bounding_box()
        clip = {
            "x": box["x"] - MARGIN,
            "y": box["y"] - 3,  # the heading's letters end just above
            "width": box["width"] + 2 * MARGIN,
            "height": box["height"] + MARGIN,
        }
        page.screenshot(path=target, clip=clip, animations="disabled")


def installed() -> str:
    """Gets a browser where there is none.

    The system's package where we may install one, else Playwright's download.

    Returns:
        What is there now.

    Raises:
        BrowserMissing: Neither could be had; the message says why, and what to do.
    """
    try:
        return version()
    except BrowserMissing:
        if VARIABLE in os.environ:
            raise
        print("getting a headless Chromium for the tests of the report", flush=True)
    faults = []
    system = shutil.which("apt-get") and os.geteuid() == 0
    if system:
        # The lists of packages may be missing, as in a fresh container, or old.
        install = (*_APT, "install", "--yes", "--no-install-recommends", *PACKAGES)
        fault = _fault(*install) and (_fault(*_APT, "update") or _fault(*install))
        if not fault:
            return version()
        faults.append(fault)
    fault = _fault(*_PLAYWRIGHT, "install", "--only-shell", "chromium")
    if not fault:
        try:
            return version()
        except BrowserMissing as error:
            fault = _fault(*_PLAYWRIGHT, "install-deps", "chromium") if system else str(error)
            if not fault:
                return version()
    faults.append(fault)
    raise BrowserMissing(
        "\n".join(faults)
        + "\nno Chromium could be had: install your system's package chromium, or name a browser "
        f"in {VARIABLE}"
    )


def version() -> str:
    """The browser that is there, in words.

    Raises:
        BrowserMissing: There is none.
    """
    with chromium() as found:
        return f"Chromium {found.version} is there and starts"


def _fault(*command: str) -> str:
    """Runs a command in silence; what went wrong, in a line, or nothing."""
    environment = {
        **os.environ,
        "DEBIAN_FRONTEND": "noninteractive",
        "PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": "15000",
    }
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode == 0:
        return ""
    lines = [
        line
        for line in (done.stderr + done.stdout).splitlines()
        if line.startswith(("E:", "Error"))
    ]
    name = "apt-get" if command[0] == _APT[0] else "the download of Playwright"
    return f"{name} failed: {lines[0] if lines else f'exit status {done.returncode}'}"


if __name__ == "__main__":
    try:
        print(installed() if sys.argv[1:] == ["--install"] else version())
    except BrowserMissing as error:
        raise SystemExit(str(error)) from error
