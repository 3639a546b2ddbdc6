"""Protects Fashion-MNIST: which folder is read, what is refused, and that a download is whole."""

import gzip
import shutil
import subprocess
import sys

import numpy as np
import pytest

from ntk_sweep.data import fashion_mnist
from ntk_sweep.data.dataset import find_again, load_dataset
from ntk_sweep.data.torchvision_import import torchvision_fashion_mnist
from ntk_sweep.errors import DataError
from tests.helpers.idx_files import some_images, write_fashion_mnist
from tests.helpers.places import ROOT


@pytest.fixture
def tiny(tmp_path):
    """A folder in torchvision's layout with two images of each class."""
    return write_fashion_mnist(tmp_path / "tiny", *some_images())


@pytest.fixture(autouse=True)
def no_data_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.delenv("NTK_SWEEP_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def fashion(root=None, classes=(0, 9), n_per_class=2):
    return load_dataset(
        "fashion_mnist", list(classes), n_per_class, None if root is None else str(root)
    )


def no_download(monkeypatch, error):
    def download(self):
        raise error

    monkeypatch.setattr(torchvision_fashion_mnist(), "download", download)


def test_fashion_mnist_is_read_from_torchvisions_layout(tiny):
    images, labels = some_images()
    data = fashion(tiny)
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
        fashion(tiny, n_per_class=100)


def test_environment_names_the_folder_and_data_root_wins(tiny, tmp_path, monkeypatch):
    other = write_fashion_mnist(tmp_path / "other", *some_images(seed=1))
    monkeypatch.setenv("NTK_SWEEP_DATA", str(tiny))
    assert fashion().fingerprint == fashion(tiny).fingerprint
    assert fashion(other).fingerprint != fashion(tiny).fingerprint


def test_a_wrong_data_root_is_never_passed_over(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("NTK_SWEEP_DATA", str(tiny))
    with pytest.raises(
        DataError, match=r"not in data.root=.*nowhere: .*Mend data.root, or use data=digits"
    ):
        fashion(tmp_path / "nowhere")
    monkeypatch.setenv("NTK_SWEEP_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(
        DataError,
        match=r"not in \$NTK_SWEEP_DATA=.*nowhere: .*Mend \$NTK_SWEEP_DATA, or use data=digits",
    ):
        fashion()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"data.root"):
        fashion(tmp_path / "file")


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
        fashion(tiny)


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
@pytest.mark.parametrize("length", [0, 3, 7, 15, 20, -1])
def test_truncated_files_are_refused(tiny, name, length):
    path = tiny / "FashionMNIST" / "raw" / name
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match=r"Fashion-MNIST is not readable in data.root="):
        fashion(tiny)


@pytest.mark.parametrize("n_labels", [19, 21, 30])
def test_images_and_labels_of_different_number_are_refused(tmp_path, n_labels):
    images, _ = some_images()
    root = write_fashion_mnist(tmp_path / "uneven", images, np.arange(n_labels) % 10)
    with pytest.raises(DataError, match=f"20 images.*{n_labels} labels"):
        fashion(root, n_per_class=1)


def test_gzip_in_place_of_the_plain_file_is_refused(tiny):
    path = tiny / "FashionMNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match="Fashion-MNIST is not readable"):
        fashion(tiny)


def packed(root, keep=()):
    """The files of a folder as they are downloaded, each packed but those to be kept."""
    for path in (root / "FashionMNIST" / "raw").iterdir():
        if path.name not in keep:
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    return root


@pytest.mark.parametrize("keep", [(), (fashion_mnist.IMAGES,), ("t10k-labels-idx1-ubyte",)])
def test_packed_files_are_the_same_data(tiny, keep):
    plain = fashion(tiny).fingerprint
    assert fashion(packed(tiny, keep)).fingerprint == plain
    raw = tiny / "FashionMNIST" / "raw"
    assert fashion(raw).fingerprint == plain  # the folder of the files themselves
    assert again(fashion(raw), str(raw)).fingerprint == plain


@pytest.mark.parametrize("name", [f"{name}.gz" for name in fashion_mnist.FILES])
def test_a_missing_packed_file_is_named(tiny, name):
    (packed(tiny) / "FashionMNIST" / "raw" / name).unlink()
    with pytest.raises(DataError, match=name.removesuffix(".gz") + " missing"):
        fashion(tiny)


