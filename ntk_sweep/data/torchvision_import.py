"""Torchvision beside a build of torch that it was not made for.

The wheels of torchvision are CUDA builds. Beside a CPU build of torch their compiled operators
cannot be loaded, and the import fails when it registers the fake kernel of ``torchvision::nms``.
Declaring the two operators first satisfies it; nothing here calls them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torchvision.datasets import FashionMNIST

_DECLARED: list[object] = []
"""Operator declarations, which last as long as the objects that made them."""


def torchvision_fashion_mnist() -> type[FashionMNIST]:
    """Torchvision's class, whatever the builds of torchvision and torch."""
    import torch

    try:
        from torchvision.datasets import FashionMNIST
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        operators = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _DECLARED.append(operators)
        for module in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[module]
        from torchvision.datasets import FashionMNIST
    return FashionMNIST
