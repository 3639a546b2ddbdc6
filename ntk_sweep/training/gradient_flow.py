"""Gradient flow dθ/dt = -∇L of a network, L = (1/N) Σ (f - y)², followed to any time.

A step of length h takes the kernel Θ as constant, and is then exact however large h is:

    θ ← θ + Jᵀ Θ⁻¹ (I - exp(-2 Θ h / N)) (y - f).

So the fast directions of a stiff flow set no limit to it. It is the exponential Euler method
(Hochbruck and Ostermann 2010, Acta Numerica 19:209) with the Gauss-Newton part of the Hessian.
Of order 1 by itself, it is extrapolated: a step is repeated as j steps of length h/j, j = 1, 2, …,
and the results are combined so that one power of h after another cancels (Aitken and Neville;
Hairer and Wanner 1996, Solving Ordinary Differential Equations II, IV.9). Two results of
neighbouring order tell the error, from which step and order follow. J is never formed.

Dimension letters in the annotations: N samples, P parameters, T recorded times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.fully_connected import Inputs, Network
from ntk_sweep.numerics.tensors import as_vector, check_finite
from ntk_sweep.training.flat_network import FlatNetwork
from ntk_sweep.training.flow_state import ROUNDING, FlowState
from ntk_sweep.training.held_out_course import HeldOutCourse
from ntk_sweep.training.outcomes import THRESHOLD, accuracy

STOP_AT_LOSS = 1e-20
"""Where a flow ends by itself: residuals of 1e-10, far above rounding."""

MOST_STEPS = 5000
"""After which a flow is given up: smooth ones take some hundreds at small tolerances."""

MOST_ORDER = 6
"""Of the extrapolation; order k + 1 costs k more kernels than order k."""

RECORDED_FALL = 2.0
"""The greatest fall of log L in a step, so that a curve can be drawn through the times."""

LEAST_FALL = 10.0
"""The fall of log L, in tolerances, by which a step of a kinked activation is taken in any case.

