"""What the thesis reports, as data.

N. Berg, Eigenvalues of the Neural Tangent Kernel for different Network Architectures, 2024.

(BSc thesis, University of Twente.) Only part of its numbers is known; what is not here is lost, not
zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.data.labelling import USUAL

CITATION = (
    "N. Berg, Eigenvalues of the Neural Tangent Kernel for different Network Architectures, BSc "
    "thesis, University of Twente, 2024"
)


@dataclass(frozen=True)
class Network:
    """A network that the thesis shows in its Figures 1 to 4.

    Attributes:
        lambda_min: What it reports for it; two values where it gives two in different places.
    """

    act: str
    width: int
    depth: int
    lambda_min: tuple[float, ...]


@dataclass(frozen=True)
class Best:
    """What is known of an activation's line in the thesis's Table 1.

    Attributes:
        lambda_min: The greatest λ_min over widths and depths; None if lost.
        depths: The depth it occurs at; several where the thesis's text leaves open which.
    """

    lambda_min: float | None
    depths: tuple[int, ...]


NETWORKS = (
    Network("relu", 800, 3, (3.664,)),
    Network("sigmoid", 300, 8, (3.935e-10, 3.262e-10)),
)

# Of ReLU and LeakyReLU one is best at depth 3 and the other at depth 4.
TABLE_1 = {
    "relu": Best(5.490, (3, 4)),
    "elu": Best(None, (2,)),
    "lrelu": Best(None, (3, 4)),
    "sigmoid": Best(None, (2,)),
}


def applies(group: Group) -> bool:
    """Whether a group was computed on the thesis's data and scaling.

    Only then may the numbers stand side by side.
    """
    usual = group.labelling == USUAL and not group.scales
    return usual and (group.data, group.classes, group.n_samples, group.parametrisation) == (
        "fashion_mnist",
        (0, 9),
        200,
        "thesis",
    )
