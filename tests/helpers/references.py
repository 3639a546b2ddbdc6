"""Reference networks whose eigenvalues are known to 25 digits from ball arithmetic that starts at
the weights."""

from __future__ import annotations

import gzip
import json
import os
from itertools import pairwise
from pathlib import Path

import mpmath as mp
import numpy as np
import torch

from ntk_sweep.network.fully_connected import Network
from tests.helpers.places import ROOT

SHARED = Path(os.environ.get("NTK_SWEEP_SHARED", ROOT.parent / "shared"))
FILES = sorted((SHARED / "reference").glob("ref_*.json"))


def read_idx(path: Path) -> np.ndarray:
    """An array in the IDX format of MNIST, plain or gzipped."""
    data = (
        path.read_bytes()
        if path.exists()
        else gzip.decompress(path.with_name(path.name + ".gz").read_bytes())
    )
    shape = np.frombuffer(data, ">i4", count=data[3], offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def reference(path: Path) -> tuple[Network, torch.Tensor, list]:
    """The network, its inputs and the true eigenvalues of a reference file."""
    case = json.loads(path.read_text())
    raw = SHARED / "data" / "FashionMNIST" / "raw"
    images, labels = (
        read_idx(raw / "train-images-idx3-ubyte"),
        read_idx(raw / "train-labels-idx1-ubyte"),
    )
    chosen = np.concatenate([images[labels == label][: case["n_per_class"]] for label in (0, 9)])
    draws = np.random.default_rng(case["seed"])
    sizes = [784] + [case["width"]] * (case["depth"] - 1) + [1]
    weights, biases = [], []
    for fan_in, fan_out in pairwise(sizes):
        weights.append(torch.from_numpy(draws.standard_normal((fan_out, fan_in))))
        biases.append(torch.from_numpy(draws.standard_normal(fan_out)))
    with mp.workdps(30):
        eigenvalues = [mp.mpf(value) for value in case["eigenvalues"]]
    return (
        Network(weights, biases, case["act"], "thesis"),
        torch.from_numpy(chosen.reshape(len(chosen), -1) / 255.0),
        eigenvalues,
    )
