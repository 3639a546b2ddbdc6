"""Arrays that users pass: NumPy arrays, lists of numbers, tensors, whatever NumPy can read."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float


def real_array(name: str, values: Any) -> Float[np.ndarray, ...]:
    """The values in float64.

    Args:
        name: What the caller calls them, for the message.
        values: Anything of which NumPy makes an array.

    Raises:
        ValueError: They are no array of real numbers, or some are masked.

    Example:
        >>> real_array("x", [[1, 2], [3, 4]])
        array([[1., 2.],
               [3., 4.]])
    """
    if np.ma.is_masked(values):
        raise ValueError(f"{name} has masked values: fill them in or leave their rows out")
    try:
        array = np.asarray(values)
    except Exception as error:
        # lists of unequal length, tensors on a GPU: NumPy and torch raise errors of many types
        reason = "its rows differ in length" if "inhomogeneous" in str(error) else str(error)
        raise ValueError(
            f"{name} is no array of numbers ({reason}): pass a NumPy array, a tensor, or lists of "
            "equal length"
        ) from error
    if array.dtype.kind not in "buif":
        raise ValueError(f"{name} is of dtype {array.dtype}, but must hold real numbers")
    return array.astype(np.float64, copy=False)


def without_column(values: Any) -> Any:
    """A vector from a column: (N,) from (N, 1); any other shape stays as it is.

    Args:
        values: A NumPy array or a tensor.
    """
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
