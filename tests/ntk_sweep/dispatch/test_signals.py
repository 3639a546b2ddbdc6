"""Protects the orderly end of a sweep by a signal: finished points stay, handlers are restored."""

import signal

import pandas as pd
import pytest

from ntk_sweep.dispatch.signals import Interrupted, SignalGuard
from ntk_sweep.dispatch.sweep import run_sweep
from ntk_sweep.executors.serial import SerialExecutor
from tests.helpers.sweeps import QUIET, grid, rows


def test_an_interruption_keeps_what_is_finished(base):
    class Interrupts(SerialExecutor):
        def wait(self, seconds):
            reports = super().wait(seconds)
            signal.raise_signal(signal.SIGINT)
            return reports

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted) as caught:
        run_sweep(grid(base, range(3, 60)), Interrupts, QUIET)
    assert caught.value.signal_number == signal.SIGINT
    assert signal.getsignal(signal.SIGINT) is before
    done = len(rows(base))
    assert 0 < done < 57
    result = run_sweep(grid(base, range(3, 60)), SerialExecutor, QUIET)
    assert len(result.plan.jobs) == 57 - done
    assert len(pd.read_parquet(base.results + "/spectrum")) == 57


def test_a_signal_that_was_ignored_stays_ignored(base):
    """As SIGHUP under `nohup`."""

    class Interrupts(SerialExecutor):
        def wait(self, seconds):
            signal.raise_signal(signal.SIGHUP)
            return super().wait(seconds)

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run_sweep(grid(base, range(3, 6)), Interrupts, QUIET)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert len(rows(base)) == 3


def test_an_executor_that_may_not_be_interrupted_is_left_between_two_waits(base):
    class Compiled(SerialExecutor):
        interruptible, ended, closed = False, 0, False

        def wait(self, seconds):
            signal.raise_signal(signal.SIGTERM)
            reports = super().wait(seconds)
            Compiled.ended += 1
            return reports

        def close(self):
            Compiled.closed = True

    with pytest.raises(Interrupted):
        run_sweep(grid(base, range(3, 60)), Compiled, QUIET)
    assert (Compiled.ended, Compiled.closed) == (1, True)


def test_the_first_signal_counts_and_further_ones_are_ignored():
    with SignalGuard() as guard:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        for enter in (guard.check, guard.immediate().__enter__):
            with pytest.raises(Interrupted) as caught:
                enter()
            assert caught.value.signal_number == signal.SIGTERM


def test_handlers_that_an_executor_sets_at_its_start_are_replaced(base):
    """Ray sets its own, which would end the process at once."""

    class SetsItsOwn(SerialExecutor):
        def __init__(self, compute):
            super().__init__(compute)
            signal.signal(signal.SIGTERM, lambda number, frame: None)

        def wait(self, seconds):
            signal.raise_signal(signal.SIGTERM)
            return super().wait(seconds)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted):
        run_sweep(grid(base, [3]), SetsItsOwn, QUIET)
    assert signal.getsignal(signal.SIGTERM) is before
