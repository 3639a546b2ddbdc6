"""Hydra plugins: the grid sweeper, and the Ray and serial launchers.

Hydra imports them at every start, so they import nothing heavy. It executes their modules before
these are in `sys.modules`, so modules with dataclasses do without postponed annotations.
"""
