"""The choice of single networks on the command line, and what is said where there is none."""

from __future__ import annotations

import argparse
from typing import Any

import pandas as pd

from ntk_sweep.analysis.rows.networks import KERNELS, Selection, of_thesis
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Missing
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.store.columns import CELL

EXEMPLARS = Selection()
"""Nothing is chosen: `ntk_sweep.analysis.rows.networks.exemplars` are taken."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that choose networks."""
    network = parser.add_argument_group("which networks")
    network.add_argument("--act", metavar="NAME", help="only this activation")
    for coordinate in ("width", "depth", "seed"):
        network.add_argument(
            f"--{coordinate}", metavar="N", type=int, help=f"only this {coordinate}"
        )


def options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was chosen."""
    chosen = (arguments.act, arguments.width, arguments.depth, arguments.seed)
    return {"wanted": Selection(*chosen)}


def selection_missing(
    study: Study, wanted: Selection, what: str, rows: pd.DataFrame
) -> Missing | None:
    """What is not there of the networks to show.

    Args:
        study: Of which study.
        wanted: What was asked for; if nothing, it is the networks of Figures 1 to 4.
        what: Of the networks: "spectrum" or "kernel".
        rows: The networks that have one.
    """
    group = study.group
    noun = "saved kernel" if what == "kernel" else what
    if wanted != EXEMPLARS:
        if len(wanted.of(rows)):
            return None
        sentence = f"no {noun} for {wanted} ({group.title})"
        if wanted.act not in (None, *ACTIVATIONS):
            known = ", ".join(ACTIVATIONS)
            return Missing(sentence, "", f"{sentence}: the activations are {known}")
        settings = [f"{name}={value}" for name, value in wanted.given.items()]
        command = group.command(*settings, *(["task.save_kernel=true"] if what == "kernel" else []))
        return Missing(sentence, command, f"{sentence}: make it with\n  {command}")
    there = len(of_thesis(rows).drop_duplicates(CELL))
    networks = {0: "either network", 1: "one of the two networks"}.get(there)
    if not networks:
        return None
    command = group.command(KERNELS)
    choose = "or choose others of the store with --act, --width, --depth and --seed"
    return Missing(
        f"The {what} of {networks} that the thesis shows (ReLU 800 × 3, Sigmoid 300 × 8) is not "
        "there.",
        command,
        f"no {noun} of the thesis's networks ({group.title}): make them with\n  {command}"
        + (f"\n{choose}" if len(rows) else ""),
    )
