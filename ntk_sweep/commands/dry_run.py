"""What the terminal shows of a dry run."""

from __future__ import annotations

from rich.console import Console

from ntk_sweep.dispatch.cost import expected_seconds
from ntk_sweep.dispatch.estimate import Estimate, Load, Speed
from ntk_sweep.durations import rough_duration

GIB = 2**30


def print_estimate(estimate: Estimate, console: Console) -> None:
    """Prints what a sweep would do, a line each."""
    plan = estimate.plan
    left = len(plan.jobs)
    lines = [("points", str(plan.skipped + left)), ("in the store", str(plan.skipped))]
    lines.append(("left", str(left)))
    if estimate.load is not None:
        lines += [("time", _time(estimate, estimate.load))]
        lines += [("memory", _memory(estimate, estimate.load))]
        lines += [("largest point", _largest(estimate.load))]
    lines += [("first point", str(plan.points[0])), ("last point", str(plan.points[-1]))]
    lines += [("results", store.location) for store in plan.stores.values()]
    console.print("dry run: nothing is computed, nothing is written")
    for name, value in lines:
        console.print(f"  {name:<14} {value}", markup=False)


def _time(estimate: Estimate, load: Load) -> str:
    if estimate.seconds is None:
        return (
            f"{_about(load.seconds)} of one worker; the cluster is not asked how many there are "
            f"({_basis(load.speed)})"
        )
    workers = (
        "1 worker, once it has"
        if estimate.workers == 1
        else f"{estimate.workers} workers, once they have"
    )
    return f"{_about(estimate.seconds)} with {workers} started ({_basis(load.speed)})"


def _basis(speed: Speed) -> str:
    if not speed.rows:
        return "an estimate for a machine of 2023: the results hold no rows that tell the speed"
    rows = "1 row" if speed.rows == 1 else f"{speed.rows} rows"
    whose = "that this machine computed" if speed.here else "that other machines computed"
    return f"by the speed of {rows} {whose}"


def _memory(estimate: Estimate, load: Load) -> str:
    need = f"{load.memory.peak / GIB:.1f} GiB a worker at most"
    if not estimate.here or estimate.workers is None:
        return need
    total = f", {estimate.workers * load.memory.peak / GIB:.1f} GiB together"
    free = f"; {load.free / GIB:.1f} GiB are free here"
    return need + (total if estimate.workers > 1 else "") + free


def _largest(load: Load) -> str:
    seconds = expected_seconds(load.largest) * load.speed.factor
    return f"{load.largest.point}: {load.memory.peak / GIB:.1f} GiB, {_about(seconds)}"


def _about(seconds: float) -> str:
    return "less than a second" if seconds < 1 else f"about {rough_duration(seconds)}"
