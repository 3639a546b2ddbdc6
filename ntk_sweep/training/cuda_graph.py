"""Epochs as CUDA graphs: the kernels of all steps are launched at once.

Launching a kernel takes the host longer than a narrow layer takes the GPU. A graph is captured once
and replayed in every epoch after it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

CAPTURED_STEPS = 2000
"""On a GPU, an epoch of up to so many steps is captured in one CUDA graph.

A step has some tens of nodes. A longer epoch is launched kernel by kernel. A guess that has not
been tuned."""


def capturable(y: Float[Tensor, " N"], steps: int) -> bool:
    """Whether an epoch of so many steps on the device of `y` is captured.

    Example:
        >>> capturable(torch.zeros(3), steps=3)  # on the CPU
        False
    """
    return y.is_cuda and steps <= CAPTURED_STEPS


class CudaGraph:
    """A sequence of kernels that is the same at every launch, on the same memory."""

    def __init__(self) -> None:
        self._graph: torch.cuda.CUDAGraph | None = None
        self._warm = False

    @property
    def captured(self) -> bool:
        """Whether the next launch is a replay."""
        return self._graph is not None

    def launch(self, kernels: Callable[[], None], device: torch.device) -> None:
        """Calls `kernels` the first time, captures it the second time, and replays it from then on.

        Args:
            kernels: Launches the kernels; it neither waits for a value nor depends on one.
            device: The GPU on which they run.
        """
        if not self._warm:
            # Libraries set themselves up at their first call, which cannot be captured.
            kernels()
            self._warm = True
            return
        with torch.cuda.device(device):
            if self._graph is None:
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, stream=torch.cuda.Stream()):
                    kernels()
                self._graph = graph
            self._graph.replay()
