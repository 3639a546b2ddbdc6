"""Reads the rows of a store and tells its groups apart."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows.columns import SPECTRUM
from ntk_sweep.analysis.rows.group import Group, preparation_slug
from ntk_sweep.data.dataset import SHOWN_DIGITS
from ntk_sweep.data.labelling import COLUMNS as LABELLING
from ntk_sweep.data.labelling import Labelling
from ntk_sweep.data.normalisation import COLUMN as NORMALISE
from ntk_sweep.data.normalisation import normalisation_of
from ntk_sweep.settings.overrides import override
from ntk_sweep.store.columns import GROUP
from ntk_sweep.store.filesystems import join_location, split_location
from ntk_sweep.store.reading import load_results

IDENTITY = [*GROUP, "data_classes", *LABELLING, NORMALISE, "n_samples", "n_inputs"]
"""The columns that tell what a group is."""


def load(
    results: str, task: str = SPECTRUM, experiment: str = "+experiment=thesis_grid"
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
            "ntk-sweep",
            "run",
            experiment,
            *([] if results == "results" else [override("results", results)]),
        ]
    )
    folder = join_location(results, task)
    try:
        frame = load_results(folder)
    except FileNotFoundError as error:
        parent, last = split_location(results)
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
    weight_std: str | None = None,
    bias_std: str | None = None,
) -> list[Group]:
    """The groups of a store with their rows, in a fixed order, or those chosen.

    Args:
        frame: The rows of `load`.
        results: Where they came from.
        data: A data set's name, or the beginning of its fingerprint; None takes all.
        parametrisation: None takes all.
        dtype: None takes all.
        weight_std: As on the command line; None takes all.
        bias_std: Likewise; "null" for networks without biases.

    Raises:
        AnalysisError: Nothing is left; the message lists what there is.
    """
    choice = GroupChoice(data, parametrisation, dtype, weight_std, bias_std)
    return [one.of(frame) for one in identify(frame, results, choice)]


@dataclass(frozen=True)
class GroupChoice:
    """Which groups of a store are wanted; None takes all.

    Attributes:
        data: A data set's name, or the beginning of its fingerprint.
        parametrisation: As in the rows.
        dtype: Likewise.
        weight_std: As on the command line.
        bias_std: Likewise; "null" for networks without biases.
    """

    data: str | None = None
    parametrisation: str | None = None
    dtype: str | None = None
    weight_std: str | None = None
    bias_std: str | None = None

    def takes(self, group: Group) -> bool:
        """Whether a group is wanted."""
        known = self.data in (None, group.data) or (
            len(self.data or "") >= 4 and group.fingerprint.startswith(self.data or "")
        )
        return (
            known
            and self.parametrisation in (None, group.parametrisation)
            and self.dtype in (None, group.dtype)
            and _is_scale(self.weight_std, group.weight_std)
            and _is_scale(self.bias_std, group.bias_std)
        )

    def __str__(self) -> str:
        options = {name.replace("_", "-"): value for name, value in vars(self).items() if value}
        return " ".join(f"--{name} {value}" for name, value in options.items())


def _is_scale(wanted: str | None, scale: float | None) -> bool:
    """Whether a scale is the one that a command line asks for."""
    if wanted is None:
        return True
    if scale is None:
        return wanted.lower() in ("null", "none")
    try:
        return float(wanted) == scale
    except ValueError:
        return False


EVERY_GROUP = GroupChoice()


def identify(frame: pd.DataFrame, results: str, choice: GroupChoice = EVERY_GROUP) -> list[Group]:
    """As `groups`, without any rows.

    Args:
        frame: The columns of `IDENTITY`, of the rows of all tasks.
        results: Where they came from.
        choice: Which.

    Raises:
        AnalysisError: Nothing is left; the message lists what there is.
    """
    # The same data may have been given under several names; they are one group, under the first of
    # these. They may also have been labelled in several ways with one outcome: the rows nearest to
    # the true labels say which.
    frame = frame.assign(
        data=frame.groupby("data_fingerprint")["data"].transform("min"), _named=frame["data"]
    )
    chosen = [one for one in _identities(frame, results.rstrip("/") or "/") if choice.takes(one)]
    if not chosen:
        there = "\n".join(
            f"  --data {one.data} (fingerprint {one.fingerprint[:SHOWN_DIGITS]}) --parametrisation "
            f"{' '.join([one.parametrisation, *_options(one.scales)])} --dtype {one.dtype}"
            for one in _identities(frame, results)
        )
        raise AnalysisError(f"{results} has no rows for {choice}; there are rows for\n{there}")
    return chosen


def _identities(frame: pd.DataFrame, results: str) -> Iterator[Group]:
    """Every group of a frame, in a fixed order."""
    origins = _origins(frame)
    shown = _shown_digits(frame, origins)
    for identity, rows in frame.groupby(GROUP, sort=True, dropna=False):
        key = _key(identity)
        name, fingerprint, scaling, weight_std, bias_std, precision = key
        first = origins[fingerprint]
        yield Group(
            data=name,
            fingerprint=fingerprint,
            classes=_classes(first["data_classes"]),
            labelling=Labelling.of_row(first),
            normalise=normalisation_of(first[NORMALISE]),
            n_samples=int(first["n_samples"]),
            n_inputs=int(first["n_inputs"]),
            parametrisation=scaling,
            weight_std=weight_std,
            bias_std=bias_std,
            dtype=precision,
            shown=shown[key],
            results=results,
            rows=rows.iloc[:0],
        )


def _origins(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By fingerprint the row that tells where the data come from and how they were labelled."""
    own = frame[frame["data"] == frame["_named"]]
    drawn = ["data_labels", "data_label_noise", "data_label_seed"]
    found: dict[str, list[dict[str, Any]]] = {}
    for row in own.drop_duplicates(["data_fingerprint", *drawn]).to_dict("records"):
        found.setdefault(row["data_fingerprint"], []).append({str(k): v for k, v in row.items()})
    return {
        fingerprint: min(rows, key=lambda row: Labelling.of_row(row).distance)
        for fingerprint, rows in found.items()
    }


