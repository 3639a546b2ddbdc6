"""The commands of ``python -m analysis`` that show training runs: what ``--help`` says of them,
their options, what they run.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from analysis.chapters import training_outputs
from analysis.chapters.speed.correlations import LEAST_NETWORKS, THRESHOLDS
from analysis.chapters.training_outputs import Written
from analysis.rows.group import AnalysisError, Group
from analysis.rows.runs import MOST_NETWORKS, WINNERS

TEXTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "training": (
        "loss and accuracy over epochs, beside what the kernel at initialisation predicts",
        "Prints the loss before and after training, measured and predicted, and writes training-…, "
        "curves-… and predicted-… for each way of training (learning rate, batch size, epochs, "
        "order): medians over seeds, with bands from the least to the greatest. Shows all networks "
        f"if they are at most {MOST_NETWORKS}, and else those chosen.",
        (
            "training results --best",
            "training results --network relu-800x3 --network sigmoid-300x8 -o figures",
        ),
    ),
    "bounds": (
        "the loss of a network against the bounds that λ_min gives",
        "Prints whether and when the loss exceeds each bound, and writes bounds-… (the curves as "
        "bounds-curves-….csv): the bound of gradient flow, that of Du et al. in steps, and the one "
        "that the thesis draws, in epochs. Without a choice: ReLU 800 × 3, Figure 11 of the thesis.",
        ("bounds results", "bounds results --best", "bounds results --network sigmoid-300x8"),
    ),
    "drift": (
        "how far the kernel moves during training, over epochs and against width",
        "Prints the fitted slopes against width and the change of kernel, λ_min, λ_max and "
        "alignment, and writes drift-…: of runs that recorded their kernel "
        "(task.record_kernel_every).",
        ("drift results", "drift results --data digits -o figures"),
    ),
    "speed": (
        "which quantity known before training ranks the networks by epochs to a loss",
        "Prints rank correlations of every candidate with the epochs to a loss, with bootstrap "
        "intervals that resample networks, over all runs and within each activation, and writes "
        f"speed-…: for each learning rate and loss. Needs {LEAST_NETWORKS} networks trained in the "
        "same way.",
        ("speed results", "speed results --threshold 0.05"),
    ),
}

EXPERIMENTS = {
    "training": WINNERS,
    "bounds": "+experiment=thesis_kernels_training",
    "drift": "+experiment=drift",
    "speed": "+experiment=speed_study",
}
"""What makes the rows that each of them shows."""


def add_arguments(name: str, command: argparse.ArgumentParser) -> None:
    """The options of one of `TEXTS`."""
    if name in ("training", "bounds"):
        which = command.add_argument_group("which networks")
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
    if name == "speed":
        listed = ", ".join(f"{loss:g}" for loss in THRESHOLDS)
        command.add_argument(
            "--threshold",
            metavar="LOSS",
            type=float,
            action="append",
            help=f"a loss to reach; may be repeated (default: {listed})",
        )


def _speed(group: Group, options: argparse.Namespace) -> Written:
    thresholds = options.threshold or THRESHOLDS
    if min(thresholds) <= 0:
        raise AnalysisError(
            f"--threshold {min(thresholds):g} is never reached: give a loss above 0, such as "
            f"{THRESHOLDS[0]:g}"
        )
    return training_outputs.speed_files(group, options.output, tuple(dict.fromkeys(thresholds)))


RUN: dict[str, Callable[[Group, argparse.Namespace], Written]] = {
    "training": lambda group, options: training_outputs.training_files(
        group, options.output, options.network, options.best
    ),
    "bounds": lambda group, options: training_outputs.bounds_files(
        group, options.output, options.network, options.best
    ),
    "drift": lambda group, options: training_outputs.drift_files(group, options.output),
    "speed": _speed,
}
"""A group and the options in, tables to print and the files written out."""
