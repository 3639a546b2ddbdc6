"""Protects the time limit of a point: it is interrupted where Python can be, and given up
elsewhere; what ends in time is left alone."""

import signal
import threading
import time

import pytest

from ntk_sweep.tasks import allowance
from ntk_sweep.tasks.allowance import Allowance, Overtime, has_alarm

LONG = 60
"""Seconds that no test waits for."""


def busy():
    """Computes for long, as Python does: in many small steps."""
    deadline = time.monotonic() + LONG
    while time.monotonic() < deadline:
        sum(range(100))
    return "done"


@pytest.fixture(autouse=True)
def nothing_left():
    before = signal.getsignal(signal.SIGALRM)
    yield
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is before
    timers = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    assert all(timer.finished.is_set() for timer in timers)


def test_what_ends_in_time_is_returned_and_what_it_raises_is_raised():
    for limited in (Allowance(), Allowance(seconds=LONG), Allowance(1.0, LONG, print)):
        assert limited.within(lambda: 3, "key") == 3
        with pytest.raises(ZeroDivisionError):
            limited.within(lambda: 1 / 0, "key")


def test_what_takes_too_long_is_interrupted_and_the_next_is_not():
    limited = Allowance(seconds=0.05)
    for _ in range(3):
        with pytest.raises(Overtime, match=r"longer than compute.time_limit=0.05 s"):
            limited.within(busy)
        assert limited.within(lambda: 3) == 3


def test_no_handler_of_ordinary_exceptions_swallows_it():
    def careless():
        try:
            return busy()
        except Exception:  # noqa: BLE001 - the point of this test
            return "swallowed"

    with pytest.raises(Overtime):
        Allowance(seconds=0.05).within(careless)


def test_an_alarm_that_is_lost_rings_again(monkeypatch):
    """Python only prints what a destructor raises."""
    monkeypatch.setattr(allowance, "REPEAT_SECONDS", 0.05)

    def loses_the_first():
        try:
            busy()
        except Overtime:
            return busy()

    with pytest.raises(Overtime):
        Allowance(seconds=0.05).within(loses_the_first)


def cannot_be_interrupted(until):
    """Waits like a call into a library: the alarm rings, and this thread does not hear of it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    try:
        assert until.wait(LONG)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})


def test_a_point_that_cannot_be_interrupted_is_given_up_by_its_key(monkeypatch):
    monkeypatch.setattr(allowance, "GRACE_SECONDS", 0.05)
    given_up, told = [], threading.Event()

    def give_up(key):
        given_up.append(key)
        told.set()

    with pytest.raises(Overtime):
        Allowance(seconds=0.05, give_up=give_up).within(
            lambda: cannot_be_interrupted(told), "the key"
        )
    assert given_up == ["the key"]


def test_what_is_interrupted_or_has_no_key_is_not_given_up(monkeypatch):
    monkeypatch.setattr(allowance, "GRACE_SECONDS", 0.05)
    given_up = []
    limited = Allowance(seconds=0.05, give_up=given_up.append)
    with pytest.raises(Overtime):
        limited.within(busy, "key")
    with pytest.raises(Overtime):
        limited.within(busy)
    time.sleep(0.2)
    assert given_up == []


def test_other_threads_have_no_alarm_but_are_given_up(monkeypatch):
    monkeypatch.setattr(allowance, "GRACE_SECONDS", 0.05)
    assert has_alarm()
    results, told = [], threading.Event()

    def elsewhere():
        results.append(has_alarm())
        limited = Allowance(seconds=0.01, give_up=lambda key: told.set())
        results.append(limited.within(lambda: told.wait(LONG), "key"))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert results == [False, True]


def test_systems_without_timers_have_no_alarm(monkeypatch):
    monkeypatch.delattr(signal, "setitimer")
    assert not has_alarm()
