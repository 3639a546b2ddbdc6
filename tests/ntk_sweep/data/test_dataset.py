import gzip
import shutil
import zipfile

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ntk_sweep.data import dataset as datasets
from ntk_sweep.data.dataset import load_dataset
from ntk_sweep.errors import DataError
from ntk_sweep.settings.schema import DataConfig

X, Y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 2, 0])


def write_idx(path, array):
    """An IDX file: two zero bytes, the type (8: unsigned byte), the number of dimensions, each as a
    big-endian integer, the data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, 8, array.ndim]) + b"".join(
        int(size).to_bytes(4, "big") for size in array.shape
    )
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write_fashion_mnist(root, images, labels):
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
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 28, 28)), np.arange(n) % 10


@pytest.fixture
def tiny(tmp_path):
    """A folder in torchvision's layout with two images of each class."""
    return write_fashion_mnist(tmp_path / "tiny", *some_images())


@pytest.fixture(autouse=True)
def no_data_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.delenv("NTK_SWEEP_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def fashion(root=None, classes=(0, 9), n_per_class=2):
    return DataConfig(
        "fashion_mnist",
        root=None if root is None else str(root),
        classes=list(classes),
        n_per_class=n_per_class,
    )


def no_download(monkeypatch, error):
    def download(self):
        raise error

    monkeypatch.setattr(datasets._torchvision_fashion_mnist(), "download", download)


# Digits


def test_digits_are_the_first_images_of_both_classes_in_order():
    data, source = (
        load_dataset(DataConfig("digits", classes=[0, 9], n_per_class=100)),
        load_digits(),
    )
    rows = np.concatenate([np.flatnonzero(source.target == label)[:100] for label in (0, 9)])
    assert data.x.dtype == data.y.dtype == np.float64
    assert (data.x == source.data[rows] / 16).all()
    assert (data.y == np.repeat([0.0, 1.0], 100)).all()
    assert (data.name, data.classes) == ("digits", (0, 9))
    assert data.x.min() == 0
    assert data.x.max() == 1


def test_order_of_the_classes_is_kept():
    data, other = (
        load_dataset(DataConfig("digits", classes=c, n_per_class=3)) for c in ([0, 9], [9, 0])
    )
    assert (data.x == np.roll(other.x, 3, axis=0)).all()
    assert (data.y == other.y).all()
    assert data.fingerprint != other.fingerprint
    assert other.classes == (9, 0)


def test_without_a_number_all_images_of_a_class_are_taken():
    counts = np.bincount(load_digits().target)
    data = load_dataset(DataConfig("digits", classes=[3, 4]))
    assert (data.y == np.repeat([0.0, 1.0], counts[[3, 4]])).all()


def test_too_few_images_says_how_many_there_are():
    with pytest.raises(
        DataError,
        match=r"data=digits has 178 inputs of class 0, but data.n_per_class asks for 179: lower it, or choose",
    ):
        load_dataset(DataConfig("digits", classes=[0, 9], n_per_class=179))
    assert len(load_dataset(DataConfig("digits", classes=[0, 9], n_per_class=178)).x) == 356


def test_a_class_that_does_not_exist_names_those_that_do():
    with pytest.raises(
        DataError, match=r"has 0 inputs of class 10, .*there are: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    ):
        load_dataset(DataConfig("digits", classes=[0, 10]))


# Own arrays


def test_npz_keeps_its_values(npz):
    data = load_dataset(DataConfig("npz", path=npz(x=X, y=Y)))
    assert (data.x == X).all()
    assert (data.y == Y).all()
    assert data.x.dtype == data.y.dtype == np.float64
    assert (data.name, data.classes) == ("npz", None)


def test_npz_images_are_flattened(npz):
    images = np.arange(24.0).reshape(2, 3, 4)
    assert (
        load_dataset(DataConfig("npz", path=npz(x=images, y=Y[:2]))).x == images.reshape(2, 12)
    ).all()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.float16, np.float32, ">f8", "<f8"])
def test_npz_of_any_real_dtype_is_read(npz, dtype):
    x = np.array([[0, 1], [1, 1], [1, 0]]).astype(dtype)
    data = load_dataset(DataConfig("npz", path=npz(x=x, y=np.array([0, 1, 1]).astype(dtype))))
    assert data.x.dtype == data.y.dtype == np.float64
    assert data.x.dtype.isnative
    assert data.x.tolist() == [[0, 1], [1, 1], [1, 0]]
    assert (
        data.fingerprint
        == load_dataset(
            DataConfig("npz", path=npz("other.npz", x=x.astype(float), y=np.array([0.0, 1, 1])))
        ).fingerprint
    )


def test_npz_classes_are_chosen_in_order(npz):
    data = load_dataset(DataConfig("npz", path=npz(x=X, y=Y), classes=[1, 0], n_per_class=2))
    assert (data.x == X[[1, 3, 0, 2]]).all()
    assert data.y.tolist() == [0, 0, 1, 1]
    assert data.classes == (1, 0)