Such a kernel jumps. Where it jumps to and fro, the flow slides along a kink, and the error of a
step falls only with its length."""

LEAST_GAIN = 0.5
"""What an order must leave of the error of the one before, or the next is not tried."""

SAFETY, LEAST_FACTOR, GREATEST_FACTOR = 0.8, 0.1, 10.0
"""Of the next step: on what the error estimate allows, and as a multiple of this step."""


@dataclass(frozen=True)
class FlowRun:
    """A flow, at the T times between its steps.

    Attributes:
        times: t, from 0, (T,).
        losses: L, (T,).
        local_rates: -d log L/dt = 4 rᵀΘr / (N rᵀr) with r = f - y, (T,).
        kernel_drifts: ‖Θ_t - Θ_0‖_F / ‖Θ_0‖_F, (T,).
        accuracies: The share of samples on the right side of the threshold, (T,).
        initial_outputs: What is trained, f or f - f_0, at the start, (N,).
        outputs: The same at the end, (N,).
        steps: T - 1.
        missed: How many of them do not meet the tolerance, at kinks of the activation.
    """

    times: Float[np.ndarray, " T"]
    losses: Float[np.ndarray, " T"]
    local_rates: Float[np.ndarray, " T"]
    kernel_drifts: Float[np.ndarray, " T"]
    accuracies: Float[np.ndarray, " T"]
    initial_outputs: Float[np.ndarray, " N"]
    outputs: Float[np.ndarray, " N"]
    steps: int
    missed: int


def follow(
    network: Network,
    x: Inputs,
    y: Tensor,
    tolerance: float = 1e-6,
    time: float | None = None,
    stop_at_loss: float = STOP_AT_LOSS,
    centred: bool = False,
    threshold: float = THRESHOLD,
    test: HeldOutCourse | None = None,
) -> FlowRun:
    """Follows the gradient flow until a loss or a time is reached.

    Args:
        network: Where it starts, in float64.
        x: Inputs, as `Network.as_inputs` takes them.
        y: Targets, (N,) or (N, 1).
        tolerance: The error asked of a step: of f - y relative to its norm, and of θ relative to
            its way from the start.
        time: Where the flow ends; None follows it to the loss.
        stop_at_loss: The loss at which it ends.
        centred: Whether f - f_0 is trained, with f_0 = f at the start, in place of f.
        threshold: Outputs and targets above it are of the one class, all others of the other.
        test: What is recorded of test inputs, at each of the times.

    Returns:
        The run. It ends short of both goals after `MOST_STEPS` steps, or where nothing is left of
            the loss that can fall: equal inputs with different targets.

    Raises:
        ValueError: A value is out of range or not finite, the network is not of float64, or the
            kernel overflows at the start.

    Example:
        >>> network = Network.initialise(3, 10, 2, "tanh", "ntk", seed=0)
        >>> x, y = torch.eye(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
        >>> run = follow(network, x, y)
        >>> bool(run.losses[-1] <= 1e-20)
        True
    """
    rows = network.as_inputs(x)
    y = as_vector("y", y, rows.dtype, rows.device)
    _check_arguments(rows, y, tolerance, time)
    with torch.inference_mode():
        flat = FlatNetwork(network, rows)
        start = flat.outputs(flat.start) if centred else torch.zeros_like(y)
        flow = _Flow(flat, y + start, tolerance, network.nonlinearity.kinked, test)
        flow.run(math.inf if time is None else time, stop_at_loss)
        trained = [outputs - start for outputs in flow.outputs]
        accuracies = [accuracy(outputs, y, threshold) for outputs in trained]
    times, losses, rates, drifts = map(np.array, zip(*flow.records, strict=True))
    return FlowRun(
        times=times,
        losses=losses,
        local_rates=rates,
        kernel_drifts=drifts,
        accuracies=np.array(accuracies),
        initial_outputs=trained[0].cpu().numpy(),
        outputs=trained[-1].cpu().numpy(),
        steps=len(times) - 1,
        missed=flow.missed,
    )


def _check_arguments(
    x: Float[Tensor, "N n_in"], y: Float[Tensor, " N"], tolerance: float, time: float | None
) -> None:
    if x.dtype != torch.float64:
        raise ValueError(f"the network is {x.dtype}, but a gradient flow needs float64")
    if y.shape != x.shape[:1]:
        raise ValueError(f"y has {len(y)} targets for {len(x)} inputs")
    check_finite("y", y)
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance is {tolerance}, but must lie between 0 and 1")
    if time is not None and not (math.isfinite(time) and time > 0):
        raise ValueError(f"time is {time}, but must be a positive number")


class _Flow:
    """The steps of a flow, with what they leave on the record."""

    def __init__(
        self,
        flat: FlatNetwork,
        targets: Tensor,
        tolerance: float,
        kinked: bool,
        test: HeldOutCourse | None,
    ) -> None:
        self._flat, self._targets, self._tolerance = flat, targets, tolerance
        self._test, self._others = test, None if test is None else flat.others(test.x)
        self._kinked = kinked
        self.first = FlowState(flat, flat.start, targets)
        self._scale = float(self.first.theta.norm())
        self.records: list[tuple[float, float, float, float]] = []
        self.outputs: list[Tensor] = []
        self.missed = 0
        self._last = self.first

    def run(self, end: float, stop_at_loss: float) -> None:
        """Takes steps until the end."""
        state, time = self.first, 0.0
        self._record(time, state)
        step = 0.01 * state.time_to_fall(RECORDED_FALL, self._tolerance)
        while state.loss > stop_at_loss and time < end and len(self.records) <= MOST_STEPS:
            longest = min(state.time_to_fall(RECORDED_FALL, self._tolerance), end - time)
            fall = LEAST_FALL * self._tolerance
            least = state.time_to_fall(fall, self._tolerance) if self._kinked else 0.0
            step = min(max(step, least), longest)
            if not math.isfinite(longest) or time + step == time:
                break
            taken, following = self._attempt(state, step, least)
            if taken is not None:
                time, state = time + step, taken
                self._record(time, state)
            step = following

    def _record(self, time: float, state: FlowState) -> None:
        drift = float((state.theta - self.first.theta).norm()) / self._scale
        self.records.append((time, state.loss, state.local_rate, drift))
        self.outputs.append(state.outputs)
        if self._test is not None and self._others is not None:
            self._test.record(self._flat.outputs_at(self._others, state.parameters))

    def _attempt(
        self, state: FlowState, step: float, least: float
    ) -> tuple[FlowState | None, float]:
        """A step of rising order until it meets the tolerance.

        Returns:
            Where it leads, or None if it does not; and the length of the next step.
        """
        row: list[Tensor] = []
        best, before = (0.0, LEAST_FACTOR * step), math.inf  # time per kernel, and the step with it
        for count in range(1, MOST_ORDER + 1):
            try:
                row = self._next_row(row, state, step, count)
            except ValueError:  # an overflow within
                return None, LEAST_FACTOR * step
            if count == 1:
                continue
            error = self._error(state, row[-1], row[-2], step)
            kernels = 1 + count * (count - 1) // 2
            factor = SAFETY * error ** (-1 / count) if error > 0 else GREATEST_FACTOR
            allowed = step * min(max(factor, LEAST_FACTOR), GREATEST_FACTOR)
            best = max(best, (allowed / kernels, allowed))
            if error <= 1 or step <= least:
                taken = FlowState(self._flat, row[-1], self._targets)
                self.missed += max(error, self._unseen(taken, step, count)) > 1
                return taken, best[1]
            if not error < LEAST_GAIN * before:
                break  # at a kink of the activation no order helps
            before = error
        return None, min(best[1], step / 2)

    def _next_row(
        self, before: list[Tensor], state: FlowState, step: float, count: int
    ) -> list[Tensor]:
        """A row of the table of Aitken and Neville: `count` steps, and what follows of it."""
        row = [self._steps(state, step, count)]
        for order, older in enumerate(before, start=1):
            ratio = count / (count - order)
            row.append(row[-1] + (row[-1] - older) / (ratio - 1))
        return row

    def _steps(self, state: FlowState, step: float, count: int) -> Tensor:
        for left in range(count - 1, -1, -1):
            parameters = state.moved(self._flat, step / count)
            if left:
                state = FlowState(self._flat, parameters, self._targets)
        self._last = state
        return parameters

    def _unseen(self, taken: FlowState, step: float, count: int) -> float:
        """What a kink does that was crossed after the last kernel of a step, as `_error`.

        No order sees it, so that all agree.
        """
        if not (self._kinked and self._last.switched(taken)):
            return 0.0
        jump = taken.lasting(self._last.jumped(taken, step / count), step)
        return jump / self._allowed(taken.residual, taken.outputs)

    def _allowed(self, residual: Tensor, outputs: Tensor) -> float:
        """The error of the outputs that meets the tolerance."""
        rounding = ROUNDING * float(self._targets.norm() + outputs.norm())
        return self._tolerance * float(residual.norm()) + rounding

    def _error(self, state: FlowState, better: Tensor, worse: Tensor, step: float) -> float:
        """What the tolerance is held against: 1 meets it."""
        first, second = (self._flat.outputs(one) for one in (better, worse))
        allowed = self._allowed(self._targets - first, first)
        way = float((better - self._flat.start).norm())
        of_outputs = state.lasting(first - second, step) / allowed
        of_parameters = float((better - worse).norm()) / (self._tolerance * way) if way else 0.0
        error = max(of_outputs, of_parameters)
        return error if math.isfinite(error) else math.inf
