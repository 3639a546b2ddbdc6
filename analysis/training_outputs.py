"""Writes the tables and figures of training runs as files, a set for each setting of a group."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis import (
    bounds,
    curves,
    drift,
    drift_figures,
    speed,
    speed_figures,
    speed_tables,
    verdict,
)
from analysis.formats import Table, csv
from analysis.frame import AnalysisError, Group
from analysis.outputs import write, write_figure, write_table
from analysis.runs import Runs, choose, network_name, runs

Written = tuple[list[Table], list[Path]]
"""Tables to print, and the files."""


def training_files(
    group: Group, output: Path, names: Sequence[str] = (), best: bool = False
) -> Written:
    """Loss curves of chosen networks, and beside their predictions.

    Args:
        group: The runs.
        output: A folder.
        names: Networks, as on the command line.
        best: Whether the best of each activation by λ_min are meant.

    Raises:
        AnalysisError: There are none, or too many.
    """
    tables, written = [], []
    for chosen, name in _chosen(group, names, best):
        points = curves.courses(chosen)
        table = curves.outcome_table(chosen)
        tables.append(table)
        written += write_table(
            output / f"training{name}-{chosen.slug}", curves.outcomes(points), table
        )
        title = f"{group.title}\n{chosen.setting.title}"
        written += write_figure(
            output / f"curves{name}-{chosen.slug}", curves.course_figure(points, title), points
        )
        written += write_figure(
            output / f"predicted{name}-{chosen.slug}",
            curves.prediction_figure(points, title),
            points,
        )
    return tables, written


def bounds_files(
    group: Group, output: Path, names: Sequence[str] = (), best: bool = False
) -> Written:
    """The loss of chosen networks against the bounds that λ_min gives; without a choice that of
    Figure 11.

    Raises:
        AnalysisError: There are no such runs, or λ_min is resolved in none.
    """
    chosen_names = names or ([] if best else [network_name(bounds.FIGURE_11)])
    tables, written = [], []
    for chosen, name in _chosen(group, chosen_names, best):
        values = bounds.bound_values(chosen)
        table = bounds.violation_table(chosen, values)
        tables.append(table)
        written += write_table(
            output / f"bounds{name}-{chosen.slug}", bounds.violations(values), table
        )
        figure = bounds.bound_figure(chosen, values, f"{group.title}\n{chosen.setting.title}")
        written += write_figure(output / f"bounds{name}-{chosen.slug}", figure)
        # The table has the name with .csv.
        written.append(write(output / f"bounds-curves{name}-{chosen.slug}.csv", csv(values)))
    return tables, written


def drift_files(group: Group, output: Path) -> Written:
    """How far the kernel moves during training.

    Raises:
        AnalysisError: No run recorded its kernel.
    """
    every = [one for one in runs(group) if drift.recorded(one)]
    if not every:
        raise AnalysisError(drift.missing(group))
    tables: list[Table] = []
    written: list[Path] = []
    for one in every:
        points = drift.drift(one)
        fits = drift.slopes(points)
        title = f"{group.title}\n{one.setting.title}"
        pair = (drift.slope_table(one, points, fits), drift.end_table(one, points))
        tables += pair
        written += write_table(output / f"drift-slopes-{one.slug}", fits, pair[0])
        written += write_table(
            output / f"drift-ends-{one.slug}", drift.over_seeds(drift.at_the_end(points)), pair[1]
        )
        if len(fits):
            figure = drift_figures.width_figure(points, fits, title)
            written += write_figure(
                output / f"drift-width-{one.slug}",
                figure,
                drift.over_seeds(drift.at_the_end(points)),
            )
        for depth in sorted(points["depth"].unique()):
            figure = drift_figures.epoch_figure(points, int(depth), f"{title}, depth {depth}")
            own = drift.over_seeds(points[points["depth"] == depth])
            written += write_figure(output / f"drift-epochs-depth{depth}-{one.slug}", figure, own)
    return tables, written


def speed_files(
    group: Group, output: Path, thresholds: Sequence[float] = speed.THRESHOLDS
) -> Written:
    """Which quantity known before training ranks the networks by epochs to a loss.

    Args:
        group: The runs; settings with fewer than `analysis.speed.LEAST_NETWORKS` networks are left
            out.
        output: A folder.
        thresholds: The losses; what too few networks reach appears in the summary only.

    Raises:
        AnalysisError: No setting has enough networks.
    """
    settings = [one for one in runs(group) if len(one.networks) >= speed.LEAST_NETWORKS]
    if not settings:
        most = max(len(one.networks) for one in runs(group))
        raise AnalysisError(
            f"{group.title}: a ranking needs at least {speed.LEAST_NETWORKS} networks trained in "
            f"the same way, and there are at most {most}: train more with\n"
            f"  {group.command('+experiment=speed_study')}"
        )
    every = [(one, speed.correlations(one, thresholds)) for one in settings]
    summary = verdict.answer_table(every)
    tables = [summary]
    written = write_table(output / f"speed-{group.slug}", speed_tables.numbers(every), summary)
    for threshold in thresholds:
        name = f"loss{threshold:g}"
        shown = [
            (one, frame)
            for one, frame in every
            if frame.loc[frame["threshold"] == threshold, "rho"].notna().any()
        ]
        for one, frame in shown:
            table = speed_tables.ranking_table(one, frame, threshold)
            tables.append(table)
            own = speed_tables.numbers([(one, frame[frame["threshold"] == threshold])])
            written += write_table(output / f"speed-{name}-{one.slug}", own, table)
        if shown:
            title = f"{group.title}\nepochs to a loss of {threshold:g}"
            figure = speed_figures.ranking_figure(shown, threshold, title)
            written += write_figure(
                output / f"speed-{name}-{group.slug}", figure, speed_tables.numbers(shown)
            )
            figure = speed_figures.scatter_figure(shown, threshold, title)
            points = speed_tables.scatter_numbers([one for one, _ in shown], threshold)
            written += write_figure(output / f"speed-scatter-{name}-{group.slug}", figure, points)
    return tables, written


def _chosen(group: Group, names: Sequence[str], best: bool) -> list[tuple[Runs, str]]:
    """The runs of the chosen networks by setting, and what their files are called after."""
    every = runs(group)
    networks = choose(every, names, best)
    found = []
    for one in every:
        own = [network for network in one.networks if network in networks]
        if own:
            name = (
                "-best"
                if best and not names
                else "".join(f"-{network_name(network)}" for network in own if names)
            )
            found.append((one.of(own), name))
    return found
