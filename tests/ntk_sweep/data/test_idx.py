"""Protects the reading of IDX files: the array that was written, or an error."""

import numpy as np
import pytest

from ntk_sweep.data.idx import parse_idx, read_idx
from tests.helpers.idx_files import write_idx

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture
def content(tmp_path):
    write_idx(tmp_path / "images", ARRAY)
    return (tmp_path / "images").read_bytes()


def test_an_array_is_read_as_it_was_written(tmp_path, content):
    np.testing.assert_array_equal(read_idx(tmp_path / "images", 3), ARRAY)
    write_idx(tmp_path / "labels", ARRAY[0, 0])
    np.testing.assert_array_equal(read_idx(tmp_path / "labels", 1), ARRAY[0, 0])


@pytest.mark.parametrize(("place", "value"), [(0, 1), (1, 1), (2, 9), (3, 1), (3, 2)])
def test_another_kind_of_file_is_refused(content, place, value):
    other = bytearray(content)
    other[place] = value
    with pytest.raises(ValueError, match="no IDX file of unsigned bytes in 3 dimensions"):
        parse_idx(bytes(other), 3)


@pytest.mark.parametrize("change", [lambda file: file[:-1], lambda file: file + b"x"])
def test_more_or_fewer_values_than_announced_are_refused(content, change):
    with pytest.raises(ValueError, match=r"announces 2 × 3 × 4 values, but holds 2[35]"):
        parse_idx(change(content), 3)


@pytest.mark.parametrize("length", [0, 3, 4, 15])
def test_a_file_that_ends_in_its_header_is_refused(content, length):
    with pytest.raises(ValueError, match="no IDX file"):
        parse_idx(content[:length], 3)
