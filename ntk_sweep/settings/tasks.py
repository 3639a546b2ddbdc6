"""The tasks: one entry each.

What a new task takes beside it stands in CONTRIBUTING.md. References are text, so that the entry
loads no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ntk_sweep.settings.schema import SpectrumConfig, TaskConfig, TrainingConfig


@dataclass(frozen=True)
class Task:
    """What can be computed of a network.

    Attributes:
        name: What `task.name`, the column `task` and the folder of its rows are called.
        settings: The class of its settings.
        columns: The groups of result columns of its rows (`ntk_sweep.store.columns`).
        compute: Reference to the function that computes a point.
        summary: Reference to the function that says how the terminal shows its rows.
        changes_weights: Whether it changes the weights, which then have to be held.
    """

    name: str
    settings: type[TaskConfig]
    columns: tuple[str, ...]
    compute: str
    summary: str
    changes_weights: bool = False


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "spectrum",
            SpectrumConfig,
            columns=("spectrum",),
            compute="ntk_sweep.tasks.spectrum:compute_spectrum",
            summary="ntk_sweep.commands.terminal_tables:spectrum_summary",
        ),
        Task(
            "training",
            TrainingConfig,
            columns=("spectrum", "training"),
            compute="ntk_sweep.tasks.training:compute_training",
            summary="ntk_sweep.commands.terminal_tables:training_summary",
            changes_weights=True,
        ),
    )
}


def resolve(reference: str) -> Any:
    """What ``module:name`` refers to; the module is imported now."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)