@pytest.mark.parametrize("name", [fashion_mnist.IMAGES, fashion_mnist.LABELS])
def test_packed_files_that_are_damaged_or_cut_off_are_named(tiny, name):
    path = packed(tiny) / "FashionMNIST" / "raw" / f"{name}.gz"
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :]
    cut = [whole[:length] for length in (0, 1, 5, 12, middle, -9, -1)]
    for broken in (*cut, flipped, gzip.decompress(whole), gzip.compress(b"text")):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=rf"not readable in data.root=.*{name}\.gz is no "):
            fashion(tiny)


def test_a_failing_download_names_the_ways_out_and_leaves_nothing(monkeypatch, tmp_path):
    no_download(
        monkeypatch, RuntimeError("Error downloading\n  train-images: name resolution failed")
    )
    with pytest.raises(DataError, match="could not be downloaded") as caught:
        fashion()
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

    monkeypatch.setattr(torchvision_fashion_mnist(), "download", download)
    first, second = fashion(), fashion()
    assert first.fingerprint == second.fingerprint == fashion(tiny).fingerprint
    assert len(calls) == 1


def test_a_cache_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder")
    no_download(monkeypatch, AssertionError("nothing should be downloaded"))
    with pytest.raises(DataError, match=r"could not be downloaded to .*cache.*data=digits"):
        fashion()


def test_a_broken_cache_is_named_and_not_downloaded_over(monkeypatch, tmp_path):
    (tmp_path / "cache" / "ntk-sweep" / "FashionMNIST" / "raw").mkdir(parents=True)
    no_download(monkeypatch, AssertionError("nothing should be downloaded"))
    with pytest.raises(DataError, match="Fashion-MNIST is not readable in the cache") as caught:
        fashion()
    assert str(tmp_path / "cache") in str(caught.value)


def test_genuine_images_are_read_as_they_are_in_the_file(shared):
    data = fashion(shared / "data", n_per_class=100)
    raw = shared / "data" / "FashionMNIST" / "raw"
    images = np.frombuffer(
        (raw / "train-images-idx3-ubyte").read_bytes(), np.uint8, offset=16
    ).reshape(-1, 784)
    labels = np.frombuffer((raw / "train-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    rows = np.concatenate([np.flatnonzero(labels == label)[:100] for label in (0, 9)])
    assert data.x.shape == (200, 784)
    assert (data.x == images[rows].astype(np.float64) / 255).all()


def test_images_that_are_there_are_read_without_torch(tiny):
    code = "import sys; from ntk_sweep.data.dataset import load_dataset; "
    code += f"load_dataset('fashion_mnist', [0, 9], 2, {str(tiny)!r}); "
    code += "assert not {'torch', 'torchvision'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# Found again, for a report


def again(data, place=None):
    return find_again(data.name, data.fingerprint, data.classes, len(data.x), place)


def test_images_are_found_again_and_never_downloaded(tiny, monkeypatch):
    no_download(monkeypatch, AssertionError("nothing should be downloaded"))
    data = fashion(tiny, classes=(9, 0))
    assert again(data, str(tiny)).fingerprint == data.fingerprint
    monkeypatch.setenv("NTK_SWEEP_DATA", str(tiny))
    assert again(data).fingerprint == data.fingerprint
    monkeypatch.delenv("NTK_SWEEP_DATA")
    with pytest.raises(DataError, match=r"cache.*train-images-idx3-ubyte is not there"):
        again(data)


def test_images_are_found_again_in_the_cache_and_packed(tiny, tmp_path):
    data = fashion(tiny)
    raw = tmp_path / "cache" / "ntk-sweep" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name in (fashion_mnist.IMAGES, fashion_mnist.LABELS):
        content = (tiny / "FashionMNIST" / "raw" / name).read_bytes()
        (raw / f"{name}.gz").write_bytes(gzip.compress(content))
    assert again(data).fingerprint == data.fingerprint
    (raw / f"{fashion_mnist.LABELS}.gz").write_bytes(b"not packed")
    with pytest.raises(DataError, match="cannot be read"):
        again(data)


def test_damaged_files_are_not_found_again(tiny):
    data, path = fashion(tiny), tiny / "FashionMNIST" / "raw" / fashion_mnist.LABELS
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"the files of .* cannot be read"):
        again(data, str(tiny))
