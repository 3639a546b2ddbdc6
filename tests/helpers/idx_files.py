"""Files of Fashion-MNIST, as small as a test needs them."""

import numpy as np


def write_idx(path, array):
    """Writes an array of unsigned bytes in the IDX format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, 8, array.ndim]) + b"".join(
        int(size).to_bytes(4, "big") for size in array.shape
    )
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write_fashion_mnist(root, images, labels):
    """Writes a folder in torchvision's layout."""
    for part in ("train", "t10k"):
        write_idx(
            root / "FashionMNIST" / "raw" / f"{part}-images-idx3-ubyte",
            images if part == "train" else images[:1],
        )
        write_idx(
            root / "FashionMNIST" / "raw" / f"{part}-labels-idx1-ubyte",
            labels if part == "train" else labels[:1],
        )
    return root


def some_images(n=20, seed=0):
    """Images and their labels, two of each class."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 28, 28)), np.arange(n) % 10
