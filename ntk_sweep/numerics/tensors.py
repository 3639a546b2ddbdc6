"""Tensors from what users pass, and what is said of values that are not finite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ntk_sweep.arrays import real_array, without_column


def as_tensor(
    name: str, values: Any, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> Shaped[Tensor, ...]:
    """The values as a tensor of this dtype on this device.

    A tensor is returned as it is, whatever its dtype and device: a caller who chose them is told
    where they do not fit, and nothing is copied from device to device unseen.

    Args:
        name: What the caller calls them, for the message.
        values: A tensor, a NumPy array, or lists of numbers.
        dtype: Of what is no tensor yet.
        device: Likewise.

    Raises:
        ValueError: They are no array of real numbers, or too large for the dtype.

    Example:
        >>> as_tensor("x", [[1, 2], [3, 4]], torch.float64)
        tensor([[1., 2.],
                [3., 4.]], dtype=torch.float64)
    """
    if isinstance(values, Tensor):
        return values
    # of native byte order and without negative strides, which torch does not know
    array = np.require(real_array(name, values), np.float64, ["C", "W"])
    tensor = torch.from_numpy(array).to(device, dtype)
    if not all_finite(tensor) and np.isfinite(array).all():
        raise overflow(name, "its conversion", dtype, remedy="scale the inputs down")
    return tensor


def as_vector(
    name: str, values: Any, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> Shaped[Tensor, ...]:
    """As `as_tensor`, and (N,) from a column, (N, 1)."""
    return without_column(as_tensor(name, values, dtype, device))


def as_tensors(named: Mapping[str, Any]) -> list[Shaped[Tensor, ...]]:
    """All of them as tensors; NumPy arrays and lists take the dtype and device of the others.

    That is the dtype and device of the first tensor. Where there is none, it is float32 on the CPU
    if all NumPy arrays are float32, else float64.

    Args:
        named: Names, for the message, and values as `as_tensor` takes them.

    Example:
        >>> [part.dtype for part in as_tensors({"W": np.ones((2, 1), np.float32), "b": [0, 0]})]
        [torch.float32, torch.float32]
    """
    dtype, device = _common_kind(named.values())
    return [as_tensor(name, values, dtype, device) for name, values in named.items()]


def _common_kind(values: Iterable[Any]) -> tuple[torch.dtype, torch.device]:
    dtypes = set()
    for value in values:
        if isinstance(value, Tensor):
            return value.dtype, value.device
        dtypes.add(value.dtype if isinstance(value, np.ndarray) else None)
    single = dtypes - {None} == {np.dtype(np.float32)}
    return torch.float32 if single else torch.float64, torch.device("cpu")


def all_finite(values: Float[Tensor, ...]) -> bool:
    """Whether no value is NaN or infinite; takes no memory beside them."""
    return not values.numel() or all(bool(end.isfinite()) for end in torch.aminmax(values))


def check_finite(name: str, values: Float[Tensor, ...]) -> None:
    """Raises a ValueError if a value of an argument is NaN or infinite."""
    if not all_finite(values):
        raise ValueError(f"{name} holds values that are not finite (NaN or infinity)")


def overflow(
    quantity: str,
    place: str,
    dtype: torch.dtype,
    remedy: str = "scale the inputs or weight_std down",
) -> ValueError:
    """The error of a number that is too large for its dtype: what is lost, where, the way out.

    Args:
        quantity: What is not finite for it, in the singular.
        place: The first numbers that are too large.
        dtype: Theirs.
        remedy: The way out.

    Example:
        >>> print(overflow("Θ", "layer 1", torch.float64))
        Θ is not finite: it overflows float64 in layer 1; scale the inputs or weight_std down
    """
    name = str(dtype).removeprefix("torch.")
    wider = "" if dtype == torch.float64 else ", or use float64"
    return ValueError(f"{quantity} is not finite: it overflows {name} in {place}; {remedy}{wider}")
