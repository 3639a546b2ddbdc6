"""Fills docs/reference/results.md with why λ_min falls with depth, and criticality.md with a plane.

    python -m docs.tools.phases RESULTS_PHASES

RESULTS_PHASES holds the rows of ``ntk-sweep run +experiment=edge_of_chaos``, and those of
``phase_diagram`` and ``phase_diagram_training``, which docs/theory/criticality.md shows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from docs.tools.pages import fill, write_csv
from ntk_sweep import mean_field
from ntk_sweep.analysis.chapters.phases.composition import CHAPTER
from ntk_sweep.analysis.chapters.phases.numbers import SCALES
from ntk_sweep.analysis.drawing.axes import PAPER, grid, log_limits, log_ticks
from ntk_sweep.analysis.drawing.rendering import render, style
from ntk_sweep.analysis.rows.activations import activation_title, activations
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN, LIMIT_LAMBDA_MIN, QUANTITIES
from ntk_sweep.analysis.rows.study import Study, put_together, studies
from ntk_sweep.analysis.writing.entries import Entry, number
from ntk_sweep.analysis.writing.tables import Table, markdown

DOCS = Path(__file__).parents[1]
NAME = "phases"

PLANES = {
    "phases-tanh-width200": "Tanh, width 200, over the variances of weights and biases",
    "phases-layers-width1000": "The factor of λ_min of a layer against χ₁, width 1000",
}
"""The figures of the chapter that the page shows, in words."""

THESIS = "thesis"
"""The scales σ_w = σ_b = 1."""

LINES = {
    THESIS: (r"the thesis's $\sigma_w=\sigma_b=1$ (ordered)", "#000000", "s"),
    "ordered": ("ordered", "#0072B2", "o"),
    "critical": ("edge", "#009E73", "^"),
    "chaotic": ("chaotic", "#D55E00", "v"),
}
"""Of each phase its name in the legend, its colour and its marker."""

CONDITION = QUANTITIES["condition_number"]
FIRST = 3
"""The depth from which factors are taken: before it λ_min rises for some activations."""

SAME = 1e-6
"""Relative difference of condition numbers that rounding leaves, with room."""

PANELS = 3
"""Activations side by side."""


def main(results: str, docs: Path = DOCS) -> None:
    """Fills both pages, the tables beside them and the figures."""
    planes = {one.group.parametrisation: one for one in put_together(studies(results), SCALES)}
    depths(planes["thesis"], docs)
    plane(planes["ntk"], docs)


def depths(study: Study, docs: Path) -> None:
    """The answer: λ_min against depth."""
    table = lines(study)
    page = docs / "reference" / "results.md"
    figure = docs / "figures" / f"{NAME}.png"
    figure.write_bytes(render(depth_figure(table), "png"))
    shown = markdown(factor_table(factors(table))).split("\n\n")
    target = page.parent / "tables" / f"{NAME}.csv"
    write_csv(target, shown[1].splitlines())
    parts = [
        answer(factors(table)),
        f"![λ_min and condition number against depth, by phase](../figures/{figure.name})",
        f"[{shown[0]}](tables/{target.name})",
    ]
    fill(page, NAME, "\n\n".join(parts))


def plane(study: Study, docs: Path) -> None:
    """The chapter on phases: one of its planes, and the factors of a layer."""
    page = docs / "theory" / "criticality.md"
    content = CHAPTER.content(study)
    (table,) = content.tables
    assert table.table is not None
    shown = markdown(table.table).strip().split("\n\n")
    target = page.parent / "tables" / f"{NAME}.csv"
    write_csv(target, shown[1].splitlines())
    parts = []
    for figure in content.figures:
        if figure.name in PLANES:
            path = docs / "figures" / f"{figure.name}.png"
            path.write_bytes(render(figure.draw(), "png"))
            parts.append(f"![{PLANES[figure.name]}](../figures/{path.name})")
    caption = shown[0].removesuffix(f" ({study.group.title})")
    parts.append("\n\n".join([f"[{caption}](tables/{target.name})", *shown[2:]]))
    fill(page, NAME, "\n\n".join(parts))


def lines(study: Study) -> pd.DataFrame:
    """λ_min and condition number of each activation, phase and depth, over seeds.

    Returns:
        `act`, `line` (of `LINES`), `depth`, `weight_std`, `bias_std`, `chi`, `seeds`, and of both
        quantities the geometric mean with the least and the greatest (`_low`, `_high`); `limit`,
        λ_min of the infinite-width kernel.
    """
    place = study.group.coordinates
    table = study.cells()[[*place, "seeds"]]
    named = {"geometric_mean": "", "least": "_low", "greatest": "_high"}
    for quantity in (LAMBDA_MIN, CONDITION):
        own = study.cells(quantity)[[*place, *named]]
        renamed = {name: quantity.name + end for name, end in named.items()}
        table = table.merge(own.rename(columns=renamed), on=place)
    limit = study.cells(LIMIT_LAMBDA_MIN)[[*place, "geometric_mean"]]
    table = table.merge(limit.rename(columns={"geometric_mean": "limit"}), on=place)
    found = [
        mean_field(act, weight, bias)
        for act, weight, bias in table[["act", "weight_std", "bias_std"]].itertuples(index=False)
    ]
    usual = (table["weight_std"] == 1) & (table["bias_std"] == 1)
    phases = pd.Series([one.phase for one in found], table.index)
    return table.assign(line=phases.mask(usual, THESIS), chi=[one.slope for one in found])


def factors(table: pd.DataFrame) -> pd.DataFrame:
    """By which factor a layer more multiplies λ_min and condition number, from depth `FIRST` on.

    Between `FIRST` and the greatest depth at which both are resolved.

    Args:
        table: From `lines`.
    """
    made = []
    for (act, line), own in table.groupby(["act", "line"], sort=False):
        known = own[own[LAMBDA_MIN.name].notna()].sort_values("depth")
        first, last = known[known["depth"] == FIRST].iloc[0], known.iloc[-1]
        count = int(last["depth"]) - FIRST
        entry = {"act": act, "line": line, "chi": first["chi"], "last": int(last["depth"])}
        entry |= {name: first[name] for name in ("weight_std", "bias_std")}
        entry["seeds"] = int(own["seeds"].min())
        for quantity in (LAMBDA_MIN, CONDITION):
            name = quantity.name
            entry |= {f"{name}_first": first[name], f"{name}_last": last[name]}
            entry[name] = (last[name] / first[name]) ** (1 / count)
        made.append(entry)
    return pd.DataFrame(made)


def answer(table: pd.DataFrame) -> str:
    """The question's answer in sentences, from `factors`."""
    by = {str(line): own.set_index("act") for line, own in table.groupby("line", sort=False)}
    order, edge, chaos = (by[line] for line in (THESIS, "critical", "chaotic"))
    falls, count = int((order[LAMBDA_MIN.name] < 1).sum()), len(order)
    said = [
        f"At the thesis's scales {int((order['chi'] < 1).sum())} of {count} activations are in the "
        f"ordered phase (χ₁ is {_span(order['chi'])}). λ_min falls with depth for {falls}: a layer "
        f"more multiplies it by {_span(order[LAMBDA_MIN.name])}, and the condition number by "
        f"{_span(order[CONDITION.name])} (from depth {FIRST} to {int(order['last'].max())}"
        f"{_shorter(order)})."
    ]
    rising, better = [], []
    for own, where in ((edge, "on the edge"), (chaos, "in chaos")):
        one, other = own[LAMBDA_MIN.name], own[CONDITION.name]
        rising.append(
            f"{where} for {int((one > 1).sum())} of {len(own)} (times {_span(one)} a layer)"
        )
        better.append(f"{int((other < 1).sum())} (times {_span(other)})")
    said.append(
        f"It rises {' and '.join(rising)}, and the condition number falls for "
        f"{' and '.join(better)}."
    )
    rises = all((own[LAMBDA_MIN.name] > 1).all() for own in (edge, chaos))
    said.append(
        "So it is the choice of scales, not the networks."
        if falls == count and rises
        else "So it is not the choice of scales alone."
    )
    said += _without_biases(by)
    return " ".join(said)


