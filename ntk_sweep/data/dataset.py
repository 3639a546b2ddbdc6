"""Labelled inputs (x, y) and their fingerprint.

Nothing falls back silently: the data asked for is found, or an error says why not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ntk_sweep.data.labelling import TRUE, USUAL, Labelling
from ntk_sweep.data.normalisation import NONE, Normalisation
from ntk_sweep.data.sources import SOURCES, Source
from ntk_sweep.errors import DataError

SHOWN_DIGITS = 12
"""Of a fingerprint's 64, in messages and names: no two data sets of one store begin alike."""


@dataclass(frozen=True)
class HeldOut:
    """M labelled test inputs, which are not trained on.

    Attributes:
        x: (M, n_inputs), float64, finite.
        y: Targets by their true labels, (M,), float64, finite.
        fingerprint: SHA-256 over the bytes of x and y.
    """

    x: np.ndarray
    y: np.ndarray
    fingerprint: str


@dataclass(frozen=True)
class Dataset:
    """N labelled inputs.

    Attributes:
        name: The source they come from.
        x: (N, n_inputs), float64, finite.
        y: Targets, (N,), float64, finite.
        classes: The labels of the two classes; None where labels were taken as the targets.
        fingerprint: SHA-256 over the bytes of x and y. Equal data have equal fingerprints,
            whatever their name or path.
        labelling: How labels became targets.
        normalise: What was done with the inputs.
        test: The test inputs, if any are held out.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    classes: tuple[int, ...] | None
    fingerprint: str
    labelling: Labelling = USUAL
    normalise: str = NONE
    test: HeldOut | None = None

    @property
    def fingerprints(self) -> tuple[str, str | None]:
        """That of the inputs, and that of the test inputs."""
        return self.fingerprint, self.test.fingerprint if self.test else None

    @property
    def n_test(self) -> int:
        """M, the number of test inputs."""
        return len(self.test.x) if self.test else 0


def load_dataset(
    name: str,
    classes: Sequence[int] | None = None,
    n_per_class: int | None = None,
    place: str | None = None,
    labelling: Labelling = USUAL,
    *,
    normalise: str = NONE,
    n_test_per_class: int = 0,
    test_place: str | None = None,
    download: bool = True,
) -> Dataset:
    """Loads a data set; a source may download its files once, into the user's cache folder.

    Args:
        name: A name in `ntk_sweep.data.sources.SOURCES`.
        classes: The two labels to keep, whose inputs follow each other in this order; None keeps
            all rows and takes the labels as the targets.
        n_per_class: How many inputs of each class, from the beginning of the file; None takes all.
        place: Where the source's files lie; None looks in its usual place.
        labelling: How labels become targets.
        normalise: What is done with the inputs (`ntk_sweep.data.normalisation`).
        n_test_per_class: How many further inputs of each class are held out as test inputs: those
            that follow in the file, or the first ones in that of `test_place`, which gives all for
            0.
        test_place: Where the source finds test inputs in files of their own.
        download: Whether the source may download them.

    Raises:
        DataError: The data cannot be found or read, is not finite, or has too few inputs of a
            class; or the labelling needs classes, or inputs cannot be normalised.
    """
    source = SOURCES[name]
    if not download and source.downloads(place):
        raise DataError(
            f"data={name} is not on this machine yet: a sweep downloads it first, a dry run "
            f"downloads nothing, and so does not know which points are there. Compute one network, "
            f"or say where the data lie with data.{source.place}=…"
        )
    inputs, labels = source.load(place)
    test = None
    if test_place:
        test = _Rows(*source.load(test_place), n_test_per_class or None)
    elif n_test_per_class:
        test = _Rows(inputs, labels, n_test_per_class, after=n_per_class or len(inputs))
    return assemble(source, inputs, labels, classes, n_per_class, labelling, normalise, test)


def find_again(
    name: str,
    fingerprint: str,
    classes: Sequence[int] | None,
    n_samples: int,
    place: str | None = None,
    labelling: Labelling = USUAL,
    normalise: str = NONE,
) -> Dataset:
    """The data set that rows were computed on, found offline and without torch.

    Args:
        name: The source that the rows name.
        fingerprint: Which the data must have.
        classes: The labels of the two classes, or None.
        n_samples: N.
        place: Where the source's files lie; None looks in its usual place.
        labelling: How labels became targets.
        normalise: What was done with the inputs.

    Raises:
        DataError: It is not there, or is not the one; the message says which.
    """
    source, reason = _known_source(name), ""
    inputs, labels = source.find(place)
    # the rows do not say whether a number was asked for, or all that there are
    for size in (n_samples // len(classes), None) if classes else (None,):
        try:
            data = assemble(source, inputs, labels, classes, size, labelling, normalise)
        except DataError as error:
            reason = reason or str(error)
            continue
        if data.fingerprint == fingerprint:
            return data
        reason = (
            f"the {name} found here has the fingerprint {data.fingerprint[:SHOWN_DIGITS]}…, the "
            f"rows have {fingerprint[:SHOWN_DIGITS]}…: they were computed on other inputs, or on "
            "other files of that name"
        )
    raise DataError(reason)


def _known_source(name: str) -> Source:
    if name not in SOURCES:
        raise DataError(
            f"data={name} is no source of this version, so its inputs cannot be found again: the "
            f"sources are {', '.join(SOURCES)}"
        )
    return SOURCES[name]


def assemble(
    source: Source,
    inputs: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[int] | None,
    n_per_class: int | None,
    labelling: Labelling = USUAL,
    normalise: str = NONE,
    test: _Rows | None = None,
) -> Dataset:
    """The data set that is taken from all inputs and labels of a source.

    Args:
        source: Where they come from.
        inputs: All of them.
        labels: Of all.
        classes: The two labels to keep; None keeps all.
        n_per_class: How many inputs of each class; None takes all.
        labelling: How labels become targets.
        normalise: What is done with the inputs.
        test: What test inputs are taken from.

    Raises:
        DataError: A class has too few inputs, a value is not finite, the labelling needs classes,
            or inputs cannot be normalised.
    """
    if fault := labelling.fault(classes is not None):
        raise DataError(fault)
    taken, own = _Rows(inputs, labels, n_per_class).of(source, classes)
    y = labelling.permuted(own) if classes is None else labelling.targets_of(own)
    normalisation = Normalisation.of(normalise, taken)
    x, held_out = normalisation(taken), None
    if test is not None:
        taken, own = test.of(source, classes)
        if taken.shape[1] != x.shape[1]:
            raise DataError(
                f"the test inputs of data={source.name} have {taken.shape[1]} features, but those "
                f"trained on have {x.shape[1]}: both must have the same"
            )
        true = replace(labelling, labels=TRUE, noise=0.0)
        targets = own if classes is None else true.targets_of(own)
        others = normalisation(taken)
        held_out = HeldOut(others, targets, _fingerprint(others, targets))
    kept = None if classes is None else tuple(classes)
    return Dataset(source.name, x, y, kept, _fingerprint(x, y), labelling, normalise, held_out)


@dataclass(frozen=True)
class _Rows:
    """Rows of a source: of each class `count` of those after the first ones, None being all.

    Attributes:
        inputs: All inputs.
        labels: Their labels.
        count: How many of each class are taken.
        after: How many of each class are passed over.
    """

    inputs: np.ndarray
    labels: np.ndarray
    count: int | None
    after: int = 0

    def of(self, source: Source, classes: Sequence[int] | None) -> tuple[np.ndarray, np.ndarray]:
        """The inputs, (N, n_inputs), and the labels: 0 and 1 for the classes, or their own."""
        if classes is None:
            x, y = self.inputs, self.labels.astype(np.float64)
        else:
            rows = [self._places(source.name, label) for label in classes]
            x = self.inputs[np.concatenate(rows)]
            y = np.repeat([0.0, 1.0], [len(own) for own in rows])
        return _checked(source, x, y)

    def _places(self, name: str, label: int) -> np.ndarray:
        """Where the inputs of a class lie, in the order of the file."""
        every = np.flatnonzero(self.labels == label)
        rows = every[self.after :]
        if len(rows) < (self.count or 1):
            known = ", ".join(f"{value:g}" for value in np.unique(self.labels)[:20])
            asked = f"data.n_per_class asks for {self.count or 'at least one'}"
            if self.after:
                asked = (
                    f"{min(self.after, len(every))} are trained on and data.n_test_per_class asks "
                    f"for {self.count} more"
                )
            raise DataError(
                f"data={name} has {len(every)} inputs of class {label}, but {asked}: lower it, or "
                f"choose other data.classes (there are: {known})"
            )
        return rows[: self.count]


def _checked(source: Source, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inputs as rows of float64, scaled, and labels, all of them finite."""
    x = np.ascontiguousarray(x.reshape(len(x), -1), dtype=np.float64)
    if source.scale != 1:
        x = x / source.scale
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError(
            f"data={source.name} holds values that are not finite (NaN or infinity): remove them "
            "from x and y"
        )
    return x, y


def _fingerprint(x: np.ndarray, y: np.ndarray) -> str:
    digest = hashlib.sha256(repr((x.shape, y.shape)).encode())
    for array in (x, y):
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()
