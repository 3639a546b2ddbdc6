"""Protects the plan: what is in the store is left out, what is forced is not."""

import dataclasses

import numpy as np

from ntk_sweep import load_array, load_results
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
    plan = make_plan([base, *wanted], open_stores(wanted))
    assert (len(plan.jobs), plan.skipped) == (1, 0), "computed for one, the point is not skipped"
    run_sweep(wanted, SerialExecutor, QUIET)
    assert not make_plan(wanted, open_stores(wanted)).jobs


def test_files_that_are_there_stay_when_others_are_asked_for(base):
    for settings in (
        {"save_kernel": True},
        {"save_layer_kernels": True, "save_eigenvectors": True},
    ):
        wanted = [dataclasses.replace(base, task=SpectrumConfig(**settings))]
        assert len(make_plan(wanted, open_stores(wanted)).jobs) == 1
        run_sweep(wanted, SerialExecutor, QUIET)
    every = [dataclasses.replace(base, task=SpectrumConfig(save_kernel=True, **settings))]
    assert not make_plan([base, *every], open_stores(every)).jobs
    folder = f"{base.results}/spectrum"
    (row,) = load_results(folder).itertuples()
    theta, layers, vectors = (
        load_array(folder, name)
        for name in (row.kernel_file, row.layer_kernels_file, row.eigenvectors_file)
    )
    np.testing.assert_allclose(layers.sum(axis=0), theta, rtol=1e-13)
    np.testing.assert_allclose((vectors * row.eigenvalues) @ vectors.T, theta, rtol=1e-11)


def test_one_point_that_is_asked_for_twice_has_the_files_of_both(base):
    tasks = [SpectrumConfig(save_kernel=True), SpectrumConfig(save_eigenvectors=True)]
    configs = [dataclasses.replace(base, task=task) for task in (*tasks, SpectrumConfig())]
    (job,) = make_plan(configs, open_stores(configs)).jobs
    assert job.point.files == {"kernel_file", "eigenvectors_file"}
