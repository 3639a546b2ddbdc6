"""Why points have no result."""

from __future__ import annotations

import pandas as pd

DIVERGED = "the loss overflowed in training; the row keeps its history up to there"


def commonest_reason(rows: pd.DataFrame) -> str:
    """Why most of the rows without a result have none."""
    return str(
        pd.Series([reason(row) for row in rows[rows["status"] != "ok"].to_dict("records")])
        .mode()
        .iloc[0]
    )


def reason(row: dict) -> str:
    """Why a row has no result, in a line."""
    diverged = row["status"] == "diverged" and not isinstance(row["error"], str)
    return DIVERGED if diverged else _last_line(row["error"])


def _last_line(error: object) -> str:
    """The line of a traceback that says what went wrong."""
    lines = str(error).strip().splitlines() if isinstance(error, str) else []
    return lines[-1] if lines else "no reason recorded"