def _shorter(own: pd.DataFrame) -> str:
    """The activations whose λ_min is unresolved at the greatest depth."""
    less = own[own["last"] < own["last"].max()]
    return "".join(f"; {activation_title(str(act))} {last}" for act, last in less["last"].items())


def _without_biases(by: dict[str, pd.DataFrame]) -> list[str]:
    """Where σ_w only multiplies the kernel, as a sentence; none if it does so nowhere."""
    together = pd.concat([by[line][f"{CONDITION.name}_last"] for line in list(LINES)[1:]], axis=1)
    equal = together.max(axis=1) / together.min(axis=1) - 1 < SAME
    acts = [activation_title(str(act)) for act in together.index[equal]]
    if not acts:
        return []
    return [
        f"For {' and '.join(acts)} σ_w without biases does no more than multiply Θ, so that the "
        "condition number is the same in all three phases: there the biases raise it in the "
        "thesis, and σ_w decides only whether the whole of Θ grows or shrinks."
    ]


def factor_table(table: pd.DataFrame) -> Table:
    """`factors` to be read."""
    rows: list[list[Entry]] = []
    for act in activations(table["act"]):
        for line in LINES:
            for one in table[(table["act"] == act) & (table["line"] == line)].to_dict("records"):
                entries: list[Entry] = [activation_title(act), line]
                entries += [number(one[name] ** 2) for name in ("weight_std", "bias_std")]
                entries += [number(one["chi"], 3), one["seeds"], one["last"]]
                for quantity in (LAMBDA_MIN, CONDITION):
                    ends = (f"{quantity.name}_first", f"{quantity.name}_last", quantity.name)
                    entries += [number(one[name], 3) for name in ends]
                rows.append(entries)
    columns = ["Activation", "line", "σ_w²", "σ_b²", "χ₁", "seeds", "last depth"]
    for symbol in ("λ_min", "λ_max/λ_min"):
        columns += [f"{symbol}, depth {FIRST}", f"{symbol}, last depth", f"factor of {symbol}"]
    caption = "λ_min and condition number against depth in order, on the edge and in chaos"
    return Table(caption, columns, rows)