def _classes(value: object) -> tuple[int, ...] | None:
    """The labels of a row.

    A missing list reads as None or NaN, depending on what else the column holds.
    """
    return (
        tuple(int(label) for label in value)
        if isinstance(value, np.ndarray | list | tuple)
        else None
    )


_Key = tuple[str, str, str, float, float | None, str]
"""The values of `GROUP`, None for NaN."""


def _key(values: Sequence[Any]) -> _Key:
    name, fingerprint, scaling, weight_std, bias_std, precision = values
    return (
        str(name),
        str(fingerprint),
        str(scaling),
        float(weight_std),
        None if pd.isna(bias_std) else float(bias_std),
        str(precision),
    )


def _options(settings: Sequence[str]) -> list[str]:
    """Settings as options of a command of the analysis."""
    named = (setting.split("=") for setting in settings)
    return [f"--{name.replace('_', '-')} {value}" for name, value in named]


def _shown_digits(frame: pd.DataFrame, origins: dict[str, dict[str, Any]]) -> dict[_Key, str]:
    """The digits of the fingerprint in each group's name."""
    known = frame[GROUP].drop_duplicates().sort_values(GROUP)
    keys = [_key(identity) for identity in known.itertuples(index=False, name=None)]
    slugs = {
        one: preparation_slug(normalisation_of(row[NORMALISE]), Labelling.of_row(row))
        for one, row in origins.items()
    }
    prints: dict[tuple[str, str], set[str]] = {}
    for name, fingerprint, *_ in keys:
        prints.setdefault((name, slugs[fingerprint]), set()).add(fingerprint)
    return {
        key: key[1][:SHOWN_DIGITS] if len(prints[key[0], slugs[key[1]]]) > 1 else "" for key in keys
    }
