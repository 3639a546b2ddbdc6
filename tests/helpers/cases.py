"""Grids of test cases, thinned for everyday runs."""

from itertools import product

import pytest


def spread(*axes, shift=0):
    """All combinations, for `parametrize`; `make test` takes enough of them to meet every value,
    and, of three axes, every pair.

    The shortest axis is taken round and round along the others; the rest is slow.

    Args:
        axes: The values of each parameter.
        shift: Where that begins, so that tests of the same axes take different combinations.
    """
    shortest = min(range(len(axes)), key=lambda axis: len(axes[axis]))
    cases = []
    for places in product(*(range(len(axis)) for axis in axes)):
        others = sum(places) - places[shortest] + shift
        taken = places[shortest] == others % len(axes[shortest])
        values = [tuple(axis)[place] for axis, place in zip(axes, places, strict=True)]
        cases.append(pytest.param(*values, marks=() if taken else pytest.mark.slow))
    return cases
