"""How networks were trained, in words, in file names and on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from ntk_sweep.settings.schema import FLOW, SGD, TrainingConfig

ABSOLUTE = "absolute"

UNITS = {
    ABSOLUTE: ("", ""),
    "inverse_lambda_max": ("/λ_max", "_over_lambda_max"),
    "inverse_max_diagonal": ("/max Θ_ii", "_over_max_diagonal"),
}
"""Units of the learning rate: in words, and in file names."""

ALWAYS_GIVEN = ("learning_rate", "batch_size")
"""What a command line sets also where it is the default."""


@dataclass(frozen=True)
class Setting:
    """How networks were trained; what the optimiser does not read is None.

    Attributes:
        learning_rate: As set.
        learning_rate_unit: "absolute", or "inverse_lambda_max", "inverse_max_diagonal": in units of
            1/λ_max or 1/max Θ_ii of the kernel at initialisation.
        batch_size: Samples a step.
        epochs: How many at most.
        shuffle: Whether each epoch takes the samples in another order.
        optimiser: "sgd", or "flow": the gradient flow.
        centre_outputs: Whether f less the f before training was trained.
        stop_at_loss: The loss at which a run ends early, or None.
        flow_time: The time at which the flow ends, or None.
        flow_tolerance: The relative error asked of a step of the flow.
    """

    learning_rate: float
    learning_rate_unit: str
    batch_size: int
    epochs: int
    shuffle: bool
    optimiser: str = SGD
    centre_outputs: bool = False
    stop_at_loss: float | None = None
    flow_time: float | None = None
    flow_tolerance: float | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Setting:
        """How the network of a row was trained."""
        kinds = {"batch_size": int, "epochs": int, "shuffle": bool, "centre_outputs": bool}
        values: dict[str, Any] = {}
        for item in fields(cls):
            value = row[item.name]
            # pandas makes a float of an integer beside a null
            known = None if pd.isna(value) else kinds.get(item.name, type(value))(value)
            values[item.name] = known
        return cls(**values)

    @property
    def is_flow(self) -> bool:
        """Whether the gradient flow was followed."""
        return self.optimiser == FLOW

    @property
    def rate(self) -> str:
        """The learning rate in words."""
        return f"{self.learning_rate:g}{UNITS[self.learning_rate_unit][0]}"

    @property
    def title(self) -> str:
        """The setting in words."""
        if self.is_flow:
            end = "" if self.flow_time is None else f" to time {self.flow_time:g}"
            parts = [f"gradient flow{end}, tolerance {self.flow_tolerance:g}"]
        else:
            parts = [
                f"learning rate {self.rate}",
                f"batch size {self.batch_size}",
                f"{self.epochs} epochs",
            ]
            parts += [] if self.shuffle else ["order of samples kept"]
        parts += ["initial function removed"] if self.centre_outputs else []
        parts += [f"until a loss of {self.stop_at_loss:g}"] if self.stop_at_loss else []
        return ", ".join(parts)

    @property
    def slug(self) -> str:
        """The setting as part of a file name."""
        if self.is_flow:
            end = "" if self.flow_time is None else f"-t{self.flow_time:g}"
            parts = f"flow{end}-tol{self.flow_tolerance:g}"
        else:
            unit = UNITS[self.learning_rate_unit][1]
            parts = f"lr{self.learning_rate:g}{unit}-b{self.batch_size}-e{self.epochs}"
            parts += "" if self.shuffle else "-fixed"
        parts += "-centred" if self.centre_outputs else ""
        return parts + (f"-to{self.stop_at_loss:g}" if self.stop_at_loss else "")

    @property
    def words(self) -> list[str]:
        """The setting as a command line sets it, as far as it is not the default."""
        defaults = {item.name: item.default for item in fields(TrainingConfig)}
        given = []
        for item in fields(self):
            value = getattr(self, item.name)
            if value is not None and (item.name in ALWAYS_GIVEN or value != defaults[item.name]):
                shown = str(value).lower() if isinstance(value, bool) else str(value)
                given.append(f"task.{item.name}={shown}")
        return ["task=training", *given]
