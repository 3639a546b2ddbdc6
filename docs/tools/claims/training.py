"""Claims about training: Figures 9 to 11, conclusion and discussion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from docs.tools.claims.claim import Claim, verdict
from docs.tools.study.conditions import Condition
from ntk_sweep.analysis.chapters.bounds.numbers import bound_values, violations
from ntk_sweep.analysis.rows.activations import activation_title
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN, trusted
from ntk_sweep.analysis.rows.runs import Runs, rows_of
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.entries import number, signed
from ntk_sweep.dynamics.bounds import flow_bound

THESIS = (1e-3, "absolute", 1)
"""Learning rate, its unit and batch size of the thesis."""

MARGIN = 0.1
"""By which a loss must exceed a bound to count: flows err by their tolerance, 0.05 at most."""

SIGMOID = ("sigmoid", 300, 8)
"""The network of Figure 10 that is said not to learn."""

ORGANISED = "centred_alignment"
"""How well the kernel separates the classes (docs/theory/diagnostics.md)."""

CONSTANT, ONE_CLASS = 0.25, 0.5
"""Loss of the best constant, ½, and of a constant that fits one class alone."""


def training(
    study: Study, declared: Sequence[Study], conditions: Sequence[Condition]
) -> list[Claim]:
    """All of them.

    Args:
        study: The thesis's networks and their runs.
        declared: The groups of the declared study.
        conditions: Its conditions.
    """
    shuffled, kept = (_thesis_runs(study, shuffle) for shuffle in (True, False))
    return [
        _bounded(declared),
        _correlates(conditions),
        _final_losses(study, shuffled),
        *_no_learning(shuffled, kept),
        _loose(study, shuffled),
        _too_simple(conditions),
        _organised(conditions),
        _drift(declared),
    ]


def _thesis_runs(study: Study, shuffle: bool) -> Runs:
    """The runs as the thesis trains, f₀ as drawn, in one order of samples."""
    for runs in study.runs:
        one = runs.setting
        own = (one.learning_rate, one.learning_rate_unit, one.batch_size)
        if own == THESIS and one.shuffle == shuffle and not one.centre_outputs:
            return runs
    raise SystemExit(f"{study.group.title}: the runs of Figures 9 to 11 are not there")


def _bounded(declared: Sequence[Study]) -> Claim:
    """Whether flows stay below the bound of λ_min at initialisation."""
    above, runs, ratios = 0, 0, []
    for study in declared:
        for flow in study.flows:
            least = trusted(flow.rows, LAMBDA_MIN) - flow.rows["lambda_min_error"].astype(float)
            for place, row in flow.rows[least.notna()].iterrows():
                times, losses = (np.asarray(row[name], float) for name in ("times", "losses"))
                bound = flow_bound(losses[0], float(least[place]), int(row["n_samples"]), times)
                runs += 1
                exceeds = losses > bound * (1 + MARGIN)
                above += bool(exceeds.any())
                if exceeds.any():
                    ratios.append(losses[exceeds][0] / losses[0])
    where = f", first at {number(float(np.median(ratios)), 2)} L(0) in the median" if ratios else ""
    return Claim(
        "Conclusion",
        "λ_min at initialisation bounds the speed of training",
        verdict(above == 0, above > runs / 2),
        f"of {runs} gradient flows to a loss of 1e-20, {above} exceed L(0) exp(-4λ_min t/N) by a "
        f"tenth{where}; the bound is one of a kernel that does not move",
    )


def _correlates(conditions: Sequence[Condition]) -> Claim:
    drawn = [one for one in conditions if not one.removed]
    none = sum(one.d(column="high") >= 0 for one in drawn)
    ranked = sum(one.d(column="high") < 0 for one in drawn)
    values = [one.d() for one in drawn]
    return Claim(
        "Abstract, conclusion",
        "the bound may not correlate with the speed of training",
        verdict(none == len(drawn), ranked == len(drawn)),
        f"f₀ as drawn: D of η λ_min is below 0 by its interval in {ranked} of {len(drawn)} "
        f"conditions ({signed(min(values))} to {signed(max(values))}); see hypothesis 1",
    )


def _final_losses(study: Study, runs: Runs) -> Claim:
    """Whether the final losses of Figure 9 stand in the order of λ_min."""
    best = study.best_cells.set_index("act").sort_values("lambda_min", ascending=False)
    losses = {
        str(act): rows_of(runs.rows, (str(act), int(line["width"]), int(line["depth"])))[
            "final_loss"
        ].astype(float)
        for act, line in best.iterrows()
    }
    pairs = list(zip(list(losses)[:-1], list(losses)[1:], strict=True))
    ordered = [losses[one].median() <= losses[other].median() for one, other in pairs]
    apart = [losses[one].max() < losses[other].min() for one, other in pairs]
    shown = ", ".join(
        f"{activation_title(act)} {number(own.median(), 2)} "
        f"[{number(own.min(), 2)}, {number(own.max(), 2)}]"
        for act, own in losses.items()
    )
    return Claim(
        "Figure 9",
        "the best networks do not reach their losses in the order of λ_min",
        verdict(not all(ordered), all(apart)),
        f"by falling λ_min, loss after {runs.setting.epochs} epochs: {shown}; "
        f"{sum(ordered)} of {len(pairs)} neighbours are in order by the median, {sum(apart)} in "
        "all seeds",
    )


def _no_learning(shuffled: Runs, kept: Runs) -> list[Claim]:
    texts, averages = [], []
    for name, runs in (("shuffled", shuffled), ("in a kept order", kept)):
        losses = rows_of(runs.rows, SIGMOID)["losses"]
        after = np.array([np.asarray(one, float)[1:].mean() for one in losses])
        averages.append(after)
        texts.append(f"{number(after.min(), 3)} to {number(after.max(), 3)} {name}")
    near = [bool((np.abs(one - ONE_CLASS) < 0.01).all()) for one in averages]
    accuracy = rows_of(shuffled.rows, SIGMOID)["final_accuracy"].astype(float)
    return [
        Claim(
            "Figure 10",
            "Sigmoid 300 × 8 has a steady average loss of 0.5",
            verdict(any(near)),
            f"mean loss over the epochs: {', '.join(texts)}; a constant ½ has {CONSTANT}",
        ),
        Claim(
            "Figure 10",
            "it does not learn in 100 epochs",
            verdict(bool((accuracy <= 0.55).all())),
            f"accuracy after training {number(accuracy.min(), 3)} to {number(accuracy.max(), 3)}",
        ),
    ]


def _loose(study: Study, runs: Runs) -> Claim:
    best = study.best_cells.set_index("act").loc["relu"]
    network = ("relu", int(best["width"]), int(best["depth"]))
    own = Runs(runs.group, runs.setting, rows_of(runs.rows, network))
    table = violations(bound_values(own)).set_index("bound")
    drawn = table.loc["thesis"]
    flow = table.loc["flow"]
    return Claim(
        "Figure 11",
        "the loss of the best ReLU network stays below the bound",
        verdict(drawn["exceeding"] == 0, drawn["exceeding"] == drawn["seeds"]),
        f"above the thesis's curve in {int(drawn['exceeding'])} of {int(drawn['seeds'])} seeds "
        f"(final loss {number(drawn['ratio'], 2)} of it), above the flow's bound in "
        f"{int(flow['exceeding'])} ({number(flow['ratio'], 2)} of it)",
    )


def _too_simple(conditions: Sequence[Condition]) -> Claim:
    """Whether λ_min tells more on harder tasks, with f₀ as drawn as in the thesis."""
    by_task = {
        task: [one.d() for one in conditions if one.task == task and not one.removed]
        for task in dict.fromkeys(one.task for one in conditions)
    }
    medians = {task: float(np.median(values)) for task, values in by_task.items()}
    harder = [value for task, value in medians.items() if task != "easy pair"]
    return Claim(
        "Discussion",
        "the task may be too simple for λ_min to matter",
        verdict(max(harder) < 0 <= medians["easy pair"], min(harder) >= 0),
        "f₀ as drawn, median D of η λ_min: "
        + ", ".join(f"{task} {signed(value)}" for task, value in medians.items())
        + "; see hypotheses 1 and 6",
    )


def _organised(conditions: Sequence[Condition]) -> Claim:
    """Whether networks train faster whose kernel separates the classes."""
    known = [one for one in conditions if one.known]
    faster = [one.d(ORGANISED, "high") < 0 for one in known]
    slower = [one.d(ORGANISED, "low") > 0 for one in known]
    values = [one.d(ORGANISED) for one in known]
    return Claim(
        "Discussion",
        "an organised kernel may mean faster training",
        verdict(all(faster), not any(faster)),
        f"D of the centred alignment is {signed(min(values))} to {signed(max(values))}, below 0 by "
        f"its interval in {sum(faster)} of {len(known)} conditions and above in {sum(slower)}",
    )


def _drift(declared: Sequence[Study]) -> Claim:
    """How far the kernel moves along the flow, f₀ as drawn."""
    ends = [
        float(np.asarray(one, float)[-1])
        for study in declared
        for flow in study.flows
        if not flow.setting.centre_outputs
        for one in flow.rows["kernel_drifts"].dropna()
    ]
    return Claim(
        "Discussion",
        "the kernel is taken as constant in training",
        verdict(max(ends) < 0.1, np.median(ends) > 0.1),
        f"‖Θ_t - Θ_0‖ / ‖Θ_0‖ at the end of {len(ends)} flows, f₀ as drawn: median "
        f"{number(float(np.median(ends)), 2)}, {number(min(ends), 2)} to "
        f"{number(max(ends), 2)}",
    )
