"""Protects the columns: parts of one schema version have the same, and groups name real ones."""

import hashlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ntk_sweep.settings.tasks import TASKS
from ntk_sweep.store.columns import (
    CELL,
    GROUP,
    NETWORK,
    RUN,
    SCHEMA_VERSION,
    TRAINING_SETTING,
    schema,
)
from tests.helpers.places import STORES

FINGERPRINTS = {
    "schema-1": {"spectrum": "2f6992c8e751cf39"},
    "schema-2-first": {"spectrum": "19d6f47d2e18621f"},
    "schema-2": {"spectrum": "055bc207c7ff9da9", "training": "5d892ef659259669"},
    "schema-3": {"spectrum": "582ad89097d33973", "training": "75a32f7d125adf61"},
    "schema-3-last": {"spectrum": "0c2e6f33f2d32ee1", "training": "a23e99e88ed5c5d3"},
    "schema-4": {"spectrum": "0c2e6f33f2d32ee1", "training": "a23e99e88ed5c5d3"},
}
"""Store of `tests/data/stores` → task → hash of the names, types and order of the columns.

No hash is ever replaced: code that knows a version reads and merges its parts, and would lose a
column that came later. Up to version 3 it happened; version 4 is the columns of the last 3."""


def fingerprint(columns_of):
    columns = []
    for field in columns_of:
        is_list = pa.types.is_list(field.type)
        kind = f"list of {field.type.value_type}" if is_list else str(field.type)
        columns.append((field.name, kind, field.nullable))
    return hashlib.sha256(repr(columns).encode()).hexdigest()[:16]


@pytest.mark.parametrize("task", TASKS)
def test_columns_change_with_the_schema_version_only(task):
    assert fingerprint(schema(task)) == FINGERPRINTS[f"schema-{SCHEMA_VERSION}"][task], (
        "the columns changed: raise SCHEMA_VERSION, write a store of the new version as "
        "tests/data/stores/README.md says, and add its hash; the hashes that are there stay"
    )


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_stored_parts_have_the_columns_of_their_version(name):
    parts = [*(STORES / name).glob("*/*.parquet")]
    found = {part.parent.name: fingerprint(pq.read_schema(part)) for part in parts}
    assert found == FINGERPRINTS[name], "a hash that is stored is never replaced"


@pytest.mark.parametrize("task", TASKS)
def test_no_column_is_twice_and_groups_name_columns(task):
    names = schema(task).names
    assert len(set(names)) == len(names)
    assert set(names) >= {*GROUP, *CELL, *NETWORK}


def test_runs_are_named_by_columns_of_training():
    assert set(schema("training").names) >= {*TRAINING_SETTING, *RUN}
