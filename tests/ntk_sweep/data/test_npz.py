"""Protects own arrays: they are taken as they are, or refused with the file's name."""

import zipfile

import numpy as np
import pytest

from ntk_sweep.data.dataset import load_dataset
from ntk_sweep.errors import DataError

X, Y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 2, 0])


def test_npz_keeps_its_values(npz):
    data = load_dataset("npz", place=npz(x=X, y=Y))
    assert (data.x == X).all()
    assert (data.y == Y).all()
    assert data.x.dtype == data.y.dtype == np.float64
    assert (data.name, data.classes) == ("npz", None)


def test_npz_images_are_flattened(npz):
    images = np.arange(24.0).reshape(2, 3, 4)
    assert (load_dataset("npz", place=npz(x=images, y=Y[:2])).x == images.reshape(2, 12)).all()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.float16, np.float32, ">f8", "<f8"])
def test_npz_of_any_real_dtype_is_read(npz, dtype):
    x = np.array([[0, 1], [1, 1], [1, 0]]).astype(dtype)
    data = load_dataset("npz", place=npz(x=x, y=np.array([0, 1, 1]).astype(dtype)))
    assert data.x.dtype == data.y.dtype == np.float64
    assert data.x.dtype.isnative
    assert data.x.tolist() == [[0, 1], [1, 1], [1, 0]]
    assert (
        data.fingerprint
        == load_dataset(
            "npz", place=npz("other.npz", x=x.astype(float), y=np.array([0.0, 1, 1]))
        ).fingerprint
    )


@pytest.mark.parametrize("shape", [(6, 1), (6, 1, 1)])
def test_npz_targets_may_be_a_column(npz, shape):
    data = load_dataset("npz", place=npz("column.npz", x=X, y=Y.reshape(shape)))
    assert data.y.shape == (6,)
    assert data.fingerprint == load_dataset("npz", place=npz(x=X, y=Y)).fingerprint
    chosen = load_dataset("npz", [1, 0], 2, npz("column.npz", x=X, y=Y.reshape(shape)))
    assert (chosen.x == X[[1, 3, 0, 2]]).all()


def test_npz_classes_are_chosen_in_order(npz):
    data = load_dataset("npz", [1, 0], 2, npz(x=X, y=Y))
    assert (data.x == X[[1, 3, 0, 2]]).all()
    assert data.y.tolist() == [0, 0, 1, 1]
    assert data.classes == (1, 0)


def test_npz_with_too_few_of_a_class_says_how_many(npz):
    with pytest.raises(
        DataError,
        match=r"data=npz has 2 inputs of class 1, .* asks for 3: .*there are: 0, 1, 2",
    ):
        load_dataset("npz", [0, 1], 3, npz(x=X, y=Y))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, r"has no array y: it must hold x \(N, ...\) and y \(N,\), but holds \['x'\]"),
        ({"y": Y}, "has no array x"),
        ({"images": X, "labels": Y}, r"has no array x and y: .* holds \['images', 'labels'\]"),
        ({"x": X, "y": Y[:5]}, r"x is \(6, 2\) and y is \(5,\), but must be \(N, ...\) and \(N,\)"),
        ({"x": X[:, 0], "y": Y}, r"x is \(6,\)"),
        (
            {"x": X, "y": np.stack([Y, Y], axis=1)},
            r"y is \(6, 2\), .* one output: keep one column of y, or y.argmax\(axis=1\)",
        ),
        ({"x": X, "y": Y[None, :]}, r"y is \(1, 6\)"),
        ({"x": X, "y": np.float64(3)}, r"y is \(\)"),
        ({"x": X[:0], "y": Y[:0]}, r"x is \(0, 2\)"),
        ({"x": X[:, :0], "y": Y}, r"x is \(6, 0\)"),
        ({"x": X.astype(str), "y": Y}, "x is of dtype <U32, but must hold real numbers"),
        ({"x": X, "y": Y.astype("S3")}, "y is of dtype .S3, but must hold real numbers"),
        ({"x": X + 1j, "y": Y}, "x is of dtype complex128"),
        ({"x": X, "y": Y.astype("datetime64[s]")}, "y is of dtype datetime64"),
        ({"x": X.astype(object), "y": Y}, "cannot be read as an npz file .*[Oo]bject arrays"),
        ({"x": X, "y": Y.astype(object)}, "cannot be read as an npz file .*[Oo]bject arrays"),
        (
            {"x": np.where(X == 3, np.nan, X), "y": Y},
            r"holds values that are not finite \(NaN or infinity\)",
        ),
        ({"x": np.where(X == 3, -np.inf, X), "y": Y}, "not finite"),
        ({"x": X, "y": np.where(Y == 2, np.nan, Y)}, "not finite"),
    ],
)
def test_npz_is_refused(npz, arrays, message):
    path = npz(**arrays)
    with pytest.raises(DataError, match=message) as caught:
        load_dataset("npz", place=path)
    assert path in str(caught.value) or "data=npz" in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x,y\n1,2\n",
        b"PK\x03\x04",
        b"PK\x05\x06" + bytes(18),
        b"\x93NUMPY\x01\x00",
        b"\x80\x04K\x01.",
    ],
)
def test_files_that_are_no_npz_are_refused(tmp_path, content):
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"data.npz"):
        load_dataset("npz", place=str(path))


def test_a_single_array_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(DataError, match=r"x.npy cannot be read as an npz file"):
        load_dataset("npz", place=str(tmp_path / "x.npy"))


def test_a_zip_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as file:
        file.writestr("x.npy", "not an array")
        file.writestr("y.npy", "not an array")
    with pytest.raises(DataError, match=r"data.npz"):
        load_dataset("npz", place=str(tmp_path / "data.npz"))


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_and_truncated_files_are_refused_wherever_the_damage_is(tmp_path, compressed):
    path, rng = tmp_path / "data.npz", np.random.default_rng(0)
    (np.savez_compressed if compressed else np.savez)(path, x=rng.random((40, 10)), y=np.zeros(40))
    whole, truth = path.read_bytes(), load_dataset("npz", place=str(path)).fingerprint
    for position in range(0, len(whole), 97):
        for broken in (
            whole[:position],
            whole[:position] + bytes([whole[position] ^ 0x5A]) + whole[position + 1 :],
        ):
            path.write_bytes(broken)
            try:
                assert (
                    load_dataset("npz", place=str(path)).fingerprint == truth
                )  # damage in an unused field
            except DataError as error:
                assert str(path) in str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize("name", ["missing.npz", "."])
def test_missing_files_and_folders_are_refused(tmp_path, name):
    with pytest.raises(
        DataError, match=r"cannot be read as an npz file \((FileNotFound|IsADirectory)Error"
    ):
        load_dataset("npz", place=str(tmp_path / name))


def test_home_folder_is_found(npz, monkeypatch, tmp_path):
    npz(x=X, y=Y)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load_dataset("npz", place="~/data.npz").x) == 6