def depth_figure(table: pd.DataFrame) -> Figure:
    """λ_min, and below it the condition number, against depth, a column an activation.

    Args:
        table: From `lines`.
    """
    acts = activations(table["act"])
    blocks = [acts[start : start + PANELS] for start in range(0, len(acts), PANELS)]
    with style():
        figure = Figure(figsize=(PAPER, 0.8 + 3.1 * len(blocks)), layout="constrained")
        panels = figure.subplots(2 * len(blocks), PANELS, squeeze=False, sharex=True)
        for axes, act, quantity in _places(panels, blocks):
            own = table[table["act"] == act]
            _draw(axes, own, quantity.name)
            values = [own[f"{quantity.name}{end}"].to_numpy() for end in ("_low", "_high")]
            limits = log_limits(*values)
            axes.set(yscale="log", ylim=limits)
            log_ticks(axes.yaxis, *limits)
            axes.yaxis.set_minor_locator(NullLocator())
            axes.tick_params(labelsize=7.5)
            grid(axes)
            if quantity is LAMBDA_MIN:
                axes.set_title(activation_title(act), fontsize=9)
            if act in [block[0] for block in blocks]:
                axes.set_ylabel(quantity.symbol)
        for axes in panels[-1]:
            axes.set_xlabel("depth")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=4, fontsize=8)
        return figure


def _places(panels: np.ndarray, blocks: Sequence[Sequence[str]]) -> Iterator[tuple]:
    """Every panel with its activation and quantity."""
    for block, block_acts in enumerate(blocks):
        for column, act in enumerate(block_acts):
            for row, quantity in enumerate((LAMBDA_MIN, CONDITION)):
                yield panels[2 * block + row, column], act, quantity


def _draw(axes: Axes, own: pd.DataFrame, name: str) -> None:
    for line, (words, colour, marker) in LINES.items():
        curve = own[own["line"] == line].sort_values("depth")
        thesis = line == THESIS
        axes.fill_between(
            curve["depth"], curve[f"{name}_low"], curve[f"{name}_high"], color=colour, alpha=0.15
        )
        axes.plot(
            curve["depth"],
            curve[name],
            marker=marker,
            color=colour,
            markersize=4 if thesis else 3,
            linewidth=1.8 if thesis else 1.1,
            label=words,
            zorder=4 if thesis else 3,
        )
        if name == LAMBDA_MIN.name:
            axes.plot(curve["depth"], curve["limit"], "--", color=colour, linewidth=0.8)


def _span(values: pd.Series) -> str:
    low, high = (number(float(end), 2) for end in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
