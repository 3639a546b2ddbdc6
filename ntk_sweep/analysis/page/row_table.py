"""All rows of a study for the page: columns of numbers, words as codes, and what computes a row."""

from __future__ import annotations

import shlex
from typing import Any

import numpy as np
import pandas as pd

from ntk_sweep.analysis.page.packing import EXACT_BITS, Packer
from ntk_sweep.analysis.rows.columns import SPECTRUM, TRAINING
from ntk_sweep.analysis.rows.setting import Setting
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.settings.overrides import override
from ntk_sweep.store.columns import CELL, TRAINING_SETTING, schema

ROW_BITS = 15
"""Of a mantissa: nearly five digits, more than a scatter plot shows; the store has all."""

ROUGH_BITS = 7
"""Of times and of error bounds: two digits."""

KEY_DIGITS = 12
"""Hexadecimal digits of a row's key that tell it apart: 48 bits, which a float64 holds."""

MOST_ROWS = 25_000
"""In a page, of all groups together. Of more the page shows the first; it says so."""

FIRST = ["task", *CELL, "seed", "status", "lambda_min", "lambda_max", "condition_number"]
"""The columns that a table shows unless it is asked for others."""

_APART = {"key", "error", "kernel_file", "data_fingerprint", "test_fingerprint"}
"""Columns with a value a row that no axis can show."""


def row_table(study: Study, packer: Packer, share: float = 1.0) -> dict[str, Any] | None:
    """The rows of spectra and training runs; None where there are none.

    Args:
        study: The rows.
        packer: Takes the numbers.
        share: This group's part of what a page may hold.
    """
    rows = every_row(study)
    if not len(rows):
        return None
    kept = rows.iloc[: max(int(share * MOST_ROWS), 1)]
    key = kept["key"].astype(str).str[:KEY_DIGITS].map(_whole).to_numpy(float)
    table = packed_rows(kept, _ordered(rows), packer)
    return table | {
        "total": len(rows),
        "first": [name for name in FIRST if name in rows],
        "key": packer.add(key, EXACT_BITS),
        "commands": _commands(study, kept, packer),
    }


def packed_rows(rows: pd.DataFrame, names: list[str], packer: Packer) -> dict[str, Any]:
    """Any rows as the page reads them; their numbers in this order are their keys."""
    columns = [_column(name, rows[name], packer) for name in names]
    shown = [one for one in columns if one is not None]
    return {
        "total": len(rows),
        "count": len(rows),
        "columns": shown,
        "first": [one["name"] for one in shown],
        "key": packer.add(np.arange(len(rows), dtype=float), EXACT_BITS),
        "commands": None,
    }


def every_row(study: Study) -> pd.DataFrame:
    """Both tasks, spectra first, in a fixed order."""
    frames = [study.group.rows] if len(study.group.rows) else []
    if study.training is not None and len(study.training.rows):
        frames.append(study.training.rows)
    if not frames:
        return study.group.rows
    return pd.concat(frames, ignore_index=True)


def _whole(digits: str) -> int:
    try:
        return int(digits, 16)
    except ValueError:  # a store of other code
        return 0


def _ordered(rows: pd.DataFrame) -> list[str]:
    """The names of columns: those of a table first, then as in the schema."""
    known = [*schema(SPECTRUM).names, *schema(TRAINING).names]
    names = [*FIRST, *dict.fromkeys(known)]
    return [name for name in dict.fromkeys(names) if name in rows and name not in _APART]


def _column(name: str, values: pd.Series, packer: Packer) -> dict[str, Any] | None:
    """A column that differs somewhere, or its one value; None for lists and for nothing at all."""
    known = values.dropna()
    if known.empty or isinstance(known.iloc[0], list | np.ndarray | tuple):
        return None
    if pd.api.types.is_datetime64_any_dtype(values):
        return {"name": name, "kind": "time", "values": packer.add(_seconds(values), EXACT_BITS)}
    if isinstance(known.iloc[0], str | bool | np.bool_):
        words = values.map(_word, na_action="ignore")
        distinct = list(dict.fromkeys(words.dropna()))
        distinct = distinct if name == "act" else sorted(distinct)
        codes = words.map({word: code for code, word in enumerate(distinct)}).to_numpy(float)
        shown = {"name": name, "kind": "word", "words": distinct}
        return shown | _packed(codes, packer, EXACT_BITS)
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(float)
    finite = numbers[np.isfinite(numbers)]
    whole = len(finite) == 0 or bool((finite == np.rint(finite)).all())
    kind = "whole" if whole and schema_whole(name) else "number"
    exact = EXACT_BITS if kind == "whole" or _few(finite) else ROW_BITS
    exact = ROUGH_BITS if name.endswith(("seconds", "_error")) and exact == ROW_BITS else exact
    return {"name": name, "kind": kind} | _packed(numbers, packer, exact)


def schema_whole(name: str) -> bool:
    """Whether a column holds whole numbers by its declaration."""
    for task in (SPECTRUM, TRAINING):
        fields = schema(task)
        if name in fields.names:
            return str(fields.field(name).type).startswith("int")
    return False


def _few(values: np.ndarray) -> bool:
    """Whether a column holds settings rather than results."""
    return len(np.unique(values)) <= 20


def _packed(values: np.ndarray, packer: Packer, bits: int) -> dict[str, Any]:
    if np.isfinite(values).all() and len(np.unique(values)) == 1:
        return {"constant": float(values[0])}
    return {"values": packer.add(values, bits)}


def _seconds(values: pd.Series) -> np.ndarray:
    micro = values.astype("datetime64[us, UTC]").astype("int64").to_numpy(float)
    return np.rint(micro / 1e6)


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)


def _commands(study: Study, rows: pd.DataFrame, packer: Packer) -> dict[str, Any]:
    """What computes a row: words that all rows share, and those of its activation and task.

    The page puts `ntk-sweep run`, these, width, depth and seed together.
    """
    acts = [shlex.quote(override("act", act)) for act in dict.fromkeys(rows["act"].astype(str))]
    ways = [_way(row) for row in rows.to_dict("records")]
    distinct = list(dict.fromkeys(ways))
    shared = study.group.command().removeprefix("ntk-sweep run").strip()
    return {
        "acts": acts,
        "act": packer.add(pd.factorize(rows["act"].astype(str))[0], EXACT_BITS),
        "ways": distinct,
        "way": packer.add(np.array([distinct.index(way) for way in ways], float), EXACT_BITS),
        "shared": shared,
    }


def _way(row: dict[str, Any]) -> str:
    """The words that say what a row holds beside its network: task, training, test inputs."""
    words = []
    if row["task"] == TRAINING and not pd.isna(row.get("learning_rate")):
        words += Setting.of({name: row[name] for name in TRAINING_SETTING}).words
        every = row.get("record_kernel_every")
        if every is not None and not pd.isna(every) and every:
            words.append(f"task.record_kernel_every={int(every)}")
    elif row["task"] == TRAINING:
        words.append("task=training")
    if row.get("method") == "extreme":
        words.append("task.method=extreme")
    if isinstance(row.get("kernel_file"), str):
        words.append("task.save_kernel=true")
    tested = row.get("n_test_samples")
    if tested is not None and not pd.isna(tested):
        classes = row.get("data_classes")
        per = len(classes) if isinstance(classes, list | tuple | np.ndarray) else 0
        if per:
            words.append(f"data.n_test_per_class={int(tested) // per}")
        else:
            words.append("data.test_path=FILE.npz")
    return shlex.join(words)
