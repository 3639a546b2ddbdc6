"""Protects the columns: parts of one schema version have the same, and groups name real ones."""

import hashlib

import pyarrow as pa
import pytest

from ntk_sweep.settings.tasks import TASKS
from ntk_sweep.store.columns import (
    CELL,
    GROUP,
    NETWORK,
    RUN,
    SCHEMA_VERSION,
    TRAINING_SETTING,
    result_columns,
    schema,
)

FINGERPRINTS = {
    2: {"spectrum": "055bc207c7ff9da9", "training": "5d892ef659259669"},
    3: {"spectrum": "0c2e6f33f2d32ee1", "training": "a23e99e88ed5c5d3"},
}
"""Version → task → hash of the names, types and order of the columns."""


def fingerprint(task):
    columns = []
    for field in schema(task):
        is_list = pa.types.is_list(field.type)
        kind = f"list of {field.type.value_type}" if is_list else str(field.type)
        columns.append((field.name, kind, field.nullable))
    return hashlib.sha256(repr(columns).encode()).hexdigest()[:16]


@pytest.mark.parametrize("task", TASKS)
def test_columns_change_with_the_schema_version_only(task):
    assert fingerprint(task) == FINGERPRINTS[SCHEMA_VERSION][task], (
        "the columns changed: raise SCHEMA_VERSION, and put the new hash here under that version"
    )


@pytest.mark.parametrize("task", TASKS)
def test_no_column_is_twice_and_groups_name_columns(task):
    names = schema(task).names
    assert len(set(names)) == len(names)
    assert set(names) >= {*GROUP, *CELL, *NETWORK, *result_columns(task)}


def test_runs_are_named_by_columns_of_training():
    assert set(schema("training").names) >= {*TRAINING_SETTING, *RUN}
