"""Labelled inputs (x, y) and their fingerprint. Nothing falls back silently: the data asked for is
found, or an error says why not."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ntk_sweep.errors import DataError
from ntk_sweep.settings.schema import DataConfig

if TYPE_CHECKING:
    from torchvision.datasets import FashionMNIST

DATA_VARIABLE = "NTK_SWEEP_DATA"

_IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""All four must be there, though only the training part is used."""

_DECLARED: list[object] = []
"""Operator declarations, which last as long as the objects that made them."""


@dataclass(frozen=True)
class Dataset:
    """N labelled inputs.

    Attributes:
        name: Where they come from.
        x: (N, n_inputs), float64, finite.
        y: Targets, (N,), float64, finite.
        classes: The labels behind the targets 0 and 1, or None where `y` was given as it is.
        fingerprint: SHA-256 over the bytes of x and y; equal data have equal fingerprints, whatever
            their name or path.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    classes: tuple[int, ...] | None
    fingerprint: str


def load_dataset(config: DataConfig) -> Dataset:
    """Loads what `config` describes; Fashion-MNIST may be downloaded, once, into the user's cache
    folder.

    Raises:
        DataError: The data cannot be found or read, is not finite, or has too few inputs of a
            class.
    """
    images, labels = {"fashion_mnist": _fashion_mnist, "digits": _digits, "npz": _npz}[config.name](
        config
    )
    return assemble(config, images, labels)


def assemble(config: DataConfig, images: np.ndarray, labels: np.ndarray) -> Dataset:
    """The data set that `config` takes from all inputs and labels of a file.

    Raises:
        DataError: A class has too few inputs, or a value is not finite.
    """
    if config.classes is None:
        x, y, classes = images, labels.astype(np.float64), None
    else:
        x, y = _select(config.name, images, labels, config.classes, config.n_per_class)
        classes = tuple(config.classes)
    x = np.ascontiguousarray(x.reshape(len(x), -1))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError(
            f"data={config.name} holds values that are not finite (NaN or infinity): remove them "
            "from x and y"
        )
    return Dataset(config.name, x, y, classes, _fingerprint(x, y))


def _select(
    name: str, images: np.ndarray, labels: np.ndarray, classes: list[int], n_per_class: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """The first `n_per_class` inputs of the first class (target 0), then of the second (target 1),
    in the order of the file."""
    chosen = []
    for label in classes:
        rows = np.flatnonzero(labels == label)
        if len(rows) < (n_per_class or 1):
            known = ", ".join(f"{value:g}" for value in np.unique(labels)[:20])
            raise DataError(
                f"data={name} has {len(rows)} inputs of class {label}, but data.n_per_class asks "
                f"for {n_per_class or 'at least one'}: lower it, or choose other data.classes "
                f"(there are: {known})"
            )
        chosen.append(rows[:n_per_class])
    targets = np.repeat([0.0, 1.0], [len(rows) for rows in chosen])
    return images[np.concatenate(chosen)], targets


def _fingerprint(x: np.ndarray, y: np.ndarray) -> str:
    digest = hashlib.sha256(repr((x.shape, y.shape)).encode())
    for array in (x, y):
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()


def _digits(config: DataConfig) -> tuple[np.ndarray, np.ndarray]:
    """1797 handwritten digits, 8 × 8 pixels / 16, which ship inside scikit-learn (Alpaydin and
    Kaynak 1998, test part)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.data / 16.0, digits.target


