"""Protects the plan: what is in the store is left out, what is forced is not."""

import dataclasses

from ntk_sweep.dispatch.plan import make_plan, open_stores
from ntk_sweep.dispatch.sweep import run_sweep
from ntk_sweep.executors.serial import SerialExecutor
from ntk_sweep.settings.schema import SpectrumConfig
from tests.helpers.sweeps import QUIET, grid


def test_the_plan_counts_what_is_there(base):
    run_sweep(grid(base, [3, 4]), SerialExecutor, QUIET)
    configs = grid(base, [3, 4, 5])
    plan = make_plan(configs, open_stores(configs))
    assert (len(plan.jobs), plan.skipped, len(plan.points)) == (1, 2, 3)
    forced = grid(base, [3, 4, 5], force=True)
    assert len(make_plan(forced, open_stores(forced)).jobs) == 3


def test_a_result_without_the_kernel_that_is_wanted_is_not_enough(base):
    run_sweep([base], SerialExecutor, QUIET)
    wanted = [dataclasses.replace(base, task=SpectrumConfig(save_kernel=True))]
    assert len(make_plan(wanted, open_stores(wanted)).jobs) == 1
    run_sweep(wanted, SerialExecutor, QUIET)
    assert not make_plan(wanted, open_stores(wanted)).jobs
