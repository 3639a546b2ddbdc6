"""What was run: the facts about a group of rows that stand at the head of a report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.rows.activations import activation_title, activations
from ntk_sweep.analysis.rows.columns import SPECTRUM, TRAINING
from ntk_sweep.analysis.rows.failures import reason
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.setting import Setting
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, NamedTable, Section
from ntk_sweep.analysis.writing.entries import number
from ntk_sweep.analysis.writing.tables import Table
from ntk_sweep.data.dataset import SHOWN_DIGITS
from ntk_sweep.durations import rough_duration
from ntk_sweep.store.columns import NETWORK, TRAINING_SETTING

SHOWN_FAILURES = 50
"""Points that a page names; all of them stand in the store."""

SHOWN_VALUES = 8
"""Values of a coordinate that are listed one by one; of more only the range."""


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
    rows = _every(group, training)
    ok = rows[rows["status"] == "ok"]
    bad = rows[rows["status"] != "ok"]
    cells = rows[["act", "width", "depth"]].drop_duplicates()
    data = f"{group.data}, fingerprint {group.fingerprint[:SHOWN_DIGITS]}…"
    inputs = f"{group.n_samples} of size {group.n_inputs}"
    if group.classes:
        inputs += f", classes {' and '.join(map(str, group.classes))}"
    if group.labelling.title:
        inputs += f", {group.labelling.title}"
    facts = [
        ("Points", _counts(group.rows) if len(group.rows) else ""),
        (
            "Training runs",
            _counts(training.rows) + _ways(training.rows) if training is not None else "",
        ),
        ("Networks", _networks(cells)),
        ("Activations", _list(map(activation_title, activations(rows["act"])))),
        ("Widths", _values(rows["width"])),
        ("Depths", _values(rows["depth"])),
        ("Seeds", _values(rows["seed"])),
        ("Data", data),
        ("Inputs", inputs),
        ("Parametrisation", group.scaling),
        ("Precision", group.dtype),
        ("Eigenvalue method", _methods(ok)),
        ("Error bounds", _targets(ok)),
        ("Versions", _versions(rows)),
        ("Commits", _list(_short(commit) for commit in rows["git_commit"].dropna().unique())),
        ("Devices", _list(rows["device"].dropna().unique())),
        ("Computing time", f"{rough_duration(rows['seconds'].sum())}, summed over points"),
        ("Computed", f"{_day(rows['finished_at'].min())} to {_day(rows['finished_at'].max())}"),
    ]
    failures = [
        Failure(_point(row), row["status"], reason(row))
        for row in bad.iloc[:SHOWN_FAILURES].to_dict("records")
    ]
    return Summary([(name, value) for name, value in facts if value], failures, len(bad))


def without_result(group: Group, training: Group | None = None) -> pd.DataFrame:
    """The points without a result, a row each.

    Coordinates, how they were trained, `status`, `reason` and the whole `error`.
    """
    rows = _every(group, training)
    bad = rows[rows["status"] != "ok"]
    trained = [name for name in TRAINING_SETTING if name in bad]
    reasons = pd.Series([reason(row) for row in bad.to_dict("records")], bad.index, dtype="object")
    return bad.assign(reason=reasons)[
        ["task", *NETWORK, *trained, "status", "reason", "error", "host", "finished_at"]
    ]


def _every(group: Group, training: Group | None) -> pd.DataFrame:
    """The rows of both tasks."""
    trained = [training.rows] if training is not None else []
    return pd.concat([frame for frame in (group.rows, *trained) if len(frame)], ignore_index=True)


def _point(row: dict) -> str:
    """A point in words; of a training run also how it was trained."""
    name = f"{activation_title(row['act'])} {row['width']} × {row['depth']}, seed {row['seed']}"
    if row["task"] != TRAINING or pd.isna(row.get("learning_rate")):
        return name
    return f"{name}, {Setting.of(row).title}"


def _counts(rows: pd.DataFrame) -> str:
    """How many rows have which status."""
    bad = rows.loc[rows["status"] != "ok", "status"]
    return ", ".join(
        [
            f"{(rows['status'] == 'ok').sum()} with a result",
            *(f"{(bad == one).sum()} {one}" for one in sorted(bad.unique())),
        ]
    )


def _networks(cells: pd.DataFrame) -> str:
    """How many networks there are, and how much of the grid of their coordinates they fill."""
    product = cells["act"].nunique() * cells["width"].nunique() * cells["depth"].nunique()
    if product == 1:
        return "1"
    if len(cells) == product:
        return f"{product}, all of the grid of these activations, widths and depths"
    return (
        f"{len(cells)}, of the {product} of the whole grid of these activations, widths and depths"
    )


def _ways(rows: pd.DataFrame) -> str:
    """In how many ways networks were trained."""
    count = len(rows[TRAINING_SETTING].drop_duplicates())
    return "" if count == 1 else f", trained in {count} ways"


def summary_table(group: Group, training: Group | None = None) -> Table:
    """The facts of a summary as a table."""
    summary = summarise(group, training)
    notes = [
        f"{failure.point} ({failure.status}): {failure.reason}" for failure in summary.failures
    ]
    if summary.failed > len(notes):
        notes.append(f"… and {summary.failed - len(notes)} more without a result.")
    return Table(
        f"What was run ({group.title})",
        ["Fact", "Value"],
        [[name, value] for name, value in summary.facts],
        notes,
    )


def _methods(ok: pd.DataFrame) -> str:
    """How many networks each method took."""
    return ", ".join(
        f"{method} ({count})" for method, count in ok["method"].value_counts().sort_index().items()
    )


def _targets(ok: pd.DataFrame) -> str:
    """The relative errors that were asked for, and how many spectra miss theirs."""
    asked = ok[ok["target"].notna()]
    if asked.empty:
        return ""
    targets = " or ".join(number(target, 1) for target in sorted(asked["target"].unique()))
    missed = int(asked["meets_target"].ne(True).sum())  # the column may hold None
    goal = f"at most {targets} of each eigenvalue"
    return (
        f"{goal}; more in {missed} of {len(asked)} spectra" if missed else f"{goal} in all spectra"
    )


def _versions(rows: pd.DataFrame) -> str:
    named = [(package, rows[column].dropna().unique()) for package, column in _PACKAGES]
    return "; ".join(f"{package} {_list(versions)}" for package, versions in named if len(versions))


_PACKAGES = (("ntk-sweep", "version"), ("torch", "torch_version"), ("Python", "python_version"))


def _list(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))


def _values(column: pd.Series) -> str:
    """The values of a coordinate, in words.

    All of them if few, as a range if evenly spaced, else how many between which.
    """
    values = sorted(map(int, column.unique()))
    if len(values) <= 2 or (len(values) <= SHOWN_VALUES and values[-1] - values[0] >= len(values)):
        return _list(map(str, values))
    steps = {after - before for before, after in pairwise(values)}
    if len(steps) > 1:
        return f"{values[0]} to {values[-1]}, {len(values)} values"
    return f"{values[0]} to {values[-1]}" + ("" if steps == {1} else f" in steps of {steps.pop()}")


def _short(commit: str) -> str:
    """The first ten digits, and whatever a commit is marked with behind them, such as "-dirty"."""
    digits, mark, rest = commit.partition("-")
    return digits[:10] + mark + rest


def _day(time: pd.Timestamp) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC")


def _compose(study: Study) -> Content:
    table = summary_table(study.group, study.training)
    facts = pd.DataFrame(table.rows, columns=["fact", "value"])
    tables = [NamedTable(CHAPTER.name, table, facts)]
    failed = without_result(study.group, study.training)
    if len(failed):
        tables.append(NamedTable("failures", None, failed))
    return Content(sections=[Section(tables)])


CHAPTER = Chapter(
    name="summary",
    title="What was run",
    compose=_compose,
    command=Command(
        "summary",
        "what was run, and which points failed and why",
        "Prints what was run, spectra and training, and writes summary-GROUP.csv, .md and .tex; "
        "points without a result stand in failures-GROUP.csv, each with its whole traceback.",
        ("summary results", "summary results --data digits -o tables"),
    ),
    makes=(),
    tasks=(SPECTRUM, TRAINING),
)
"""At the head of the page, in a form of its own."""
