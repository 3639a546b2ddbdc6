"""Groups of rows that may be averaged, and their names.

A group holds the rows of one data set, parametrisation, scale and dtype, one row a network.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows.activations import by_activation
from ntk_sweep.analysis.rows.coordinates import span, text, values
from ntk_sweep.data.dataset import SHOWN_DIGITS
from ntk_sweep.data.labelling import Labelling
from ntk_sweep.data.normalisation import NONE, normalisation_words
from ntk_sweep.network.architecture import scale_words
from ntk_sweep.settings.overrides import override
from ntk_sweep.settings.schema import SweepConfig
from ntk_sweep.store.columns import CELL, RUN, agreeing


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
        slug = preparation_slug(self.normalise, self.labelling)
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

    @cached_property
    def ok(self) -> pd.DataFrame:
        """The rows that hold a result; failed and diverged ones never enter a table or a figure."""
        good = self.rows["status"] == "ok"
        return self.rows if good.all() else self.rows[good]

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
        settings, default = [*words], SweepConfig()
        named = {word.partition("=")[0] for word in words} | set(sweeps)
        if self.data != default.data.name:
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
        if self.parametrisation != default.parametrisation:
            settings.append(f"parametrisation={self.parametrisation}")
        settings += [word for word in self.scales if word.partition("=")[0] not in named]
        if self.dtype != default.dtype:
            settings.append(f"dtype={self.dtype}")
        if self.results != default.results:
            settings.append(override("results", self.results))
        return shlex.join(["ntk-sweep", "run", *settings])


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


def preparation_slug(normalise: str, labelling: Labelling) -> str:
    """How data were prepared, for names of files."""
    return "-".join(filter(None, ["" if normalise == NONE else normalise, labelling.slug]))
