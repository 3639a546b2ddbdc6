"""Labelled inputs (x, y) and their fingerprint.

Nothing falls back silently: the data asked for is found, or an error says why not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ntk_sweep.data.labelling import USUAL, Labelling
from ntk_sweep.data.sources import SOURCES, Source
from ntk_sweep.errors import DataError

SHOWN_DIGITS = 12
"""Of a fingerprint in a message."""


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
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    classes: tuple[int, ...] | None
    fingerprint: str
    labelling: Labelling = USUAL


def load_dataset(
    name: str,
    classes: Sequence[int] | None = None,
    n_per_class: int | None = None,
    place: str | None = None,
    labelling: Labelling = USUAL,
    *,
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
        download: Whether the source may download them.

    Raises:
        DataError: The data cannot be found or read, is not finite, or has too few inputs of a
            class; or the labelling needs classes.
    """
    source = SOURCES[name]
    if not download and source.downloads(place):
        raise DataError(
            f"data={name} is not on this machine yet: a sweep downloads it first, a dry run "
            f"downloads nothing, and so does not know which points are there. Compute one network, "
            f"or say where the data lie with data.{source.place}=…"
        )
    return assemble(source, *source.load(place), classes, n_per_class, labelling)


def find_again(
    name: str,
    fingerprint: str,
    classes: Sequence[int] | None,
    n_samples: int,
    place: str | None = None,
    labelling: Labelling = USUAL,
) -> Dataset:
    """The data set that rows were computed on, found offline and without torch.

    Args:
        name: The source that the rows name.
        fingerprint: Which the data must have.
        classes: The labels of the two classes, or None.
        n_samples: N.
        place: Where the source's files lie; None looks in its usual place.
        labelling: How labels became targets.

    Raises:
        DataError: It is not there, or is not the one; the message says which.
    """
    source, reason = _known_source(name), ""
    inputs, labels = source.find(place)
    # the rows do not say whether a number was asked for, or all that there are
    for size in (n_samples // len(classes), None) if classes else (None,):
        try:
            data = assemble(source, inputs, labels, classes, size, labelling)
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
) -> Dataset:
    """The data set that is taken from all inputs and labels of a source.

    Raises:
        DataError: A class has too few inputs, a value is not finite, or the labelling needs
            classes.
    """
    if fault := labelling.fault(classes is not None):
        raise DataError(fault)
    if classes is None:
        x, y = inputs, labelling.permuted(labels.astype(np.float64))
    else:
        rows = [_rows(source.name, labels, label, n_per_class) for label in classes]
        x = inputs[np.concatenate(rows)]
        y = labelling.targets_of(np.repeat([0, 1], [len(own) for own in rows]))
    x = np.ascontiguousarray(x.reshape(len(x), -1), dtype=np.float64)
    if source.scale != 1:
        x = x / source.scale
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError(
            f"data={source.name} holds values that are not finite (NaN or infinity): remove them "
            "from x and y"
        )
    kept = None if classes is None else tuple(classes)
    return Dataset(source.name, x, y, kept, _fingerprint(x, y), labelling)


def _rows(name: str, labels: np.ndarray, label: int, n_per_class: int | None) -> np.ndarray:
    """The places of the first `n_per_class` inputs of a class, in the order of the file."""
    rows = np.flatnonzero(labels == label)
    if len(rows) < (n_per_class or 1):
        known = ", ".join(f"{value:g}" for value in np.unique(labels)[:20])
        raise DataError(
            f"data={name} has {len(rows)} inputs of class {label}, but data.n_per_class asks for "
            f"{n_per_class or 'at least one'}: lower it, or choose other data.classes (there are: "
            f"{known})"
        )
    return rows[:n_per_class]


def _fingerprint(x: np.ndarray, y: np.ndarray) -> str:
    digest = hashlib.sha256(repr((x.shape, y.shape)).encode())
    for array in (x, y):
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()