def _npz(config: DataConfig) -> tuple[np.ndarray, np.ndarray]:
    """The arrays x (N, ...) and y (N,) of an npz file, with their values as they are."""
    path = Path(config.path or "").expanduser()
    try:
        with np.load(path, allow_pickle=False) as file:
            names = file.files
            # What is no array comes as bytes, and is refused for its dtype below.
            arrays = {name: np.asarray(file[name]) for name in ("x", "y") if name in names}
    except Exception as error:  # a damaged file makes NumPy, zipfile, zlib and struct fail, each with errors of its own
        raise DataError(
            f"data.path={path} cannot be read as an npz file ({type(error).__name__}: {error})"
        ) from error
    missing = [name for name in ("x", "y") if name not in arrays]
    if missing:
        raise DataError(
            f"{path} has no array {' and '.join(missing)}: it must hold x (N, ...) and y (N,), but "
            f"holds {names}"
        )
    x, y = arrays["x"], arrays["y"]
    for name, array in (("x", x), ("y", y)):
        if array.dtype.kind not in "buif":
            raise DataError(f"{path}: {name} is of dtype {array.dtype}, but must hold real numbers")
    if x.ndim < 2 or y.ndim != 1 or len(x) != len(y) or x.size == 0:
        raise DataError(
            f"{path}: x is {x.shape} and y is {y.shape}, but must be (N, ...) and (N,) with the "
            "same N ≥ 1"
        )
    return x.astype(np.float64), y


def _fashion_mnist(config: DataConfig) -> tuple[np.ndarray, np.ndarray]:
    """The training part of Fashion-MNIST (Xiao, Rasul, Vollgraf 2017), pixels / 255.

    Looked for in `config.root` if given, else in ``$NTK_SWEEP_DATA``, else in the user's cache
    folder, where it is downloaded once.
    """
    for source, root in (
        ("data.root", config.root),
        (f"${DATA_VARIABLE}", os.environ.get(DATA_VARIABLE)),
    ):
        if root:
            files = _open_fashion_mnist(Path(root).expanduser(), f"{source}={root}")
            break
    else:
        files = _open_fashion_mnist(_cached_fashion_mnist(), "the cache")
    images, labels = files.data.numpy(), files.targets.numpy()
    if len(images) != len(labels):
        raise DataError(
            f"Fashion-MNIST in {files.root} has {len(images)} images, but {len(labels)} labels: "
            "its files do not belong together"
        )
    return images.astype(np.float64) / 255.0, labels


def _open_fashion_mnist(root: Path, source: str) -> FashionMNIST:
    folder = root / "FashionMNIST" / "raw"
    if not folder.is_dir():
        raise DataError(
            f"Fashion-MNIST is not in {source}: there is no folder {folder}. "
            f"Mend {source.split('=')[0]}, or use data=digits, which needs no download"
        )
    FashionMNIST = _torchvision_fashion_mnist()
    try:
        return FashionMNIST(str(root), train=True, download=False)
    except Exception as error:
        raise DataError(
            f"Fashion-MNIST is not readable in {source}: torchvision expects the IDX files "
            f"{', '.join(_IDX_FILES)} in {folder} ({type(error).__name__}: {error}). Mend "
            "data.root, or use data=digits, which needs no download"
        ) from error


def _cached_fashion_mnist() -> Path:
    """The cache folder with Fashion-MNIST in it, downloading it if need be; torchvision checks the
    checksums."""
    from platformdirs import user_cache_path

    cache = user_cache_path("ntk-sweep")
    if (cache / "FashionMNIST").is_dir():
        return cache
    FashionMNIST = _torchvision_fashion_mnist()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # Downloaded beside its place and then renamed: a broken download, or a second one at the
        # same time, leaves nothing half done.
        with tempfile.TemporaryDirectory(dir=cache) as fresh:
            FashionMNIST(fresh, train=True, download=True)
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


def _torchvision_fashion_mnist() -> type[FashionMNIST]:
    """Torchvision's class, also where torchvision and torch are of different builds.

    The wheels of torchvision are CUDA builds. Beside a CPU build of torch their compiled operators
    cannot be loaded, and the import fails when it registers the fake kernel of
    ``torchvision::nms``. Declaring the two operators first satisfies it; nothing here calls them.
    """
    import torch

    try:
        from torchvision.datasets import FashionMNIST
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        operators = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _DECLARED.append(operators)
        for module in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[module]
        from torchvision.datasets import FashionMNIST
    return FashionMNIST
