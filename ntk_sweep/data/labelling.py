"""From labels to targets: true, random or partly wrong labels, and the two classes' values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

TRUE, RANDOM = "true", "random"

LABELS = (TRUE, RANDOM)
"""Which labels inputs are trained with: their own, or a random permutation of these."""

DEFAULT_TARGETS = (0.0, 1.0)

_PERMUTATION, _NOISE = (1,), (2,)
"""Spawn keys. Weights are drawn under keys of three numbers (`ntk_sweep.network.initialisation`),
orders of samples under (0,) (`ntk_sweep.training.sgd`)."""

COLUMNS = ("data_labels", "data_label_noise", "data_label_seed", "data_targets")
"""Of the rows; null stands for the defaults, which all rows of earlier versions have."""


@dataclass(frozen=True)
class Labelling:
    """How the labels of a data set become its targets.

    Attributes:
        labels: "true" or "random". Random labels are a permutation of the true ones, so that
            classes stay as large as they were (Zhang et al. 2017, section 2).
        noise: The share p of the inputs that are given the other class: round(pN) of them, drawn
            without replacement. A greater share of one seed gives the same inputs and more.
        seed: Of what is drawn: the labels are those in the order
            ``Generator(SFC64(SeedSequence(seed, spawn_key=(1,)))).permutation(N)``; the wrong ones
            are the first of the same with the spawn key (2,). No other stream is one of these.
        targets: The values of the two classes. Without classes the labels are the targets.

    Example:
        >>> Labelling("random", seed=3).targets_of(np.array([0, 0, 0, 1, 1, 1])).tolist()
        [1.0, 0.0, 0.0, 1.0, 0.0, 1.0]
    """

    labels: str = TRUE
    noise: float = 0.0
    seed: int = 0
    targets: tuple[float, float] = DEFAULT_TARGETS

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Labelling:
        """The labelling that the columns of a row tell of."""
        labels, noise, seed, targets = (row[name] for name in COLUMNS)
        return cls(
            labels if isinstance(labels, str) else TRUE,
            float(noise) if _is_given(noise) else 0.0,
            int(seed) if _is_given(seed) else 0,
            DEFAULT_TARGETS if np.ndim(targets) == 0 else (float(targets[0]), float(targets[1])),
        )

    def columns(self, has_classes: bool) -> dict[str, Any]:
        """What rows hold of it; the seed only where something is drawn."""
        drawn = self.labels == RANDOM or self.noise > 0
        values = (
            self.labels,
            self.noise,
            self.seed if drawn else None,
            list(self.targets) if has_classes else None,
        )
        return dict(zip(COLUMNS, values, strict=True))

    def fault(self, has_classes: bool) -> str | None:
        """What cannot be done, with or without two classes; None if all can."""
        if self.labels == RANDOM and self.noise:
            return (
                f"data.label_noise={_plain(self.noise)} makes true labels wrong, but data.labels="
                "random leaves none true: choose one of the two"
            )
        if self.noise and not has_classes:
            return (
                f"data.label_noise={_plain(self.noise)} gives inputs the label of the other class: "
                "it needs data.classes=[a,b]; without classes data.labels=random permutes y"
            )
        if self.targets != DEFAULT_TARGETS and not has_classes:
            return (
                f"data.targets={_listed(self.targets)} are the values of two classes: they need "
                "data.classes=[a,b]; without classes y holds the targets"
            )
        return None

    def permuted(self, labels: np.ndarray) -> np.ndarray:
        """Labels or targets, (N,), permuted if they are to be random."""
        return labels[self._order(_PERMUTATION, len(labels))] if self.labels == RANDOM else labels

    def targets_of(self, labels: np.ndarray) -> np.ndarray:
        """The targets, (N,), float64, of inputs of the classes 0 and 1."""
        labels = self.permuted(labels)
        wrong = self._order(_NOISE, len(labels))[: round(self.noise * len(labels))]
        is_second = labels == 1
        is_second[wrong] ^= True
        # -0.0 would be another target than 0.0 in a fingerprint
        first, second = (float(target) + 0.0 for target in self.targets)
        return np.where(is_second, second, first)

    def _order(self, spawn_key: tuple[int, ...], n_samples: int) -> np.ndarray:
        stream = np.random.SeedSequence(self.seed, spawn_key=spawn_key)
        return np.random.Generator(np.random.SFC64(stream)).permutation(n_samples)

    @property
    def midpoint(self) -> float:
        """Halfway between the two targets: outputs beyond it are taken for the class there."""
        return self.targets[0] / 2 + self.targets[1] / 2

    @property
    def distance(self) -> tuple[bool, float, int]:
        """Orders labellings, those nearest to the true labels first."""
        return self.labels == RANDOM, self.noise, self.seed

    @property
    def title(self) -> str:
        """It in words; empty where labels and targets are as usual."""
        seed = f" of label seed {self.seed}" if self.seed else ""
        words = [f"random labels{seed}"] if self.labels == RANDOM else []
        if self.noise:
            words.append(f"{_plain(100 * self.noise)} % wrong labels{seed}")
        if self.targets != DEFAULT_TARGETS:
            words.append(f"targets {' and '.join(map(_plain, self.targets))}")
        return ", ".join(words)

    @property
    def slug(self) -> str:
        """The same for names of files."""
        seed = f"-{self.seed}" if self.seed else ""
        words = [f"random_labels{seed}"] if self.labels == RANDOM else []
        if self.noise:
            words.append(f"noise_{_plain(self.noise)}{seed}")
        if self.targets != DEFAULT_TARGETS:
            words.append(f"targets_{'_'.join(map(_plain, self.targets))}")
        return "-".join(words)

    @property
    def overrides(self) -> list[str]:
        """The settings of ``ntk-sweep run`` that ask for it."""
        settings = [f"data.labels={self.labels}"] if self.labels == RANDOM else []
        if self.noise:
            settings.append(f"data.label_noise={_plain(self.noise)}")
        if self.seed:
            settings.append(f"data.label_seed={self.seed}")
        if self.targets != DEFAULT_TARGETS:
            settings.append(f"data.targets={_listed(self.targets)}")
        return settings


USUAL = Labelling()
"""True labels, targets 0 and 1."""


def _is_given(value: Any) -> bool:
    """Whether a number is there; a missing one reads as None or NaN."""
    return value is not None and not math.isnan(value)


def _listed(values: tuple[float, float]) -> str:
    return f"[{','.join(map(_plain, values))}]"


def _plain(value: float) -> str:
    """A number as short as it can be without being another."""
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))
