"""Protects the inputs behind the rows: told by their fingerprint, never downloaded."""

from __future__ import annotations

import numpy as np
import pytest

from ntk_sweep.analysis.chapters import inputs as chapter
from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows import inputs
from ntk_sweep.data.dataset import load_dataset
from tests.helpers.analysis_rows import group, row
from tests.helpers.idx_files import some_images, write_fashion_mnist


def test_the_inputs_are_told_by_their_fingerprint(tmp_path, npz):
    data = load_dataset("digits", [0, 9], 100)
    one = group([row(data="digits", data_fingerprint=data.fingerprint, n_inputs=64)])
    assert inputs.find(one).fingerprint == data.fingerprint
    assert chapter.drawable(one)
    with pytest.raises(AnalysisError, match=r"has the fingerprint .*, the rows have f{12}"):
        inputs.find(group([row(data="digits")]))
    arrays = {"x": np.random.default_rng(0).random((6, 9)), "y": np.arange(6.0)}
    path = npz(**arrays)
    own = load_dataset("npz", place=path)
    one = group(
        [
            row(
                data="npz",
                data_classes=None,
                data_fingerprint=own.fingerprint,
                n_samples=6,
                n_inputs=9,
            )
        ]
    )
    assert inputs.find(one, path).x.shape == (6, 9)
    table = chapter.numbers(inputs.find(one, path))
    assert (table["input"].tolist(), table["y"].tolist()) == (
        [1, 2, 3, 4, 5, 6],
        arrays["y"].tolist(),
    )
    np.testing.assert_array_equal(table.iloc[:, 2:], arrays["x"])
    table = chapter.numbers(data)
    assert table["input"].tolist() == [*range(1, 9), *range(101, 109)]
    np.testing.assert_array_equal(table.iloc[8:, 2:], data.x[100:108])
    with pytest.raises(AnalysisError, match="where the npz file lies is not in the rows"):
        inputs.find(one)


def test_fashion_mnist_is_read_from_its_files_and_never_downloaded(tmp_path, monkeypatch):
    images, labels = some_images(40)
    write_fashion_mnist(tmp_path, images, labels)
    flat = images.reshape(40, -1)
    chosen = np.concatenate([flat[labels == 9][:3], flat[labels == 0][:3]]) / 255
    fingerprint = load_dataset("fashion_mnist", [9, 0], 3, str(tmp_path)).fingerprint
    one = group([row(data_classes=[9, 0], n_samples=6, data_fingerprint=fingerprint)])
    np.testing.assert_array_equal(inputs.find(one, str(tmp_path)).x, chosen)
    monkeypatch.setenv("NTK_SWEEP_DATA", str(tmp_path / "none"))
    with pytest.raises(AnalysisError, match="train-images-idx3-ubyte is not there"):
        inputs.find(group([row()]))


def test_a_data_set_of_an_unknown_name_is_not_read_as_another():
    with pytest.raises(AnalysisError, match=r"^data=cifar is no source of this version"):
        inputs.find(group([row(data="cifar")]))
