"""Groups of rows that may be averaged, read from a store.

A group holds the rows of one data set, parametrisation, scale and dtype, one row a network.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows.activations import by_activation
from ntk_sweep.analysis.rows.columns import RUN, SPECTRUM
from ntk_sweep.analysis.rows.coordinates import span, text, values
from ntk_sweep.data.labelling import COLUMNS as LABELLING
from ntk_sweep.data.labelling import Labelling
from ntk_sweep.data.normalisation import COLUMN as NORMALISE
from ntk_sweep.data.normalisation import NONE, normalisation_of, normalisation_words
from ntk_sweep.network.architecture import scale_words
from ntk_sweep.settings.overrides import override
from ntk_sweep.store.columns import CELL, GROUP, agreeing
from ntk_sweep.store.filesystems import join_location, split_location
from ntk_sweep.store.reading import load_results

SHOWN_DIGITS = 12
"""Of a fingerprint's 64 hexadecimal digits.

Enough that no two data sets of one store begin alike.
"""


@dataclass(frozen=True)
class Group:
    """Rows that may be compared: of one data set, one parametrisation, scale and dtype.

    Attributes:
        data: The data set's name.
        fingerprint: The hash of its x and y.
        classes: The two labels kept, or None where all inputs were taken.
        labelling: How labels became targets.
        normalise: What was done with the inputs.
        n_samples: How many inputs, N.
        n_inputs: The size of an input, n_0.
        parametrisation: How the weights are scaled.
        weight_std: The scale of the weights, σ_w.
        bias_std: The scale of the biases, σ_b; None without biases.
        dtype: In which the kernel was computed.
        shown: The digits of the fingerprint in names, where a data set's name stands for several;
            else empty.
        results: The results folder or URI that the rows came from.
        rows: One row a network; the columns of `ntk_sweep.store.columns`.
        across: The coordinates of `ntk_sweep.analysis.rows.coordinates.ACROSS` in which rows
            differ, of groups that were put together; those above are then of the first.
    """

    data: str
    fingerprint: str
    classes: tuple[int, ...] | None
    labelling: Labelling
    normalise: str
    n_samples: int
    n_inputs: int
    parametrisation: str
    weight_std: float
    bias_std: float | None
    dtype: str
    shown: str
    results: str
    rows: pd.DataFrame
    across: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What files and anchors are named after, unlike every other group of the store.

        Groups that were put together are named like the first, without what differs.
        """
        slug = _slug(self.normalise, self.labelling)
        data = [part for part in (self.data, slug, self.shown) if part]
        unusual = [word.replace("=", "") for word in self._fixed_scales]
        unusual += [self.dtype] if self.dtype != "float64" else []
        return "-".join([*data, self.parametrisation, *unusual])

    @property
    def title(self) -> str:
        """The group in words, for headings."""
        classes = f", classes {' and '.join(map(str, self.classes))}" if self.classes else ""
        prepared = [normalisation_words(self.normalise), self.labelling.title]
        labelled = "".join(f", {words}" for words in prepared if words)
        # Where one name stands for several data sets, the file names tell them apart by their
        # fingerprints, and so does the title.
        one = self.shown and "n_samples" not in self.across
        which = f" ({self.shown})" if one else ""
        size = span(self.values("n_samples"))
        return (
            f"{self.data}{which}{classes}{labelled}, N = {size}, parametrisation {self.scaling}, "
            f"{self.dtype}"
        )

    def values(self, name: str) -> list[float | int]:
        """The values of a coordinate of `ACROSS` in the group, ascending."""
        if name in self.across and len(self.rows):
            return values(self.rows[name])
        own = getattr(self, name)
        return [math.nan if own is None else own]

    @property
    def coordinates(self) -> list[str]:
        """What tells the cells of the group apart."""
        return [*CELL, *self.across]

    @property
    def scales(self) -> list[str]:
        """The scales of weights and biases as settings, those that are 1 left out."""
        listed = [
            f"{name}={','.join(text(value) for value in self.values(name))}"
            for name in self.across
            if name != "n_samples"
        ]
        return [*self._fixed_scales, *listed]

    @property
    def _fixed_scales(self) -> list[str]:
        """Those of `scales` that all rows have."""
        weight = 1.0 if "weight_std" in self.across else self.weight_std
        bias = 1.0 if "bias_std" in self.across else self.bias_std
        return scale_words(weight, bias)

    @property
    def scaling(self) -> str:
        """The parametrisation, and the scales where they are not 1."""
        spans = [f"{name} {span(self.values(name))}" for name in self.across if name != "n_samples"]
        return ", ".join([self.parametrisation, *self._fixed_scales, *spans])

    @property
    def ok(self) -> pd.DataFrame:
        """The rows that hold a result; failed and diverged ones never enter a table or a figure."""
        return self.rows[self.rows["status"] == "ok"]

    def of(self, rows: pd.DataFrame) -> Group:
        """The group with its own of some rows, one row a network."""
        alike = {
            "data_fingerprint": self.fingerprint,
            "parametrisation": self.parametrisation,
            "weight_std": self.weight_std,
            "bias_std": self.bias_std,
            "dtype": self.dtype,
        }
        return replace(self, rows=one_row_a_network(rows[agreeing(rows, alike)]))

    def command(self, *words: str, sweeps: Collection[str] = ()) -> str:
        """A command line of `ntk-sweep run` that adds rows to this very group.

        Of groups that were put together: to each of them, or to those whose coordinates the words
        name.

        Args:
            words: What to compute.
            sweeps: The coordinates of `ACROSS` that an experiment among the words sets.
        """
        settings = [*words]
        named = {word.partition("=")[0] for word in words} | set(sweeps)
        if self.data != "fashion_mnist":
            settings.append(f"data={self.data}")
        if self.data == "npz":
            settings.append("data.path=FILE.npz")
        if self.classes and self.classes != (0, 9):
            settings.append(f"data.classes=[{','.join(map(str, self.classes))}]")
        sizes = self.values("n_samples")
        if self.classes and sizes != [200] and not any(size % 2 for size in sizes):
            halves = ",".join(str(int(size) // 2) for size in sizes)
            settings.append(f"data.n_per_class={halves}")
        settings += self.labelling.overrides
        if self.normalise != NONE:
            settings.append(f"data.normalise={self.normalise}")
        if self.parametrisation != "thesis":
            settings.append(f"parametrisation={self.parametrisation}")
        settings += [word for word in self.scales if word.partition("=")[0] not in named]
        if self.dtype != "float64":
            settings.append(f"dtype={self.dtype}")
        if self.results != "results":
            settings.append(override("results", self.results))
        return shlex.join(["ntk-sweep", "run", *settings])


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


IDENTITY = [*GROUP, "data_classes", *LABELLING, NORMALISE, "n_samples", "n_inputs"]
"""The columns that tell what a group is."""


def together(groups: Sequence[Group], across: Sequence[str]) -> Group:
    """Groups that differ in some coordinates only, as one.

    Args:
        groups: At least one.
        across: The coordinates of `ACROSS`.

    Raises:
        AnalysisError: Two of them agree in all of these: their rows would be averaged.
    """
    first = groups[0]
    seen: dict[tuple[Any, ...], Group] = {}
    for one in groups:
        at = tuple(getattr(one, name) for name in across)
        if at in seen:
            raise AnalysisError(
                f"two data sets called {one.data} have N = {one.n_samples} (fingerprints "
                f"{seen[at].fingerprint[:SHOWN_DIGITS]} and {one.fingerprint[:SHOWN_DIGITS]}), and "
                "a map over n_samples has one cell for them: keep them in results folders of their "
                "own"
            )
        seen[at] = one
    rows = [one.rows for one in groups if len(one.rows)]
    merged = first.rows
    if rows:
        every = pd.concat(rows)
        merged = by_activation(every, [name for name in (*RUN[1:], *across) if name in every])
    return replace(first, rows=merged, across=tuple(across))


def one_row_a_network(rows: pd.DataFrame) -> pd.DataFrame:
    """The latest good row of each (activation, width, depth, seed).

    No seed counts twice in a mean: two keys can stand for one network where it was computed by two
    versions of the numerics. Of training runs one row stays for each way in which a network was
    trained, before others one that knows test inputs.
    """
    ranked = rows.assign(
        _good=rows["status"] != "failed", _tested=rows["n_test_samples"].notna()
    ).sort_values(["_good", "_tested", "finished_at", "key"], kind="stable")
    apart = [name for name in RUN if name in ranked]
    latest = ranked.drop_duplicates(apart, keep="last").drop(columns=["_good", "_tested"])
    return by_activation(latest, apart[1:])


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


def _slug(normalise: str, labelling: Labelling) -> str:
    """How data were prepared, for names of files."""
    return "-".join(filter(None, ["" if normalise == NONE else normalise, labelling.slug]))


def _shown_digits(frame: pd.DataFrame, origins: dict[str, dict[str, Any]]) -> dict[_Key, str]:
    """The digits of the fingerprint in each group's name."""
    known = frame[GROUP].drop_duplicates().sort_values(GROUP)
    keys = [_key(identity) for identity in known.itertuples(index=False, name=None)]
    slugs = {
        one: _slug(normalisation_of(row[NORMALISE]), Labelling.of_row(row))
        for one, row in origins.items()
    }
    prints: dict[tuple[str, str], set[str]] = {}
    for name, fingerprint, *_ in keys:
        prints.setdefault((name, slugs[fingerprint]), set()).add(fingerprint)
    return {
        key: key[1][:SHOWN_DIGITS] if len(prints[key[0], slugs[key[1]]]) > 1 else "" for key in keys
    }
