"""The inputs behind the rows, found again and told by their fingerprint."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.data.dataset import Dataset, find_again
from ntk_sweep.errors import DataError

KEPT = 4
"""Data sets that several chapters look at, one after the other."""

MOST_INPUTS = 3000
"""Inputs up to which a rank is computed, in seconds."""


def find(group: Group, source: str | None = None) -> Dataset:
    """The data set that a group's rows were computed on; nothing is downloaded.

    Args:
        group: Whose `fingerprint` the data must have.
        source: The folder that holds ``FashionMNIST/raw``, or an npz file; None looks where a sweep
            would.

    Raises:
        AnalysisError: It is not there, or is not the one; the message says which.
    """
    try:
        return _found(
            group.data,
            group.fingerprint,
            group.classes,
            group.n_samples,
            source,
            group.labelling,
            group.normalise,
        )
    except DataError as error:
        raise AnalysisError(str(error)) from error


_found = lru_cache(maxsize=KEPT)(find_again)


def affine_rank(group: Group, source: str | None = None) -> int | None:
    """The rank of the centred inputs plus 1: the dimension of the functions affine in the inputs.

    Args:
        group: As for `find`.
        source: As for `find`.

    Returns:
        None where the inputs are not found, or more than `MOST_INPUTS`.
    """
    if group.n_samples > MOST_INPUTS:
        return None
    try:
        x = find(group, source).x
    except AnalysisError:
        return None
    return 1 + int(np.linalg.matrix_rank(x - x.mean(axis=0)))
