"""Settings, data files and stored parts that are wrong in ways nobody thought of: a clear error, or
the right result."""

import io
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ntk_sweep.data.dataset import load_dataset
from ntk_sweep.errors import ConfigError, DataError, StoreError
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import ACTIVATIONS, SweepConfig
from ntk_sweep.settings.validation import from_dict, setting_names
from ntk_sweep.store.reading import load_results
from ntk_sweep.store.store import Store
from ntk_sweep.store.writer import PartWriter
from tests.helpers.store_rows import keys_of, make_row

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        [*ACTIVATIONS, "ntk", "npz", "digits", "cuda", "spectrum", "eigh", "s3://", "://"]
    ),
    st.lists(st.integers(-3, 3), max_size=3),
)
NAMES = sorted(setting_names())


@settings(max_examples=200)
@given(changes=st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=3))
def test_settings_are_taken_or_refused_by_name(changes):
    config = OmegaConf.structured(SweepConfig())
    config.data.classes = [0, 9]
    try:
        # As the command line does: the schema looks at the types, the package at the values.
        for name, value in changes.items():
            OmegaConf.update(config, name, value)
        taken = from_dict(OmegaConf.to_container(config))
    except OmegaConfBaseException:
        return
    except ConfigError as refused:
        said = str(refused)
        assert any(name in said or name.rpartition(".")[0] in said for name in changes)
        return
    assert taken.width >= 1
    assert taken.depth >= 2
    assert taken.act in ACTIVATIONS
    assert len(Point.of(taken, "f").key) == 64


def archive(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


X, Y = np.random.default_rng(0).random((6, 3)), np.arange(6.0)
WHOLE = archive(x=X, y=Y)


def damaged(whole):
    """`whole` with bytes changed, cut off, or put in."""
    place = st.integers(0, len(whole) - 1)
    changes = st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=4)
    return st.one_of(
        changes.map(lambda pairs: _changed(whole, pairs)),
        place.map(lambda size: whole[:size]),
        st.tuples(place, st.binary(min_size=1, max_size=20)).map(
            lambda cut: whole[: cut[0]] + cut[1] + whole[cut[0] :]
        ),
    )


def _changed(whole, pairs):
    content = bytearray(whole)
    for place, value in pairs:
        content[place] = value
    return bytes(content)


@settings(max_examples=300)
@given(content=st.one_of(damaged(WHOLE), st.binary(max_size=100)))
def test_damaged_data_are_refused_or_still_the_same(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(content)
    try:
        dataset = load_dataset("npz", place=str(path))
    except DataError as refused:
        said = str(refused)
        assert str(path) in said or "not finite" in said
    else:
        # The archive carries a checksum of each array, so what can be read is what was written.
        np.testing.assert_array_equal(dataset.x, X)
        np.testing.assert_array_equal(dataset.y, Y)


KINDS = st.sampled_from(["f8", "f4", "i8", "u1", "?", "c16", "U3", "S2", "M8[s]", "V4"])
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@settings(max_examples=150)
@given(x=st.tuples(KINDS, SHAPES), y=st.tuples(KINDS, SHAPES), value=st.sampled_from([0, 1, 3]))
def test_arrays_of_any_kind_and_shape_are_taken_or_refused(tmp_path_factory, x, y, value):
    path = tmp_path_factory.getbasetemp() / "arrays.npz"
    arrays = {name: np.zeros(shape, kind) for name, (kind, shape) in (("x", x), ("y", y))}
    path.write_bytes(archive(**arrays))
    try:
        dataset = load_dataset("npz", place=str(path))
    except DataError as refused:
        said = str(refused)
        assert str(path) in said
    else:
        assert dataset.x.shape == (len(arrays["y"]), int(np.prod(arrays["x"].shape[1:])))
        assert dataset.x.dtype == dataset.y.dtype == np.float64


@dataclass(frozen=True)
class Part:
    store: Store
    path: str
    content: bytes = field(repr=False)


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    """A store with one part, and its bytes."""
    store = Store(str(tmp_path_factory.mktemp("fuzz")), "spectrum")
    name = PartWriter(store).commit(
        [make_row(key, eigenvalues=np.arange(3.0), lambda_min=0.5) for key in "abc"]
    )
    with open(f"{store.folder}/{name}", "rb") as file:
        return Part(store, f"{store.folder}/{name}", file.read())


@settings(max_examples=200)
@given(data=st.data())
def test_damaged_parts_are_named_or_read_as_they_were(part, data):
    store, path, whole = part.store, part.path, part.content
    content = data.draw(damaged(whole))
    with open(path, "wb") as file:
        file.write(content)
    try:
        frame = load_results(store.folder)
    except StoreError as refused:
        said = str(refused)
        assert path in said
    else:
        assert keys_of(frame) == ["a", "b", "c"]
        assert frame.lambda_min.tolist() == [0.5] * 3
        assert [list(values) for values in frame.eigenvalues] == [[0.0, 1.0, 2.0]] * 3
