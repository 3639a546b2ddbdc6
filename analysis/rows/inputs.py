"""The inputs behind the rows, found again and told by their fingerprint."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np

from analysis.errors import AnalysisError
from analysis.rows.group import SHOWN_DIGITS, Group
from ntk_sweep.config import DataConfig
from ntk_sweep.datasets import DATA_VARIABLE, Dataset, assemble, load_dataset
from ntk_sweep.errors import DataError

_IDX_HEADER = {"train-images-idx3-ubyte": 16, "train-labels-idx1-ubyte": 8}


def find(group: Group, source: str | None = None) -> Dataset:
    """The data set that a group's rows were computed on; nothing is downloaded.

    Args:
        group: Whose `fingerprint` the data must have.
        source: The folder that holds ``FashionMNIST/raw``, or an npz file; None looks where a sweep
            would.

    Raises:
        AnalysisError: It is not there, or is not the one; the message says which.
    """
    if group.data not in SOURCES:
        known = ", ".join(SOURCES)
        raise AnalysisError(
            f"{group.data} is not a data set that can be read here: there are {known}"
        )
    classes = list(group.classes) if group.classes else None
    sizes = {group.n_samples // len(classes), None} if classes else {None}
    reason = ""
    for size in sorted(sizes, key=str):
        try:
            data = load(DataConfig(group.data, classes=classes, n_per_class=size), source)
        except DataError as error:
            reason = reason or str(error)
            continue
        if data.fingerprint == group.fingerprint:
            return data
        reason = (
            f"the {group.data} found here has the fingerprint {data.fingerprint[:SHOWN_DIGITS]}…, "
            f"the rows have {group.fingerprint[:SHOWN_DIGITS]}…: they were computed on other "
            "inputs, or on other files of that name"
        )
    raise AnalysisError(reason)


def load(config: DataConfig, source: str | None) -> Dataset:
    """The data set of a name in `SOURCES`; nothing is downloaded.

    Raises:
        DataError: It cannot be read.
    """
    return SOURCES[config.name](config, source)


def _digits(config: DataConfig, source: str | None) -> Dataset:
    return load_dataset(config)


def _npz(config: DataConfig, source: str | None) -> Dataset:
    if not source:
        raise DataError("where the npz file lies is not in the rows")
    return load_dataset(
        DataConfig("npz", path=source, classes=config.classes, n_per_class=config.n_per_class)
    )


def _fashion_mnist(config: DataConfig, source: str | None) -> Dataset:
    return assemble(config, *_training_images(source, config.classes or []))


SOURCES = {"fashion_mnist": _fashion_mnist, "digits": _digits, "npz": _npz}
"""How each data set is read, by its name in the rows."""


def _training_images(source: str | None, classes: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The training images of some classes of Fashion-MNIST, from its IDX files.

    The page needs neither torchvision nor a download.
    """
    from platformdirs import user_cache_path

    root = Path(
        source or os.environ.get(DATA_VARIABLE) or user_cache_path("ntk-sweep")
    ).expanduser()
    folder = root / "FashionMNIST" / "raw"
    images, labels = (
        np.frombuffer(_idx(folder / name)[header:], dtype=np.uint8)
        for name, header in _IDX_HEADER.items()
    )
    if not len(labels) or len(images) % len(labels):
        raise DataError(
            f"the files of {folder} do not belong together: {len(images)} pixels, {len(labels)} "
            "labels"
        )
    kept = np.isin(labels, classes)
    return images.reshape(len(labels), -1)[kept] / 255.0, labels[kept]


def _idx(path: Path) -> bytes:
    try:
        packed = path.with_name(path.name + ".gz")
        return (
            path.read_bytes()
            if path.is_file() or not packed.is_file()
            else gzip.decompress(packed.read_bytes())
        )
    except OSError as error:
        raise DataError(f"{path} is not there ({error.strerror or error})") from error
