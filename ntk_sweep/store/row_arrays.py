"""Rows as an Arrow table, without `pyarrow.array`.

That looks whether its values are of pandas, which it imports to find out: a sixth of the start of a
command.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate, chain
from typing import Any

import numpy as np
import pyarrow as pa

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


def row_table(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """The rows in the columns of a schema; what a row does not hold is null.

    >>> row_table([{"width": 50}, {}], pa.schema([("width", pa.int64())])).to_pylist()
    [{'width': 50}, {'width': None}]

    Raises:
        TypeError: A number is not of its column's type.
    """
    columns = [_array([row.get(field.name) for row in rows], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    there = [value is not None for value in values]
    valid = None if all(there) else _bits(there)
    if pa.types.is_list(kind):
        lists = [() if value is None else value for value in values]
        items = _array(list(chain.from_iterable(lists)), kind.value_type)
        buffers = [valid, _offsets(lists)]
        return pa.Array.from_buffers(kind, len(values), buffers, children=[items])
    if pa.types.is_string(kind):
        texts = [(value or "").encode() for value in values]
        buffers = [valid, _offsets(texts), pa.py_buffer(b"".join(texts))]
    elif pa.types.is_boolean(kind):
        buffers = [valid, _bits([bool(value) for value in values])]
    elif pa.types.is_timestamp(kind):
        ticks = (0 if value is None else (value - _EPOCH) // _TICK for value in values)
        buffers = [valid, pa.py_buffer(array("q", ticks))]
    else:
        # An array of Python's refuses what is no number of its kind.
        numbers = (0 if value is None else value for value in values)
        buffers = [valid, pa.py_buffer(array("d" if pa.types.is_floating(kind) else "q", numbers))]
    return pa.Array.from_buffers(kind, len(values), buffers)


def _bits(flags: Sequence[bool]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(np.array(flags, dtype=bool), bitorder="little"))


def _offsets(values: Sequence[Sequence[Any] | bytes]) -> pa.Buffer:
    return pa.py_buffer(array("i", accumulate(map(len, values), initial=0)))
