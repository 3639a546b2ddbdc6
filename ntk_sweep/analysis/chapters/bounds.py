"""A run against the bounds that λ_min gives: Figure 11 of the thesis.

With L = (1/N) Σ (f - y)² gradient flow of the linearised network has L(t) ≤ L(0) exp(-(4/N) λ_min
t). Du et al. (2019) take the loss ½ Σ (y - f)²; in our terms their bound (1 - η' λ_min/2)^k, with
the step η' = 2η/N of the same descent, is (1 - η λ_min/N)^k after k steps. The thesis draws (1 - η
λ_min/2)^k with its own η, and k in epochs. None of the three is a theorem for stochastic gradient
descent on a network of finite width.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.needs import a_run
from ntk_sweep.analysis.chapters.run_choice import (
    Choice,
    add_arguments,
    best_network,
    chosen_runs,
    options,
)
from ntk_sweep.analysis.drawing.axes import log_limits
from ntk_sweep.analysis.drawing.looks import COLOURS
from ntk_sweep.analysis.drawing.loss_panels import (
    band,
    ceiling,
    loss_panels,
    remark,
    remark_divergence,
)
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows.activations import activation_title
from ntk_sweep.analysis.rows.columns import SPECTRUM, TRAINING
from ntk_sweep.analysis.rows.over_seeds import ENDS, diverged_note, seeds_note
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN, trusted
from ntk_sweep.analysis.rows.runs import (
    SHOWN_NAMES,
    WINNERS,
    Runs,
    list_cells,
    network_name,
    network_title,
    rows_of,
)
from ntk_sweep.analysis.rows.study import GRID, Study
from ntk_sweep.analysis.writing.content import Content, Missing, NamedFigure, NamedTable, Section
from ntk_sweep.analysis.writing.entries import Entry, bracket
from ntk_sweep.analysis.writing.tables import Table
from ntk_sweep.dynamics.bounds import du_bound, flow_bound
from ntk_sweep.dynamics.training_time import TrainingTime
from ntk_sweep.store.columns import CELL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_11 = "relu"
"""The activation of Figure 11, which shows its best network of Table 1."""

TITLES = {
    "flow": "gradient flow",
    "du": "Du et al., k in steps",
    "thesis": "as the thesis draws it, k in epochs",
}

FORMULAS = {
    "flow": r"$e^{-(4/N)\,\lambda_{\min} t}$",
    "du": r"$(1-\eta\lambda_{\min}/N)^k$",
    "thesis": r"$(1-\eta\lambda_{\min}/2)^k$",
}

_LOOKS: dict[str, dict[str, Any]] = {
    "flow": {"linestyle": (0, (6, 1.5, 1, 1.5)), "linewidth": 1.3},
    "du": {"linestyle": (0, (5, 1.5)), "linewidth": 1.3},
    "thesis": {"linestyle": (0, (1, 1)), "linewidth": 1.6},
}
_COLOURS = {"flow": COLOURS[3], "du": COLOURS[1], "thesis": COLOURS[2]}


def bound_values(runs: Runs) -> pd.DataFrame:
    """The bounds of every run after each epoch, beside its loss.

    Args:
        runs: Those whose λ_min is not resolved, or whose loss overflows before training, are left
            out: there is no bound to draw.

    Returns:
        A row for each run and epoch: act, width, depth, seed, `epoch`, `loss` (infinite after a run
        diverged, NaN after it stopped at the loss asked for) and the bounds `flow`, `du` and
        `thesis`, of λ_min less its error bound; NaN where
        the step is so large that the factor is negative.

    Raises:
        AnalysisError: λ_min is resolved in none of the runs.
    """
    known = trusted(runs.rows.assign(status="ok"), LAMBDA_MIN) - runs.rows[
        "lambda_min_error"
    ].astype(float)
    known = known.where(np.isfinite(runs.rows["initial_loss"].astype(float)))
    if known.isna().all():
        hint = (
            ": networks of dtype=float64 have smaller errors"
            if runs.group.dtype == "float32"
            else ""
        )
        raise AnalysisError(
            f"{runs.title}: λ_min does not exceed its error bound in any run, so there is no bound "
            f"to compare with{hint}"
        )
    epochs = np.arange(runs.setting.epochs + 1)
    tables = []
    for place, row in runs.rows[known.notna()].iterrows():
        least, first, eta = float(known[place]), float(row["initial_loss"]), float(row["step_size"])
        time = TrainingTime(runs.group.n_samples, runs.setting.batch_size, eta)
        steps = time.steps(epochs)
        losses = np.asarray(row["losses"], dtype=float)
        padded = np.full(len(epochs), np.inf if row["status"] == "diverged" else np.nan)
        padded[: len(losses)] = np.where(np.isfinite(losses), losses, np.inf)
        tables.append(
            pd.DataFrame(
                {
                    **{name: row[name] for name in (*CELL, "seed")},
                    "epoch": epochs,
                    "loss": padded,
                    "flow": flow_bound(first, least, runs.group.n_samples, time.flow_time(steps)),
                    "du": du_bound(first, least, runs.group.n_samples, eta, steps)
                    if eta * least <= runs.group.n_samples
                    else np.nan,
                    "thesis": first * (1 - eta * least / 2) ** epochs
                    if eta * least <= 2
                    else np.nan,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def violations(values: pd.DataFrame) -> pd.DataFrame:
    """Whether and when the loss exceeds a bound.

    Args:
        values: From `bound_values`.

    Returns:
        A row for each network and bound: `seeds` (with the bound), `exceeding` (how many of them
        ever do), `first`, `first_low` and `first_high` epoch at which the loss exceeds the bound
        (over those seeds), `epochs` (in which share of all epochs it does), and `ratio`,
        `ratio_low`, `ratio_high`: the final loss over the bound then. Epochs after a run stopped do
        not count.
    """
    rows = []
    for network in list_cells(values):
        for name in TITLES:
            own = rows_of(values, network).dropna(subset=[name, "loss"])
            # Before training, loss and bound are the same number.
            above = own[(own["epoch"] > 0) & (own["loss"] > own[name])]
            first = above.groupby("seed")["epoch"].min()
            final = own.groupby("seed").tail(1)
            ratio = (final["loss"] / final[name]).to_numpy()
            line: dict[str, object] = dict(zip(CELL, network, strict=True))
            line |= {"bound": name, "seeds": own["seed"].nunique(), "exceeding": len(first)}
            line |= dict(
                zip((f"first{end}" for end in ENDS), _ends(first.to_numpy(float)), strict=True)
            )
            line |= {"epochs": len(above) / max((own["epoch"] > 0).sum(), 1)}
            line |= dict(zip((f"ratio{end}" for end in ENDS), _ends(ratio), strict=True))
            rows.append(line)
    return pd.DataFrame(rows)


def violation_table(runs: Runs, values: pd.DataFrame) -> Table:
    """`violations` to be read."""
    rows: list[list[Entry]] = []
    for line in violations(values).to_dict("records"):
        network = (line["act"], line["width"], line["depth"])
        first = f"{line['first_low']:.0f}" if line["exceeding"] else "—"
        if line["exceeding"] and line["first_high"] > line["first_low"]:
            first += f" to {line['first_high']:.0f}"
        rows.append(
            [
                network_title(network),
                TITLES[line["bound"]],
                _seeds(line),
                first,
                f"{100 * line['epochs']:.0f} %" if line["seeds"] else "—",
                bracket(line, "ratio"),
            ]
        )
    left_out = len(runs.rows) - len(values[[*CELL, "seed"]].drop_duplicates())
    notes = [
        "Gradient flow: L(0) exp(-(4/N) λ_min t). Du et al. (2019), in the loss and step of these "
        "runs: (1 - η λ_min/N)^k L(0) after k steps. As the thesis draws it: (1 - η λ_min/2)^k "
        "L(0) after k epochs. λ_min is that of the kernel at initialisation, less its error bound, "
        "and each run is compared with the bounds of its own λ_min.",
        "None of them is a theorem for these runs: the first is one for gradient flow with a "
        "constant kernel, the second for full-batch descent of a very wide two-layer ReLU network.",
        seeds_note(runs.rows, "the final loss over the bound"),
        *diverged_note(runs.rows),
    ]
    if values[list(TITLES)].isna().any(axis=None):
        notes.append(
            "No bound: the step is so large that the factor of the bound is negative (η λ_min "
            "above N, or above 2)."
        )
    if left_out:
        why = "their λ_min does not exceed its error bound, or their loss overflows before training"
        notes.append(f"{left_out} of {len(runs.rows)} runs are left out: {why}.")
    columns = [
        "Network",
        "bound",
        "loss above it",
        "first at epoch",
        "share of epochs",
        "final loss over bound",
    ]
    return Table(
        f"The measured loss against bounds from λ_min ({runs.title})", columns, rows, notes
    )


def relative(values: pd.DataFrame) -> pd.DataFrame:
    """Loss and bounds over the loss before training of the same run, over seeds.

    What remains of the spread of a bound is that of λ_min.

    Args:
        values: From `bound_values`.

    Returns:
        A row for each network and epoch: act, width, depth, `epoch`, `seeds`, and of `loss` and
        each bound the median and, as `NAME_low` and `NAME_high`, the least and greatest finite
        value.
    """
    names = ["loss", *TITLES]
    runs = values.groupby([*CELL, "seed"], sort=False)["loss"]
    first = runs.transform("first")
    # A run that stopped keeps its last loss, as in the figures of training.
    parts = values.assign(loss=runs.ffill())
    parts[names] = parts[names].div(first, axis=0)
    by = [*CELL, "epoch"]
    finite = parts.replace(np.inf, np.nan).groupby(by, sort=False)
    grouped = parts.groupby(by, sort=False)
    ends = (
        grouped["seed"].nunique().rename("seeds"),
        grouped[names].median(),
        finite[names].min().add_suffix("_low"),
        finite[names].max().add_suffix("_high"),
    )
    return pd.concat(ends, axis=1).reset_index()


def bound_figure(runs: Runs, values: pd.DataFrame, subtitle: str = "") -> Figure:
    """L / L(0) over epochs and its bounds, medians and ranges over seeds, a panel a network.

    Args:
        runs: Whose λ_min is resolved.
        values: From `bound_values`.
        subtitle: Above the panels.
    """
    networks = list_cells(values)
    points = relative(values)
    shown = [points[f"loss{end}"].to_numpy() for end in ("_low", "_high")]
    floor = log_limits(*shown)[0] / 30
    limits = log_limits(
        *shown,
        *(points[name].to_numpy() for name in TITLES),
        floor=floor,
        ceiling=ceiling(points),
    )
    with style():
        figure, panels = loss_panels(networks, 3, runs.setting.epochs, limits, subtitle)
        for place, (network, axes) in enumerate(panels.items()):
            own = rows_of(points, network)
            band(axes, own, "loss", COLOURS[0], "measured" if place == 0 else "", linewidth=1.6)
            remark_divergence(axes, own, "loss", COLOURS[0], "measured")
            for name, title in TITLES.items():
                label = f"{title}: {FORMULAS[name]}" if place == 0 else ""
                # Filled ranges of three bounds would mix to a colour of none.
                band(axes, own, name, _COLOURS[name], label, filled=False, **_LOOKS[name])
                for end in ENDS[1:] if own["seeds"].max() > 1 else ():
                    axes.plot(
                        own["epoch"], own[f"{name}{end}"], color=_COLOURS[name], linewidth=0.5
                    )
                if own[name].isna().all():
                    remark(axes, f"{title.partition(',')[0]}: no bound", _COLOURS[name])
            axes.set_ylabel(axes.get_ylabel() and r"$L\,/\,L(0)$")
        figure.legend(loc="outside lower left", ncols=2, fontsize=8, handlelength=3.2)
        return figure


def alt_text(values: pd.DataFrame) -> str:
    """The figure in words, for those who cannot see it."""
    texts = []
    for line in violations(values).to_dict("records"):
        network = network_title((line["act"], line["width"], line["depth"]))
        texts.append(f"{network} above the bound of {TITLES[line['bound']]}: {_seeds(line)}")
    return (
        "Loss over that before training, over epochs, beside three bounds from the smallest "
        "eigenvalue, on logarithmic axes: "
        f"{'; '.join(texts)}."
    )


def _seeds(line: dict) -> str:
    """In how many seeds the loss exceeds a bound."""
    if not line["seeds"]:
        return "no bound"
    return f"{line['exceeding']} of {line['seeds']} seeds" if line["exceeding"] else "never"


def _ends(values: np.ndarray) -> tuple[float, float, float]:
    """Median, least and greatest; NaN of nothing."""
    if not len(values):
        return np.nan, np.nan, np.nan
    return float(np.median(values)), float(values.min()), float(values.max())


LEAD = (
    "The loss over epochs and the bounds that λ_min gives for it, both over the loss before "
    "training: medians over seeds, with a band or thin lines at the least and greatest. None of "
    "the bounds is a theorem for these networks."
)


def _compose(study: Study, choice: Choice = Choice()) -> Content:  # noqa: B008 # frozen
    """The network of Figure 11, or those of a choice."""
    if choice != Choice():
        return Content(LEAD, [_section(one, name) for one, name in chosen_runs(study, choice)])
    best = best_network(study, FIGURE_11)
    if best is None:
        title = activation_title(FIGURE_11)
        sentence = (
            f"Figure 11 shows the {title} network with the greatest mean λ_min, and there is no "
            f"{title} network with a resolved λ_min."
        )
        return Content(missing=_missing(study, sentence, (GRID,)))
    own = [one.of([best]) for one in study.runs if best in one.networks]
    # The column may hold None.
    resolved = [one for one in own if one.rows["lambda_min_resolved"].eq(True).any()]
    if resolved:
        return Content(LEAD, [_section(one, "") for one in resolved])
    sentence = (
        f"There is no run with a resolved λ_min of {network_title(best)}, the "
        f"{activation_title(FIGURE_11)} network with the greatest mean λ_min."
    )
    return Content(missing=_missing(study, sentence, CHAPTER.makes))


def _missing(study: Study, sentence: str, makes: Sequence[str]) -> Missing:
    """What is missing of Figure 11, and what makes it or may be drawn instead."""
    command = study.group.command(*makes)
    trained = list(dict.fromkeys(network_name(n) for one in study.runs for n in one.networks))
    listed = ", ".join(trained[:SHOWN_NAMES])
    more = f", … and {len(trained) - SHOWN_NAMES} more" if len(trained) > SHOWN_NAMES else ""
    message = (
        f"{study.group.title}: {sentence} Make it with\n  {command}\n"
        f"or choose of those that were trained, with --network:\n  {listed}{more}"
    )
    return Missing(sentence, command, message)


def _section(chosen: Runs, named: str) -> Section:
    """The table and the figure of some networks."""
    values = bound_values(chosen)
    title = f"{chosen.group.title}\n{chosen.setting.title}"
    stem = f"{named}-{chosen.setting.slug}"
    table = violation_table(chosen, values)
    draw = partial(bound_figure, chosen.light(), values, title)
    figure = NamedFigure(
        f"bounds{stem}", alt_text(values), draw, values, numbers_name=f"bounds-curves{stem}"
    )
    tables = [NamedTable(f"bounds{stem}", table, violations(values))]
    return Section(tables, [figure], chosen.setting.title)


CHAPTER = Chapter(
    name="bounds",
    title="Bounds from λ_min (Figure 11)",
    compose=_compose,
    command=Command(
        "bounds",
        "the loss of a network against the bounds that λ_min gives",
        "Prints whether and when the loss exceeds each bound, and writes bounds-… (the curves as "
        "bounds-curves-….csv): the bound of gradient flow, that of Du et al. in steps, and the one "
        "that the thesis draws, in epochs. Without a choice: the ReLU network with the "
        "greatest mean λ_min in RESULTS/spectrum, Figure 11 of the thesis.",
        ("bounds results", "bounds results --best", "bounds results --network sigmoid-300x8"),
        add_arguments,
        options,
    ),
    need=a_run,
    makes=(WINNERS, "seed=range(0,5)"),
    tasks=(TRAINING, SPECTRUM),
)
