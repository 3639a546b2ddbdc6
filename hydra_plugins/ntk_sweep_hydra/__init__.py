"""Hydra plugins: the grid sweeper, and a launcher for each executor.

They import `commands`, `executors` and `settings`. Hydra imports them at every start, so they load
neither torch nor ray. It executes their modules before these are in `sys.modules`, so modules with
dataclasses do without postponed annotations.
"""
