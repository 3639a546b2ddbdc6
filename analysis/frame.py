"""The rows of a store as frames that can be averaged: read, kept apart by data and parametrisation,
one row a network."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ntk_sweep.errors import SweepError
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.store.filesystems import above, below
from ntk_sweep.store.reading import load_results

TASK = "spectrum"

NETWORK = ["act", "width", "depth", "seed"]
"""What tells the networks of a group apart."""

SETTING = ["learning_rate", "learning_rate_unit", "batch_size", "epochs", "shuffle"]
"""How a network was trained: runs that differ in one of these are never averaged."""

_RUN = [*NETWORK, *SETTING, "record_kernel_every"]

_GROUP = ["data", "data_fingerprint", "parametrisation", "dtype"]

SHOWN_DIGITS = 12
"""Of a fingerprint's 64 hexadecimal digits: enough that no two data sets of one store begin
alike."""


class AnalysisError(SweepError):
    """There are no rows for what was asked; the message says which command makes them."""


@dataclass(frozen=True)
class Group:
    """Rows that may be compared with one another: of one data set, one parametrisation and one
    dtype.

    Attributes:
        data: The data set's name.
        fingerprint: The hash of its x and y.
        classes: The two labels kept, or None where all inputs were taken.
        n_samples: How many inputs, N.
        n_inputs: The size of an input, n_0.
        parametrisation: How the weights are scaled.
        dtype: In which the kernel was computed.
        slug: A name for files, unlike that of every other group of the store.
        results: The results folder or URI that the rows came from.
        rows: One row a network; the columns of `ntk_sweep.store.columns`.
    """

    data: str
    fingerprint: str
    classes: tuple[int, ...] | None
    n_samples: int
    n_inputs: int
    parametrisation: str
    dtype: str
    slug: str
    results: str
    rows: pd.DataFrame

    @property
    def title(self) -> str:
        """The group in words, for headings."""
        classes = f", classes {' and '.join(map(str, self.classes))}" if self.classes else ""
        # Where one name stands for several data sets, the file names tell them apart by their
        # fingerprints, and so does the title.
        shown = self.fingerprint[:SHOWN_DIGITS]
        which = f" ({shown})" if shown in self.slug else ""
        return (
            f"{self.data}{which}{classes}, N = {self.n_samples}, parametrisation "
            f"{self.parametrisation}, {self.dtype}"
        )

    @property
    def ok(self) -> pd.DataFrame:
        """The rows that hold a result; failed and diverged ones never enter a table or a figure."""
        return self.rows[self.rows["status"] == "ok"]

    def command(self, *words: str) -> str:
        """A command line of `launch.py` that adds rows to this very group."""
        settings = [*words]
        if self.data != "fashion_mnist":
            settings.append(f"data={self.data}")
        if self.data == "npz":
            settings.append("data.path=FILE.npz")
        if self.classes and self.classes != (0, 9):
            settings.append(f"data.classes=[{','.join(map(str, self.classes))}]")
        if self.classes and self.n_samples != 200 and self.n_samples % 2 == 0:
            settings.append(f"data.n_per_class={self.n_samples // 2}")
        if self.parametrisation != "thesis":
            settings.append(f"parametrisation={self.parametrisation}")
        if self.dtype != "float64":
            settings.append(f"dtype={self.dtype}")
        if self.results != "results":
            settings.append(f"results={self.results}")
        return shlex.join(["python", "launch.py", *settings])


def load(
    results: str, task: str = TASK, experiment: str = "+experiment=thesis_grid"
) -> pd.DataFrame:
    """The rows of a results folder or URI, one a point.

    Args:
        results: The folder or URI.
        task: Whose rows.
        experiment: What makes such rows, for messages.

    Raises:
        AnalysisError: There is no such folder, or it holds no rows yet.
        StoreError: A part of the store is unreadable.
    """
    results = results.rstrip("/") or "/"
    example = shlex.join(
        [
            "python",
            "launch.py",
            experiment,
            *([] if results == "results" else [f"results={results}"]),
        ]
    )
    folder = below(results, task)
    try:
        frame = load_results(folder)
    except FileNotFoundError as error:
        parent, last = above(results)
        hint = f"give the results folder itself, {parent}, or " if last == task else ""
        raise AnalysisError(
            f"there are no rows in {folder}: {hint}make some first, for example\n  {example}"
        ) from error
    if frame.empty:
        raise AnalysisError(
            f"{folder} holds no rows yet: wait for the first of a running sweep, or make some, for "
            "example\n"
            f"  {example}"
        )
    return frame


def groups(
    frame: pd.DataFrame,
    results: str,
    data: str | None = None,
    parametrisation: str | None = None,
    dtype: str | None = None,
) -> list[Group]:
    """The groups of a store, in a fixed order, or those chosen.

    Args:
        frame: The rows of `load`.
        results: Where they came from.
        data: A data set's name, or the beginning of its fingerprint; None takes all.
        parametrisation: None takes all.
        dtype: None takes all.

    Raises:
        AnalysisError: Nothing is left; the message lists what there is.
    """
    # The same data may have been given under several names; they are one group, under the first of
    # these.
    frame = frame.assign(data=frame.groupby("data_fingerprint")["data"].transform("min"))
    names = _slugs(frame)
    chosen = []
    for values, rows in frame.groupby(_GROUP, sort=True):
        name, fingerprint, scaling, precision = map(str, values)
        wanted = (
            data is None or name == data or (len(data) >= 4 and fingerprint.startswith(data))
        ) and (parametrisation in (None, scaling) and dtype in (None, precision))
        if wanted:
            first = rows.iloc[0]
            chosen.append(
                Group(
                    data=name,
                    fingerprint=fingerprint,
                    classes=_classes(first["data_classes"]),
                    n_samples=int(first["n_samples"]),
                    n_inputs=int(first["n_inputs"]),
                    parametrisation=scaling,
                    dtype=precision,
                    slug=names[name, fingerprint, scaling, precision],
                    results=results.rstrip("/") or "/",
                    rows=one_row_a_network(rows),
                )
            )
    if not chosen:
        asked = {"--data": data, "--parametrisation": parametrisation, "--dtype": dtype}
        asked_text = " ".join(f"{option} {value}" for option, value in asked.items() if value)
        there = "\n".join(
            f"  --data {name} (fingerprint {fingerprint[:SHOWN_DIGITS]}) --parametrisation "
            f"{scaling} --dtype {precision}"
            for name, fingerprint, scaling, precision in names
        )
        raise AnalysisError(f"{results} has no rows for {asked_text}; there are rows for\n{there}")
    return chosen


def one_row_a_network(rows: pd.DataFrame) -> pd.DataFrame:
    """The latest good row of each (activation, width, depth, seed), so that no seed counts twice in
    a mean.

    Two keys can stand for one network where it was computed by two versions of the numerics. Of
    training runs one row stays for each way in which a network was trained.
    """
    ranked = rows.assign(_good=rows["status"] != "failed").sort_values(
        ["_good", "finished_at", "key"], kind="stable"
    )
    apart = [name for name in _RUN if name in ranked]
    latest = ranked.drop_duplicates(apart, keep="last").drop(columns="_good")
    return by_activation(latest, apart[1:])


def by_activation(frame: pd.DataFrame, then: Sequence[str]) -> pd.DataFrame:
    """`frame` ordered by activation, in the order of the library, then by `then`."""
    rank = {act: place for place, act in enumerate(activations(frame["act"]))}
    return (
        frame.assign(_rank=frame["act"].map(rank))
        .sort_values(["_rank", *then], ignore_index=True)
        .drop(columns="_rank")
    )


def activations(acts: pd.Series) -> list[str]:
    """The activations that occur, in the order of the library; names it does not know come last."""
    known = list(ACTIVATIONS)
    return sorted(
        acts.unique(), key=lambda act: (known.index(act) if act in known else len(known), act)
    )


def activation_title(act: str) -> str:
    """An activation's name as written in tables and figures."""
    return ACTIVATIONS[act].title if act in ACTIVATIONS else act


def _classes(value: object) -> tuple[int, ...] | None:
    """The labels of a row; a missing list reads as None or NaN, depending on what else the column
    holds."""
    return (
        tuple(int(label) for label in value)
        if isinstance(value, np.ndarray | list | tuple)
        else None
    )


def _slugs(frame: pd.DataFrame) -> dict[tuple[str, str, str, str], str]:
    """File names of the groups; the fingerprint appears where a data set's name stands for
    several."""
    keys = list(
        frame[_GROUP].drop_duplicates().sort_values(_GROUP).itertuples(index=False, name=None)
    )
    prints: dict[str, set[str]] = {}
    for name, fingerprint, _, _ in keys:
        prints.setdefault(name, set()).add(fingerprint)
    slugs = {}
    for name, fingerprint, scaling, precision in keys:
        parts = [
            name,
            *([fingerprint[:SHOWN_DIGITS]] if len(prints[name]) > 1 else []),
            scaling,
            *([precision] if precision != "float64" else []),
        ]
        slugs[name, fingerprint, scaling, precision] = re.sub(
            r"[^A-Za-z0-9._-]+", "_", "-".join(parts)
        )
    return slugs
