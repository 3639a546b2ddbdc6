"""Training runs: which of them may be averaged, and which networks to show."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.cells import CELL, cells
from analysis.frame import (
    NETWORK,
    SETTING,
    AnalysisError,
    Group,
    activation_title,
    by_activation,
    groups,
    load,
)
from analysis.table1 import best_cells

TASK = "training"

WINNERS = "+experiment=thesis_training"
"""What trains the best network of each activation."""

MOST_NETWORKS = 8
"""Networks in one figure: as many as there are colours that can be told apart."""

SHOWN_NAMES = 12
"""Networks that a message names."""

ABSOLUTE = "absolute"

Cell = tuple[str, int, int]
"""An activation, a width and a depth."""


@dataclass(frozen=True, order=True)
class Setting:
    """How networks were trained.

    Attributes:
        learning_rate: As set.
        learning_rate_unit: "absolute", or "inverse_lambda_max": in units of 1/λ_max of the kernel
            at initialisation.
        batch_size: Samples a step.
        epochs: How many.
        shuffle: Whether each epoch takes the samples in another order.
    """

    learning_rate: float
    learning_rate_unit: str
    batch_size: int
    epochs: int
    shuffle: bool

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Setting:
        """How the network of a row was trained."""
        rate, unit, batch, epochs, shuffle = (row[name] for name in SETTING)
        return cls(float(rate), str(unit), int(batch), int(epochs), bool(shuffle))

    @property
    def rate(self) -> str:
        """The learning rate in words."""
        return f"{self.learning_rate:g}" + ("" if self.learning_rate_unit == ABSOLUTE else "/λ_max")

    @property
    def title(self) -> str:
        """The setting in words."""
        order = "" if self.shuffle else ", order of samples kept"
        return (
            f"learning rate {self.rate}, batch size {self.batch_size}, {self.epochs} epochs{order}"
        )

    @property
    def slug(self) -> str:
        """The setting as part of a file name."""
        unit = "" if self.learning_rate_unit == ABSOLUTE else "_over_lambda_max"
        return f"lr{self.learning_rate:g}{unit}-b{self.batch_size}-e{self.epochs}" + (
            "" if self.shuffle else "-fixed"
        )

    @property
    def words(self) -> list[str]:
        """The setting as a command line sets it, as far as it is not the default."""
        unit = (
            []
            if self.learning_rate_unit == ABSOLUTE
            else [f"task.learning_rate_unit={self.learning_rate_unit}"]
        )
        given = [
            f"task.learning_rate={self.learning_rate!r}",
            *unit,
            f"task.batch_size={self.batch_size}",
        ]
        return [
            "task=training",
            *given,
            f"task.epochs={self.epochs}",
            *([] if self.shuffle else ["task.shuffle=false"]),
        ]


@dataclass(frozen=True)
class Runs:
    """Runs that may be averaged: of one group, trained in one way.

    Attributes:
        group: Where they come from.
        setting: How they were trained.
        rows: One row a network and seed, with the columns of `ntk_sweep.store.columns`: those with a
            history, also diverged ones.
    """

    group: Group
    setting: Setting
    rows: pd.DataFrame

    @property
    def title(self) -> str:
        """The runs in words, for captions."""
        return f"{self.group.title}; {self.setting.title}"

    @property
    def slug(self) -> str:
        """The runs as part of a file name."""
        return f"{self.setting.slug}-{self.group.slug}"

    @property
    def networks(self) -> list[Cell]:
        """What was trained, by activation, width and depth."""
        return list_cells(self.rows)

    def of(self, networks: Sequence[Cell]) -> Runs:
        """The runs of some networks."""
        chosen = pd.MultiIndex.from_tuples(networks)
        return Runs(
            self.group,
            self.setting,
            self.rows[pd.MultiIndex.from_frame(self.rows[CELL]).isin(chosen)],
        )


def runs(group: Group) -> list[Runs]:
    """The runs of a group by setting, in a fixed order.

    Of runs that differ only in how often the kernel was recorded, which changes nothing in their
    losses, the one with most records stays.

    Raises:
        AnalysisError: No run has a history.
    """
    rows = group.rows[group.rows["status"].isin(["ok", "diverged"])]
    if rows.empty:
        raise AnalysisError(
            f"none of the {len(group.rows)} runs of {group.title} has a result; the column `error` "
            "of their rows says why. Try them again with\n"
            f"  {group.command(WINNERS)}"
        )
    found = []
    for values, own in rows.groupby(SETTING, sort=True):
        setting = Setting.of(dict(zip(SETTING, values, strict=True)))
        finest = own.sort_values(
            "record_kernel_every", na_position="last", kind="stable"
        ).drop_duplicates(NETWORK)
        found.append(Runs(group, setting, by_activation(finest, ["width", "depth", "seed"])))
    return found


def list_cells(rows: pd.DataFrame) -> list[Cell]:
    """The networks of some rows, by activation, width and depth."""
    ordered = by_activation(rows[CELL].drop_duplicates(), ["width", "depth"])
    return [
        (str(act), int(width), int(depth)) for act, width, depth in ordered.itertuples(index=False)
    ]


def rows_of(points: pd.DataFrame, network: Cell) -> pd.DataFrame:
    """The rows of a network, of any frame with its coordinates."""
    act, width, depth = network
    return points[(points["act"] == act) & (points["width"] == width) & (points["depth"] == depth)]


def network_name(network: Cell) -> str:
    """A network as on the command line: relu-800x3."""
    act, width, depth = network
    return f"{act}-{width}x{depth}"


def network_title(network: Cell) -> str:
    """A network as in a legend: ReLU 800 × 3."""
    act, width, depth = network
    return f"{activation_title(act)} {width} × {depth}"


def parse_network(name: str) -> Cell:
    """The network of a name.

    Raises:
        AnalysisError: It does not name one.
    """
    match = re.fullmatch(r"(\w+)-(\d+)x(\d+)", name)
    if not match:
        raise AnalysisError(
            f"--network {name} does not name a network: give ACTIVATION-WIDTHxDEPTH, for example "
            "relu-800x3"
        )
    return match[1], int(match[2]), int(match[3])


def choose(every: Sequence[Runs], names: Sequence[str], best: bool) -> list[Cell]:
    """The networks to draw, of those of a group.

    Args:
        every: The runs of the group.
        names: Those asked for.
        best: Whether the best of each activation by λ_min are asked for (`best_networks`).

    Returns:
        Those asked for; without a choice all, if they fit into one figure.

    Raises:
        AnalysisError: There are too many, or none of those asked for.
    """
    group = every[0].group
    there = list_cells(pd.concat([one.rows for one in every]))
    if not names and not best:
        if len(there) > MOST_NETWORKS:
            raise AnalysisError(
                f"{group.title}: {len(there)} networks were trained, and a figure shows at most "
                f"{MOST_NETWORKS}: choose some with --network {network_name(there[0])} (may be "
                "repeated), or take the best of each activation with --best; there are\n"
                f"  {_listed(there)}"
            )
        return there
    wanted = [*map(parse_network, names), *(best_networks(group) if best else [])]
    chosen = [network for network in dict.fromkeys(wanted) if network in there]
    if not chosen:
        asked = "the networks with the greatest λ_min" if best and not names else "those asked for"
        acts, widths, depths = zip(*wanted, strict=True)
        coordinates = [
            f"act={_values(acts)}",
            f"width={_values(widths)}",
            f"depth={_values(depths)}",
        ]
        words = [WINNERS] if best else ["-m", *every[0].setting.words, *coordinates]
        raise AnalysisError(
            f"{group.title}: none of {asked} was trained ({_listed(list(dict.fromkeys(wanted)))}): "
            "train them with\n"
            f"  {group.command(*words)}\n"
            "or choose of those that were, with --network:\n"
            f"  {_listed(there)}"
        )
    if len(chosen) > MOST_NETWORKS:
        raise AnalysisError(
            f"a figure shows at most {MOST_NETWORKS} networks, and --network names {len(chosen)}: "
            "choose fewer"
        )
    return chosen


def best_networks(group: Group) -> list[Cell]:
    """The network of each activation with the greatest mean λ_min over seeds: those that Table 1
    names.

    They are taken from the spectra of the same results folder and not from the runs themselves, of
    which there may be few.

    Raises:
        AnalysisError: There are no spectra of the same data and parametrisation.
    """
    try:
        spectra = groups(
            load(group.results),
            group.results,
            group.fingerprint,
            group.parametrisation,
            group.dtype,
        )
    except AnalysisError as error:
        raise AnalysisError(
            "the best networks are those with the greatest λ_min over a grid of widths and depths, "
            f"and {group.results} holds no spectra of {group.title}: compute them with\n"
            f"  {group.command('+experiment=thesis_grid')}\n"
            "or choose networks with --network"
        ) from error
    return list_cells(best_cells(cells(spectra[0].rows)).dropna(subset="lambda_min"))


def seeds_note(rows: pd.DataFrame, what: str) -> str:
    """How many seeds stand behind `what`, and what a single one means, as a sentence."""
    counts = rows.groupby(CELL).size()
    least, most = int(counts.min()), int(counts.max())
    if most == 1:
        return (
            f"One seed: {what} is that of a single draw of the weights and of the order of "
            "samples; another draw would give another one, and how different it would be cannot be "
            "seen here. Add seed=range(0,5) to the command that made the runs."
        )
    seeds = f"{most} seeds" if least == most else f"{least} to {most} seeds"
    return (
        f"{what[0].upper()}{what[1:]} is the median over {seeds}, and the band or bracket runs "
        "from the least to the greatest."
    )


def diverged_note(rows: pd.DataFrame) -> list[str]:
    """How many runs diverged, as a sentence; none if none did."""
    count = int((rows["status"] == "diverged").sum())
    if not count:
        return []
    text = f"{count} of {len(rows)} runs diverged: the loss overflowed and training stopped."
    return [f"{text} In medians their loss is infinite from there on."]


def history(value: object) -> np.ndarray | None:
    """The entry of a list column as an array of floats; None where the row holds none."""
    return np.asarray(value, dtype=float) if isinstance(value, np.ndarray | list) else None


def _values(values: Sequence[object]) -> str:
    return ",".join(map(str, dict.fromkeys(values)))


def _listed(networks: Sequence[Cell]) -> str:
    names = [network_name(network) for network in networks[:SHOWN_NAMES]]
    return ", ".join(names) + (
        f" and {len(networks) - SHOWN_NAMES} more" if len(networks) > SHOWN_NAMES else ""
    )
