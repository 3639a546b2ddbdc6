"""The choice of trained networks on the command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows.runs import Cell, Runs, choose, list_cells, network_name
from ntk_sweep.analysis.rows.study import GRID, Study


@dataclass(frozen=True)
class Choice:
    """Which networks were asked for.

    Attributes:
        names: As on the command line: relu-800x3.
        best: Whether the network of each activation with the greatest mean λ_min is.
    """

    names: tuple[str, ...] = ()
    best: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that choose networks."""
    which = parser.add_argument_group("which networks")
    which.add_argument(
        "--network",
        metavar="NAME",
        action="append",
        default=[],
        help="this network, such as relu-800x3; may be repeated",
    )
    which.add_argument(
        "--best",
        action="store_true",
        help="the network of each activation with the greatest mean λ_min in RESULTS/spectrum",
    )


def options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was chosen."""
    return {"choice": Choice(tuple(arguments.network), arguments.best)}


def chosen_runs(study: Study, choice: Choice) -> list[tuple[Runs, str]]:
    """The runs of the chosen networks by setting, and what their files are called after.

    Raises:
        AnalysisError: There are none, or too many.
    """
    networks = choose(study.runs, choice.names, best_networks(study) if choice.best else None)
    found = []
    for one in study.runs:
        own = [network for network in one.networks if network in networks]
        if own:
            named = "".join(f"-{network_name(network)}" for network in own if choice.names)
            found.append((one.of(own), "-best" if choice.best and not choice.names else named))
    return found


def best_networks(study: Study) -> list[Cell]:
    """The network of each activation with the greatest mean λ_min over seeds: Table 1 names them.

    They are taken from the spectra and not from the runs themselves, of which there may be few.

    Raises:
        AnalysisError: There are no spectra.
    """
    group = study.group
    if not len(group.rows):
        raise AnalysisError(
            "the best networks are those with the greatest λ_min over a grid of widths and depths, "
            f"and {group.results} holds no spectra of {group.title}: compute them with\n"
            f"  {group.command(GRID)}\n"
            "or choose networks with --network"
        )
    return list_cells(study.best_cells.dropna(subset="lambda_min"))


def best_network(study: Study, act: str) -> Cell | None:
    """The network of one activation with the greatest mean λ_min; None where none is resolved."""
    best = list_cells(study.best_cells.dropna(subset="lambda_min"))
    return next((network for network in best if network[0] == act), None)
