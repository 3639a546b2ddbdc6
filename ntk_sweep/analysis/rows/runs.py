"""Training runs: which of them may be averaged, and which networks to show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows.activations import activation_title, by_activation
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.setting import Setting
from ntk_sweep.store.columns import CELL, NETWORK, TRAINING_SETTING

WINNERS = "+experiment=thesis_training"
"""What trains the best network of each activation."""

MOST_NETWORKS = 8
"""Networks in one figure: as many as there are colours that can be told apart."""

SHOWN_NAMES = 12
"""Networks that a message names."""

HEAVY = ("eigenvalues", "eigenvalue_errors", "initial_outputs", "outputs", "error")
"""Columns that no figure of training shows."""

Cell = tuple[str, int, int]
"""An activation, a width and a depth."""


@dataclass(frozen=True)
class Runs:
    """Runs that may be averaged: of one group, trained in one way.

    Attributes:
        group: Where they come from.
        setting: How they were trained.
        rows: One row a network and seed, those with a history, also diverged ones.
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
        return f"{self.setting.slug}-{self.group.label}"

    @property
    def networks(self) -> list[Cell]:
        """What was trained, by activation, width and depth."""
        return list_cells(self.rows)

    def of(self, networks: Sequence[Cell]) -> Runs:
        """The runs of some networks."""
        chosen = pd.MultiIndex.from_tuples(networks)
        own = pd.MultiIndex.from_frame(self.rows[CELL]).isin(chosen)
        return replace(self, rows=self.rows[own])

    def light(self) -> Runs:
        """The runs without what no figure shows, to be sent to another process."""
        rows = self.rows.drop(columns=[name for name in HEAVY if name in self.rows])
        return replace(self, group=replace(self.group, rows=self.group.rows.iloc[:0]), rows=rows)


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
    for values, own in rows.groupby(TRAINING_SETTING, sort=True, dropna=False):
        setting = Setting.of(dict(zip(TRAINING_SETTING, values, strict=True)))
        finest = own.sort_values(
            "record_kernel_every", na_position="last", kind="stable"
        ).drop_duplicates([*NETWORK, *group.across])
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


def choose(
    every: Sequence[Runs], names: Sequence[str], best: Sequence[Cell] | None = None
) -> list[Cell]:
    """The networks to draw, of those of a group.

    Args:
        every: The runs of the group.
        names: Those asked for.
        best: The best of each activation by λ_min, if they are asked for.

    Returns:
        Those asked for; without a choice all, if they fit into one figure.

    Raises:
        AnalysisError: There are too many, or none of those asked for.
    """
    group = every[0].group
    there = list_cells(pd.concat([one.rows for one in every]))
    if not names and best is None:
        if len(there) > MOST_NETWORKS:
            raise AnalysisError(
                f"{group.title}: {len(there)} networks were trained, and a figure shows at most "
                f"{MOST_NETWORKS}: choose some with --network {network_name(there[0])} (may be "
                "repeated), or take the best of each activation with --best; there are\n"
                f"  {_listed(there)}"
            )
        return there
    wanted = [*map(parse_network, names), *(best or [])]
    chosen = [network for network in dict.fromkeys(wanted) if network in there]
    if not chosen:
        asked = (
            "the networks with the greatest λ_min"
            if best is not None and not names
            else "those asked for"
        )
        acts, widths, depths = zip(*wanted, strict=True) if wanted else ((), (), ())
        coordinates = [
            f"act={_values(acts)}",
            f"width={_values(widths)}",
            f"depth={_values(depths)}",
        ]
        words = [WINNERS] if best is not None else ["-m", *every[0].setting.words, *coordinates]
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


def _values(values: Sequence[object]) -> str:
    return ",".join(map(str, dict.fromkeys(values)))


def _listed(networks: Sequence[Cell]) -> str:
    names = [network_name(network) for network in networks[:SHOWN_NAMES]]
    return ", ".join(names) + (
        f" and {len(networks) - SHOWN_NAMES} more" if len(networks) > SHOWN_NAMES else ""
    )
