"""How a browser is got where there is none: quietly, by the system's package where that may be
installed, else by a download."""

from __future__ import annotations

import pytest

from docs.tools import browser
from docs.tools.browser import BrowserMissing


@pytest.fixture
def machine(monkeypatch):
    """A machine without a browser: what it is asked to do, and which of its commands make a browser
    appear or fail."""

    class Machine:
        def __init__(self):
            self.asked, self.helps, self.root = [], None, True

        def fault(self, *command):
            words = " ".join(command)
            self.asked.append(
                "playwright"
                if "playwright" in words
                else f"{command[0]} {'update' if 'update' in command else 'install'}"
            )
            return (
                ""
                if self.asked[-1] == self.helps or command[-1] == "update"
                else f"{self.asked[-1]} failed"
            )

        def version(self):
            if self.helps in self.asked:
                return "Chromium 1 is there and starts"
            raise BrowserMissing("there is no Chromium")

    found = Machine()
    monkeypatch.delenv(browser.VARIABLE, raising=False)
    monkeypatch.setattr(browser, "_fault", found.fault)
    monkeypatch.setattr(browser, "version", found.version)
    monkeypatch.setattr(browser.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(browser.os, "geteuid", lambda: 0 if found.root else 1000)
    return found


def test_nothing_is_done_where_there_is_a_browser(machine, monkeypatch, capsys):
    monkeypatch.setattr(browser, "version", lambda: "Chromium 1 is there and starts")
    assert browser.installed() == "Chromium 1 is there and starts"
    assert (machine.asked, capsys.readouterr().out) == ([], "")


def test_the_package_of_the_system_comes_first(machine):
    machine.helps = "apt-get install"
    assert browser.installed().startswith("Chromium 1")
    assert machine.asked == ["apt-get install"]


def test_without_rights_it_is_downloaded(machine):
    machine.root, machine.helps = False, "playwright"
    assert browser.installed().startswith("Chromium 1")
    assert machine.asked == ["playwright"]


def test_where_neither_works_the_message_says_why_and_what_to_do(machine):
    with pytest.raises(
        BrowserMissing,
        match=r"(?s)apt-get install failed\nplaywright failed\nno Chromium could be had: install",
    ):
        browser.installed()
    # Lists of packages that are missing or old are made up for once.
    assert machine.asked == ["apt-get install", "apt-get update", "apt-get install", "playwright"]


def test_a_browser_that_was_named_is_not_replaced(machine, monkeypatch):
    monkeypatch.setenv(browser.VARIABLE, "/nowhere/chromium")
    with pytest.raises(BrowserMissing):
        browser.installed()
    assert machine.asked == []


def test_it_is_told_not_to_call_home():
    assert {
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
    } <= set(browser.FLAGS)
