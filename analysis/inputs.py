"""The inputs behind the rows: found again, told by their fingerprint, and a few of them drawn."""

from __future__ import annotations

import gzip
import os
from math import isqrt
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import style
from analysis.frame import SHOWN_DIGITS, AnalysisError, Group
from ntk_sweep.data.dataset import DATA_VARIABLE, Dataset, assemble, load_dataset
from ntk_sweep.errors import DataError
from ntk_sweep.settings.schema import DataConfig

SHOWN = 8
"""Inputs of a class that are drawn."""

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
    classes = list(group.classes) if group.classes else None
    sizes = {group.n_samples // len(classes), None} if classes else {None}
    reason = ""
    for size in sorted(sizes, key=str):
        try:
            data = _load(DataConfig(group.data, classes=classes, n_per_class=size), source)
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


def shown(data: Dataset) -> list[tuple[str, np.ndarray]]:
    """The places of the inputs that are drawn: the first of each class under its name; without
    classes the first of all."""
    places = np.arange(len(data.x))
    groups = [
        (f"class {label}", places[data.y == target])
        for target, label in enumerate(data.classes or ())
    ] or [("", places)]
    return [(name, own[:SHOWN]) for name, own in groups]


def figure(data: Dataset) -> Figure:
    """The inputs of `shown`, a row a class, greatest values black."""
    side = isqrt(data.x.shape[1])
    groups = shown(data)
    columns = max(len(places) for _, places in groups)
    with style():
        drawn = Figure(
            figsize=(0.75 * columns + 0.4, 0.78 * len(groups) + 0.1), layout="constrained"
        )
        frames = drawn.subplots(len(groups), columns, squeeze=False)
        for line, (name, places) in zip(frames, groups, strict=True):
            line[0].set_ylabel(name, fontsize=8)
            for frame, values in zip(line, data.x[places], strict=False):
                frame.imshow(
                    values.reshape(side, side),
                    cmap="gray_r",
                    vmin=0,
                    vmax=max(float(data.x.max()), 1e-300),
                )
            for frame in line:
                frame.set(xticks=[], yticks=[])
                frame.spines[:].set_visible(False)
        return drawn


def numbers(data: Dataset) -> pd.DataFrame:
    """The inputs of `shown` for CSV: `input` (its place in the data, from 1), the target `y`, and
    its values."""
    chosen = np.concatenate([places for _, places in shown(data)])
    values = pd.DataFrame(
        data.x[chosen], columns=[f"x_{place}" for place in range(1, data.x.shape[1] + 1)]
    )
    return pd.concat([pd.DataFrame({"input": chosen + 1, "y": data.y[chosen]}), values], axis=1)


def drawable(group: Group) -> bool:
    """Whether an input is a square image."""
    return isqrt(group.n_inputs) ** 2 == group.n_inputs and group.n_inputs > 1


def alt_text(data: Dataset) -> str:
    """The figure in words, for those who cannot see it."""
    side = isqrt(data.x.shape[1])
    which = (
        f" of each of the classes {' and '.join(map(str, data.classes))}" if data.classes else ""
    )
    return (
        f"The first images{which} of the data set {data.name}, {side} × {side} pixels each, dark "
        "where their values are great."
    )


def _load(config: DataConfig, source: str | None) -> Dataset:
    if config.name == "digits":
        return load_dataset(config)
    if config.name == "npz":
        if not source:
            raise DataError("where the npz file lies is not in the rows")
        return load_dataset(
            DataConfig("npz", path=source, classes=config.classes, n_per_class=config.n_per_class)
        )
    return assemble(config, *_fashion_mnist(source, config.classes or []))


def _fashion_mnist(source: str | None, classes: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The training images of some classes from the IDX files themselves: the page needs neither
    torchvision nor a download."""
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