def test_npz_with_too_few_of_a_class_says_how_many(npz):
    with pytest.raises(
        DataError,
        match=r"data=npz has 2 inputs of class 1, but data.n_per_class asks for 3: .*there are: 0, 1, 2",
    ):
        load_dataset(DataConfig("npz", path=npz(x=X, y=Y), classes=[0, 1], n_per_class=3))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, r"has no array y: it must hold x \(N, ...\) and y \(N,\), but holds \['x'\]"),
        ({"y": Y}, "has no array x"),
        ({"images": X, "labels": Y}, r"has no array x and y: .* holds \['images', 'labels'\]"),
        ({"x": X, "y": Y[:5]}, r"x is \(6, 2\) and y is \(5,\), but must be \(N, ...\) and \(N,\)"),
        ({"x": X[:, 0], "y": Y}, r"x is \(6,\)"),
        ({"x": X, "y": Y[:, None]}, r"y is \(6, 1\)"),
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
        load_dataset(DataConfig("npz", path=path))
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
        load_dataset(DataConfig("npz", path=str(path)))


def test_a_single_array_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(DataError, match=r"x.npy cannot be read as an npz file"):
        load_dataset(DataConfig("npz", path=str(tmp_path / "x.npy")))


def test_a_zip_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as file:
        file.writestr("x.npy", "not an array")
        file.writestr("y.npy", "not an array")
    with pytest.raises(DataError, match=r"data.npz"):
        load_dataset(DataConfig("npz", path=str(tmp_path / "data.npz")))


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_and_truncated_files_are_refused_wherever_the_damage_is(tmp_path, compressed):
    path, rng = tmp_path / "data.npz", np.random.default_rng(0)
    (np.savez_compressed if compressed else np.savez)(path, x=rng.random((40, 10)), y=np.zeros(40))
    whole, truth = path.read_bytes(), load_dataset(DataConfig("npz", path=str(path))).fingerprint
    for position in range(0, len(whole), 97):
        for broken in (
            whole[:position],
            whole[:position] + bytes([whole[position] ^ 0x5A]) + whole[position + 1 :],
        ):
            path.write_bytes(broken)
            try:
                assert (
                    load_dataset(DataConfig("npz", path=str(path))).fingerprint == truth
                )  # damage in an unused field
            except DataError as error:
                assert str(path) in str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize("name", ["missing.npz", "."])
def test_missing_files_and_folders_are_refused(tmp_path, name):
    with pytest.raises(
        DataError, match=r"cannot be read as an npz file \((FileNotFound|IsADirectory)Error"
    ):
        load_dataset(DataConfig("npz", path=str(tmp_path / name)))


def test_home_folder_is_found(npz, monkeypatch, tmp_path):
    npz(x=X, y=Y)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load_dataset(DataConfig("npz", path="~/data.npz")).x) == 6


# Fashion-MNIST


def test_fashion_mnist_is_read_from_torchvisions_layout(tiny):
    images, labels = some_images()
    data = load_dataset(fashion(tiny))
    rows = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 9)])
    assert (data.x == images[rows].reshape(4, 784) / 255).all()
    assert data.y.tolist() == [0, 0, 1, 1]
    assert (data.name, data.classes) == ("fashion_mnist", (0, 9))
    assert data.x.dtype == np.float64


def test_fashion_mnist_with_too_few_images_says_how_many(tiny):
    with pytest.raises(
        DataError,
        match=r"data=fashion_mnist has 2 inputs of class 0, but data.n_per_class asks for 100",
    ):
        load_dataset(fashion(tiny, n_per_class=100))


def test_environment_names_the_folder_and_data_root_wins(tiny, tmp_path, monkeypatch):
    other = write_fashion_mnist(tmp_path / "other", *some_images(seed=1))
    monkeypatch.setenv("NTK_SWEEP_DATA", str(tiny))
    assert load_dataset(fashion()).fingerprint == load_dataset(fashion(tiny)).fingerprint
    assert load_dataset(fashion(other)).fingerprint != load_dataset(fashion(tiny)).fingerprint


def test_a_wrong_data_root_is_never_passed_over(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("NTK_SWEEP_DATA", str(tiny))
    with pytest.raises(
        DataError, match=r"not in data.root=.*nowhere: .*Mend data.root, or use data=digits"
    ):
        load_dataset(fashion(tmp_path / "nowhere"))
    monkeypatch.setenv("NTK_SWEEP_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(
        DataError,
        match=r"not in \$NTK_SWEEP_DATA=.*nowhere: .*Mend \$NTK_SWEEP_DATA, or use data=digits",
    ):
        load_dataset(fashion())


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"data.root"):
        load_dataset(fashion(tmp_path / "file"))


@pytest.mark.parametrize(
    "name",
    [
        f"{part}-{kind}-ubyte"
        for part in ("train", "t10k")
        for kind in ("images-idx3", "labels-idx1")
    ],
)
def test_a_missing_file_is_named(tiny, name):
    (tiny / "FashionMNIST" / "raw" / name).unlink()
    with pytest.raises(DataError, match=name):
        load_dataset(fashion(tiny))


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
@pytest.mark.parametrize("length", [0, 3, 7, 15, 20, -1])
def test_truncated_files_are_refused(tiny, name, length):
    path = tiny / "FashionMNIST" / "raw" / name
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match=r"Fashion-MNIST is not readable in data.root="):
        load_dataset(fashion(tiny))


