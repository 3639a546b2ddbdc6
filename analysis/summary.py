"""What was run: the facts about a group of rows that stand at the head of a report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from analysis.formats import Table
from analysis.frame import SETTING, SHOWN_DIGITS, Group, activation_title, activations

SHOWN_FAILURES = 50
"""Points that a page names; all of them stand in the store."""

SHOWN_VALUES = 8
"""Values of a coordinate that are listed one by one; of more only the range."""


DIVERGED = "the loss overflowed in training; the row keeps its history up to there"


@dataclass(frozen=True)
class Failure:
    """A point without a result.

    Attributes:
        point: Its coordinates.
        status: "failed" or "diverged".
        reason: The last line of its traceback.
    """

    point: str
    status: str
    reason: str


@dataclass(frozen=True)
class Summary:
    """What was run.

    Attributes:
        facts: Names and values, in the order to print them.
        failures: The first `SHOWN_FAILURES` points without a result.
        failed: How many there are.
    """

    facts: list[tuple[str, str]]
    failures: list[Failure]
    failed: int


def summarise(group: Group, training: Group | None = None) -> Summary:
    """The summary of a group's rows.

    Args:
        group: The spectra, of which there may be none.
        training: The training runs of the same data and parametrisation.
    """
    trained = [training.rows] if training is not None else []
    rows = pd.concat([frame for frame in (group.rows, *trained) if len(frame)], ignore_index=True)
    ok = rows[rows["status"] == "ok"]
    bad = rows[rows["status"] != "ok"]
    cells = rows[["act", "width", "depth"]].drop_duplicates()
    product = cells["act"].nunique() * cells["width"].nunique() * cells["depth"].nunique()
    data = f"{group.data}, fingerprint {group.fingerprint[:SHOWN_DIGITS]}…"
    inputs = f"{group.n_samples} of size {group.n_inputs}"
    if group.classes:
        inputs += f", classes {' and '.join(map(str, group.classes))}"
    facts = [
        ("Points", _counts(group.rows) if len(group.rows) else ""),
        ("Training runs", _counts(training.rows) + _ways(training.rows) if training is not None else ""),
        ("Networks", f"{len(cells)} of the {product} of the full grid of these activations, widths and depths"),
        ("Activations", _list(map(activation_title, activations(rows["act"])))),
        ("Widths", _values(rows["width"])),
        ("Depths", _values(rows["depth"])),
        ("Seeds", _values(rows["seed"])),
        ("Data", data),
        ("Inputs", inputs),
        ("Parametrisation", group.parametrisation),
        ("Precision", group.dtype),
        ("Eigenvalue method", _methods(ok)),
        ("Error bounds", _targets(ok)),
        ("Versions", _versions(rows)),
        ("Commits", _list(_short(commit) for commit in rows["git_commit"].dropna().unique())),
        ("Devices", _list(rows["device"].dropna().unique())),
        ("Computing time", f"{_duration(rows['seconds'].sum())}, summed over points"),
        ("Computed", f"{_day(rows['finished_at'].min())} to {_day(rows['finished_at'].max())}"),
    ]
    failures = [
        Failure(
            f"{activation_title(row['act'])} {row['width']} × {row['depth']}, seed {row['seed']}",
            row["status"],
            DIVERGED if row["status"] == "diverged" and not isinstance(row["error"], str) else _last_line(row["error"]),
        )
        for row in bad.iloc[:SHOWN_FAILURES].to_dict("records")
    ]
    return Summary([(name, value) for name, value in facts if value], failures, len(bad))


def _counts(rows: pd.DataFrame) -> str:
    """How many rows have which status."""
    bad = rows.loc[rows["status"] != "ok", "status"]
    return ", ".join(
        [f"{(rows['status'] == 'ok').sum()} with a result", *(f"{(bad == one).sum()} {one}" for one in sorted(bad.unique()))]
    )


def _ways(rows: pd.DataFrame) -> str:
    """In how many ways networks were trained."""
    count = len(rows[SETTING].drop_duplicates())
    return "" if count == 1 else f", trained in {count} ways"


def summary_table(group: Group) -> Table:
    """The facts of a summary as a table."""
    summary = summarise(group)
    notes = [f"{failure.point} ({failure.status}): {failure.reason}" for failure in summary.failures]
    if summary.failed > len(notes):
        notes.append(f"… and {summary.failed - len(notes)} more without a result.")
    return Table(f"What was run ({group.title})", ["Fact", "Value"], [[name, value] for name, value in summary.facts], notes)


def _methods(ok: pd.DataFrame) -> str:
    """How many networks each method took."""
    return ", ".join(f"{method} ({count})" for method, count in ok["method"].value_counts().sort_index().items())


def _targets(ok: pd.DataFrame) -> str:
    """The relative errors that were asked for, and how many spectra miss theirs."""
    asked = ok[ok["target"].notna()]
    if asked.empty:
        return ""
    targets = " or ".join(f"{target:g}" for target in sorted(asked["target"].unique()))
    missed = int((asked["meets_target"] != True).sum())  # noqa: E712 (the column may hold None)
    goal = f"at most {targets} of every eigenvalue"
    return f"{goal} in all of {len(asked)} networks" if not missed else f"{goal}; more in {missed} of {len(asked)} networks"


def _versions(rows: pd.DataFrame) -> str:
    named = [(package, rows[column].dropna().unique()) for package, column in _PACKAGES]
    return "; ".join(f"{package} {_list(versions)}" for package, versions in named if len(versions))


_PACKAGES = (("ntk-sweep", "version"), ("torch", "torch_version"), ("Python", "python_version"))


def _list(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))


def _values(column: pd.Series) -> str:
    """The values of a coordinate: all of them if few, as a range if evenly spaced, else how many between which."""
    values = sorted(map(int, column.unique()))
    if len(values) <= min(2, SHOWN_VALUES) or (len(values) <= SHOWN_VALUES and values[-1] - values[0] >= len(values)):
        return _list(map(str, values))
    steps = {after - before for before, after in pairwise(values)}
    if len(steps) > 1:
        return f"{values[0]} to {values[-1]}, {len(values)} values"
    return f"{values[0]} to {values[-1]}" + ("" if steps == {1} else f" in steps of {steps.pop()}")


def _short(commit: str) -> str:
    """The first ten digits, and whatever a commit is marked with behind them, such as "-dirty"."""
    digits, mark, rest = commit.partition("-")
    return digits[:10] + mark + rest


def _last_line(error: object) -> str:
    """The line of a traceback that says what went wrong."""
    lines = str(error).strip().splitlines() if isinstance(error, str) else []
    return lines[-1] if lines else "no reason recorded"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h {whole % 3600 // 60} min"


def _day(time: pd.Timestamp) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC")
