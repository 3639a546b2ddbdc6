"""Which limit kernels points need: a plain record that a driver without torch can make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ntk_sweep.network.architecture import Architecture
from ntk_sweep.numerics.thresholds import LIMITS_KEPT_BELOW


@dataclass(frozen=True)
class LimitRequest:
    """Limit kernels that one recursion gives; they depend on no weights.

    Attributes:
        architecture: The deepest of the networks.
        depths: The depths that are wanted, ascending; the last is that of `architecture`.
    """

    architecture: Architecture
    depths: tuple[int, ...]

    def __post_init__(self) -> None:
        assert self.depths[-1] == self.architecture.depth

    def at(self, depth: int) -> Architecture:
        """The network of one of the depths."""
        return replace(self.architecture, depth=depth)


def limit_request(
    architecture: Architecture, wanted: Iterable[int], n_samples: int
) -> LimitRequest:
    """The request for the limit kernel of an architecture.

    Args:
        architecture: Whose limit kernel is needed.
        wanted: The depths that the sweep asks for; they are computed and kept together where
            kernels are small.
        n_samples: N.
    """
    depths = sorted(wanted) if n_samples <= LIMITS_KEPT_BELOW else [architecture.depth]
    return LimitRequest(replace(architecture, depth=depths[-1]), tuple(depths))
