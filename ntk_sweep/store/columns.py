"""The columns of the stored rows, in groups, and the names by which rows are grouped.

The code, not the first file, says what a table holds. What a new column takes stands in
CONTRIBUTING.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ntk_sweep._version import __version__
from ntk_sweep.settings.schema import LEADING_EIGENVALUES, OF_FLOW, SGD_SETTING
from ntk_sweep.settings.tasks import TASKS

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 4
"""Raised whenever columns are added: `part_file` tells parts of other versions by it, and code that
does not know the new columns leaves their rows alone.

A new column is null in the rows of earlier versions, so that it must take nulls. No column is
renamed or removed, and none changes its type or meaning."""

VERSION_KEY = b"ntk_sweep.schema_version"

WRITER_KEY = b"ntk_sweep.version"
"""The version of ntk-sweep that wrote a part."""

GROUP = ["data", "data_fingerprint", "parametrisation", "weight_std", "bias_std", "dtype"]
"""Rows that differ in one of these are never compared. That of `bias_std` is null without biases:
group by them with ``dropna=False``."""

CELL = ["act", "width", "depth"]
"""The rows of a cell agree in these and differ in the seed."""

NETWORK = [*CELL, "seed"]
"""The coordinates of a network in its group."""

TRAINING_SETTING = [
    *SGD_SETTING,
    *("optimiser", "centre_outputs", "stop_at_loss"),
    *OF_FLOW,
]
"""How a network was trained: runs that differ in one of these are never averaged."""

RUN = [*NETWORK, *TRAINING_SETTING, "record_kernel_every"]
"""The coordinates of a training run in its group."""

_COORDINATES = [
    ("key", pa.string(), False),
    ("task", pa.string(), False),
    ("act", pa.string(), False),
    ("width", pa.int64(), False),
    ("depth", pa.int64(), False),
    ("seed", pa.int64(), False),
    ("parametrisation", pa.string(), False),
    ("weight_std", pa.float64(), True),
    ("bias_std", pa.float64(), True),
    ("dtype", pa.string(), False),
    ("numerics_version", pa.int64(), False),
    ("data", pa.string(), False),
    ("data_fingerprint", pa.string(), False),
    ("data_classes", pa.list_(pa.int64()), True),
    ("data_labels", pa.string(), True),
    ("data_label_noise", pa.float64(), True),
    ("data_label_seed", pa.int64(), True),
    ("data_targets", pa.list_(pa.float64()), True),
    ("n_samples", pa.int64(), False),
    ("n_inputs", pa.int64(), False),
    ("data_normalise", pa.string(), True),
    ("test_fingerprint", pa.string(), True),
    ("n_test_samples", pa.int64(), True),
]

_RESULTS = {
    "spectrum": [
        ("eigenvalues", pa.list_(pa.float64()), True),
        ("eigenvalue_errors", pa.list_(pa.float64()), True),
        ("lambda_min", pa.float64(), True),
        ("lambda_min_error", pa.float64(), True),
        ("lambda_min_resolved", pa.bool_(), True),
        ("lambda_max", pa.float64(), True),
        ("lambda_max_error", pa.float64(), True),
        ("condition_number", pa.float64(), True),
        ("trace", pa.float64(), True),
        ("method", pa.string(), True),
        ("target", pa.float64(), True),
        ("meets_target", pa.bool_(), True),
        ("limit_lambda_min", pa.float64(), True),
        ("limit_lambda_min_error", pa.float64(), True),
        ("limit_distance", pa.float64(), True),
        ("effective_rank", pa.float64(), True),
        ("alignment", pa.float64(), True),
        ("centred_alignment", pa.float64(), True),
        ("class_contrast", pa.float64(), True),
        ("target_share_1", pa.float64(), True),
        ("target_share_2", pa.float64(), True),
        ("target_share_5", pa.float64(), True),
        ("target_share_10", pa.float64(), True),
        ("layer_trace_shares", pa.list_(pa.float64()), True),
        ("kernel_file", pa.string(), True),
        *((f"lambda_{count}", pa.float64(), True) for count in LEADING_EIGENVALUES),
        ("max_diagonal", pa.float64(), True),
        ("target_complexity", pa.float64(), True),
        ("target_complexity_error", pa.float64(), True),
        ("layer_kernels_file", pa.string(), True),
        ("eigenvectors_file", pa.string(), True),
        ("conjugate_lambda_min", pa.float64(), True),
        ("conjugate_lambda_min_error", pa.float64(), True),
        ("conjugate_lambda_max", pa.float64(), True),
        ("conjugate_lambda_max_error", pa.float64(), True),
        ("nngp_lambda_min", pa.float64(), True),
        ("nngp_lambda_min_error", pa.float64(), True),
        ("nngp_lambda_max", pa.float64(), True),
        ("nngp_lambda_max_error", pa.float64(), True),
    ],
    "training": [
        ("learning_rate", pa.float64(), True),
        ("learning_rate_unit", pa.string(), True),
        ("step_size", pa.float64(), True),
        ("batch_size", pa.int64(), True),
        ("epochs", pa.int64(), True),
        ("shuffle", pa.bool_(), True),
        ("record_kernel_every", pa.int64(), True),
        ("steps", pa.int64(), True),
        ("steps_per_epoch", pa.int64(), True),
        ("losses", pa.list_(pa.float64()), True),
        ("running_losses", pa.list_(pa.float64()), True),
        ("accuracies", pa.list_(pa.float64()), True),
        ("initial_loss", pa.float64(), True),
        ("final_loss", pa.float64(), True),
        ("final_accuracy", pa.float64(), True),
        ("initial_outputs", pa.list_(pa.float64()), True),
        ("outputs", pa.list_(pa.float64()), True),
        ("flow_losses", pa.list_(pa.float64()), True),
        ("descent_losses", pa.list_(pa.float64()), True),
        ("linearised_losses", pa.list_(pa.float64()), True),
        ("kernel_epochs", pa.list_(pa.int64()), True),
        ("kernel_changes", pa.list_(pa.float64()), True),
        ("kernel_lambda_min", pa.list_(pa.float64()), True),
        ("kernel_lambda_min_errors", pa.list_(pa.float64()), True),
        ("kernel_lambda_max", pa.list_(pa.float64()), True),
        ("kernel_alignments", pa.list_(pa.float64()), True),
        ("training_seconds", pa.float64(), True),
        ("optimiser", pa.string(), True),
        ("centre_outputs", pa.bool_(), True),
        ("stop_at_loss", pa.float64(), True),
        ("flow_time", pa.float64(), True),
        ("flow_tolerance", pa.float64(), True),
        ("linear_stability", pa.float64(), True),
        ("residual_rate", pa.float64(), True),
        ("residual_complexity", pa.float64(), True),
        ("residual_complexity_error", pa.float64(), True),
        ("flow_steps_missed", pa.int64(), True),
        ("times", pa.list_(pa.float64()), True),
        ("local_rates", pa.list_(pa.float64()), True),
        ("kernel_drifts", pa.list_(pa.float64()), True),
        ("leave_one_out_loss", pa.float64(), True),
        ("leave_one_out_loss_error", pa.float64(), True),
        ("test_losses", pa.list_(pa.float64()), True),
        ("test_accuracies", pa.list_(pa.float64()), True),
        ("final_test_loss", pa.float64(), True),
        ("final_test_accuracy", pa.float64(), True),
        ("initial_test_outputs", pa.list_(pa.float64()), True),
        ("test_outputs", pa.list_(pa.float64()), True),
        ("flow_test_losses", pa.list_(pa.float64()), True),
        ("flow_test_loss_errors", pa.list_(pa.float64()), True),
        ("flow_test_accuracies", pa.list_(pa.float64()), True),
        *(
            (f"{kernel}_test_{quantity}", pa.float64(), True)
            for kernel in ("ntk", "limit", "nngp")
            for quantity in ("loss", "loss_error", "accuracy")
        ),
    ],
}
"""Groups of result columns. A task names its groups in `ntk_sweep.settings.tasks`."""

_PROVENANCE = [
    ("status", pa.string(), False),
    ("error", pa.string(), True),
    ("seconds", pa.float64(), True),
    ("finished_at", pa.timestamp("us", tz="UTC"), False),
    ("device", pa.string(), True),
    ("host", pa.string(), False),
    ("version", pa.string(), False),
    ("torch_version", pa.string(), True),
    ("python_version", pa.string(), False),
    ("git_commit", pa.string(), True),
]


BEFORE = {"weight_std": 1.0, "bias_std": 1.0, "optimiser": "sgd", "centre_outputs": False}
"""What rows of earlier versions, which lack these columns, were computed with."""


def agreeing(rows: pd.DataFrame, values: Mapping[str, Any]) -> pd.Series:
    """Which rows have these values; None stands for a null."""
    alike = [
        rows[name].isna() if value is None else rows[name] == value
        for name, value in values.items()
    ]
    return reduce(and_, alike)


def schema(task: str) -> pa.Schema:
    """The Arrow schema of the rows of `task`, with its version in the metadata.

    >>> schema("spectrum").field("lambda_min").type
    DataType(double)
    """
    groups = [_COORDINATES, *(_RESULTS[group] for group in TASKS[task].columns), _PROVENANCE]
    fields = [pa.field(name, kind, nullable) for group in groups for name, kind, nullable in group]
    metadata = {VERSION_KEY: str(SCHEMA_VERSION), WRITER_KEY: __version__, b"ntk_sweep.task": task}
    return pa.schema(fields, metadata=metadata)


def stored_form(row: dict[str, Any], task: str) -> dict[str, Any]:
    """A row as it is read back: every column of `task`, None where the row holds nothing."""
    return pa.Table.from_pylist([row], schema=schema(task)).to_pylist()[0]