@pytest.mark.parametrize("n_labels", [19, 21, 30])
def test_images_and_labels_of_different_number_are_refused(tmp_path, n_labels):
    images, _ = some_images()
    root = write_fashion_mnist(tmp_path / "uneven", images, np.arange(n_labels) % 10)
    with pytest.raises(DataError, match=f"20 images.*{n_labels} labels"):
        load_dataset(fashion(root, n_per_class=1))


def test_gzip_in_place_of_the_plain_file_is_refused(tiny):
    path = tiny / "FashionMNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match="Fashion-MNIST is not readable"):
        load_dataset(fashion(tiny))


def test_a_failing_download_names_the_ways_out_and_leaves_nothing(monkeypatch, tmp_path):
    no_download(
        monkeypatch, RuntimeError("Error downloading\n  train-images: name resolution failed")
    )
    with pytest.raises(DataError, match="could not be downloaded") as caught:
        load_dataset(fashion())
    message = str(caught.value)
    for part in (
        "data.root=",
        "$NTK_SWEEP_DATA",
        "data=digits",
        "name resolution failed",
        str(tmp_path / "cache"),
    ):
        assert part in message
    assert "\n" not in message
    assert list((tmp_path / "cache" / "ntk-sweep").iterdir()) == []


def test_a_download_is_made_once_and_kept(monkeypatch, tiny):
    calls = []

    def download(self):
        calls.append(self.root)
        shutil.copytree(tiny / "FashionMNIST", f"{self.root}/FashionMNIST", dirs_exist_ok=True)

    monkeypatch.setattr(datasets._torchvision_fashion_mnist(), "download", download)
    first, second = load_dataset(fashion()), load_dataset(fashion())
    assert first.fingerprint == second.fingerprint == load_dataset(fashion(tiny)).fingerprint
    assert len(calls) == 1


def test_a_cache_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder")
    no_download(monkeypatch, AssertionError("nothing should be downloaded"))
    with pytest.raises(DataError, match=r"could not be downloaded to .*cache.*data=digits"):
        load_dataset(fashion())


def test_a_broken_cache_is_named_and_not_downloaded_over(monkeypatch, tmp_path):
    (tmp_path / "cache" / "ntk-sweep" / "FashionMNIST" / "raw").mkdir(parents=True)
    no_download(monkeypatch, AssertionError("nothing should be downloaded"))
    with pytest.raises(DataError, match="Fashion-MNIST is not readable in the cache") as caught:
        load_dataset(fashion())
    assert str(tmp_path / "cache") in str(caught.value)


def test_genuine_images_are_read_as_they_are_in_the_file(shared):
    data = load_dataset(fashion(shared / "data", n_per_class=100))
    raw = shared / "data" / "FashionMNIST" / "raw"
    images = np.frombuffer(
        (raw / "train-images-idx3-ubyte").read_bytes(), np.uint8, offset=16
    ).reshape(-1, 784)
    labels = np.frombuffer((raw / "train-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    rows = np.concatenate([np.flatnonzero(labels == label)[:100] for label in (0, 9)])
    assert data.x.shape == (200, 784)
    assert (data.x == images[rows].astype(np.float64) / 255).all()


# Fingerprints


def fingerprint(npz, x, y, **kwargs):
    return load_dataset(DataConfig("npz", path=npz(x=x, y=y), **kwargs)).fingerprint


def test_fingerprint_is_of_the_values_alone(npz):
    truth = fingerprint(npz, X, Y)
    assert len(truth) == 64
    assert fingerprint(npz, np.asfortranarray(X), Y.astype(np.uint8)) == truth
    assert fingerprint(npz, X.reshape(6, 2, 1), Y) == truth
    assert fingerprint(lambda **arrays: npz("elsewhere.npz", **arrays, z=X), X, Y) == truth


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (X[::-1], Y[::-1]),
        (X[::-1], Y),
        (X, Y[::-1]),
        (np.nextafter(X, 100), Y),
        (X, Y + 1),
        (X[:5], Y[:5]),
        (X[:, ::-1], Y),
        (X.reshape(2, 6), Y[:2]),
    ],
)
def test_fingerprint_changes_with_values_and_order(npz, x, y):
    assert fingerprint(npz, x, y) != fingerprint(lambda **arrays: npz("other.npz", **arrays), X, Y)


def test_fingerprint_is_that_of_the_selected_inputs(npz):
    assert fingerprint(npz, X, Y, classes=[0, 1], n_per_class=2) == fingerprint(
        npz, X[[0, 2, 1, 3]], [0, 0, 1, 1]
    )


def test_fingerprint_is_pinned(npz):
    """It is part of every key."""
    assert (
        fingerprint(npz, X, Y) == "a8971832a73dae7ee46b27b71fc025724a9584c70016f66a9663297d5e0821b3"
    )
