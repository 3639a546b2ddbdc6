"""The training part of Fashion-MNIST (Xiao, Rasul, Vollgraf 2017): 60 000 images of 28 × 28 pixels.

Its files lie in a folder given, else in ``$NTK_SWEEP_DATA``, else in the user's cache folder, where
they are downloaded once. Each may be packed (``.gz``), as it is on its server.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from ntk_sweep.data.idx import PACKED, read_idx
from ntk_sweep.data.torchvision_import import torchvision_fashion_mnist
from ntk_sweep.errors import DataError

WHITE = 255.0
"""The greatest value of a pixel."""

DATA_VARIABLE = "NTK_SWEEP_DATA"

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"

FILES = (IMAGES, LABELS, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
"""All four must be there, though only the training part is used: a folder without them is no
complete copy."""


def load(root: str | None) -> tuple[np.ndarray, np.ndarray]:
    """The images, (N, 28, 28), and their labels, for a sweep; downloads them if need be.

    Raises:
        DataError: They cannot be found, read or downloaded.
    """
    for source, given in (
        ("data.root", root),
        (f"${DATA_VARIABLE}", os.environ.get(DATA_VARIABLE)),
    ):
        if given:
            return _load_from(Path(given).expanduser(), f"{source}={given}")
    return _load_from(_downloaded(), "the cache")


def downloads(root: str | None) -> bool:
    """Whether `load` would download the files."""
    given = root or os.environ.get(DATA_VARIABLE)
    return not given and not (_cache() / "FashionMNIST").is_dir()


def find(root: str | None) -> tuple[np.ndarray, np.ndarray]:
    """The same for a report: never a download, and the training part will do.

    Raises:
        DataError: They cannot be found or read.
    """
    place = root or os.environ.get(DATA_VARIABLE)
    folder = _raw(Path(place).expanduser() if place else _cache())
    try:
        images, labels = read_idx(folder / IMAGES, 3), read_idx(folder / LABELS, 1)
    except FileNotFoundError as error:
        raise DataError(f"{error.filename} is not there ({error.strerror})") from error
    except (OSError, ValueError) as error:
        raise DataError(f"the files of {folder} cannot be read: {error}") from error
    return _belonging_together(images, labels, folder)


def _load_from(root: Path, source: str) -> tuple[np.ndarray, np.ndarray]:
    folder = _raw(root)
    if not folder.is_dir():
        raise DataError(
            f"Fashion-MNIST is not in {source}: there is no folder {folder}. "
            f"Mend {source.split('=')[0]}, or use data=digits, which needs no download"
        )
    try:
        if missing := [name for name in FILES if not _is_there(folder / name)]:
            raise FileNotFoundError(f"{', '.join(missing)} missing")
        images, labels = read_idx(folder / IMAGES, 3), read_idx(folder / LABELS, 1)
    except (OSError, ValueError) as error:
        raise DataError(
            f"Fashion-MNIST is not readable in {source}: the IDX files {', '.join(FILES)}, as they "
            f"are or packed ({PACKED}), must lie in {folder} ({type(error).__name__}: {error}). "
            f"Mend {source.split('=')[0]}, or use data=digits, which needs no download"
        ) from error
    return _belonging_together(images, labels, folder)


def _belonging_together(
    images: np.ndarray, labels: np.ndarray, folder: Path
) -> tuple[np.ndarray, np.ndarray]:
    if len(images) != len(labels):
        raise DataError(
            f"Fashion-MNIST in {folder} has {len(images)} images, but {len(labels)} labels: its "
            "files do not belong together"
        )
    return images, labels


def _is_there(path: Path) -> bool:
    return path.is_file() or path.with_name(path.name + PACKED).is_file()


def _raw(root: Path) -> Path:
    """Where the files lie: in torchvision's layout, or in the folder itself."""
    return root if _is_there(root / IMAGES) else root / "FashionMNIST" / "raw"


def _cache() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("ntk-sweep")


def _downloaded() -> Path:
    """The cache folder with the files in it; torchvision checks the checksums of a download."""
    cache = _cache()
    if (cache / "FashionMNIST").is_dir():
        return cache
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # Downloaded beside its place and then renamed: a broken download, or a second one at the
        # same time, leaves nothing half done.
        with tempfile.TemporaryDirectory(dir=cache) as fresh:
            torchvision_fashion_mnist()(fresh, train=True, download=True)
            try:
                os.rename(Path(fresh) / "FashionMNIST", cache / "FashionMNIST")
            except OSError:
                if not (cache / "FashionMNIST").is_dir():
                    raise
                shutil.rmtree(Path(fresh) / "FashionMNIST")
    except Exception as error:
        raise DataError(
            f"Fashion-MNIST could not be downloaded to {cache} ({type(error).__name__}: "
            f"{' '.join(str(error).split())}). Give a folder that holds FashionMNIST/raw with "
            f"data.root=… or ${DATA_VARIABLE}, or use data=digits, which needs no download"
        ) from error
    return cache
