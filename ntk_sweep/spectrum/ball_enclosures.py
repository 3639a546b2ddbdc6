"""Enclosures of the eigenvalues of a symmetric matrix of balls, proven and without luck.

With any matrix V of exact numbers that is nearly orthonormal, S = VᵀV and A = VᵀΘV:

- ‖S - I‖₂ ≤ η < 1 gives λ_i(Θ) = λ_i(A) / θ_i with some 1 - η ≤ θ_i ≤ 1 + η (Ostrowski).
- With any t > 0 and r_i = Σ_{j≠i} |A_ij| t_j / t_i, diag(A_ii + r_i) - A and A - diag(A_ii - r_i)
  are positive semi-definite: scaled by diag(t) from both sides they are diagonally dominant with a
  diagonal that is not negative. So λ_i(A) lies between the i-th smallest of the A_ii - r_i and the
  i-th smallest of the A_ii + r_i (Weyl), whether or not the discs overlap.

t_i = A_ii^(-½) makes r_i small beside A_ii for the least eigenvalues too. Where V comes from does
not matter, so it is improved until the enclosures are narrow. docs/theory/numerics.md has the
proofs.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from flint import arb, arb_mat

SAFE = 1e-3
"""Largest first-order correction of an eigenvector by another one that is used as it is; pairs with
larger ones are rotated together. Tuned on sigmoid networks of depth 10."""

ROUNDS = 14
"""Of improvement at one precision. Corrections square themselves, so that a few are enough; of a
graded spectrum each brings some 15 digits of its range."""


FLOORS = 8
"""Steps, equal in the logarithm, between the greatest and the least A_ii."""


class Enclosures(NamedTuple):
    """Numbers between which the eigenvalues lie.

    Attributes:
        lower: Of each eigenvalue, ascending, (N,), exact.
        upper: Likewise.
        vectors: The V that gave them, columns in the order of the eigenvalues.
    """

    lower: list[arb]
    upper: list[arb]
    vectors: arb_mat

    def within(self, relative: float) -> bool:
        """Whether each upper end exceeds the lower one by a factor of 1 + `relative` at most."""
        return all(
            low > 0 and high - low <= low * relative
            for low, high in zip(self.lower, self.upper, strict=True)
        )


PATIENCE = 2
"""Rounds without gain after which there is none to come: one may go into orthonormality alone."""


def enclosures(theta: arb_mat, relative: float, vectors: arb_mat | None = None) -> Enclosures:
    """The eigenvalues of every symmetric positive semi-definite matrix within `theta`.

    At the precision that is set. They are as narrow as the balls and the precision allow, or narrow
    enough.

    Args:
        theta: The matrix, N ≥ 1.
        relative: Relative width that is narrow enough.
        vectors: Approximate eigenvectors to start from; None for those of LAPACK.
    """
    vectors = _rotation(_middles(theta)) if vectors is None else vectors
    best: Enclosures | None = None
    idle = 0
    for _ in range(ROUNDS):
        gram = vectors.transpose() * vectors
        matrix = vectors.transpose() * (theta * vectors)
        found = _enclosed(matrix.table(), gram.table(), vectors)
        narrower = found if best is None else _narrower(best, found)
        if best is not None and narrower is not None:
            idle = 0 if _gained(best, narrower) else idle + 1
        best = narrower
        if best is not None and (best.within(relative) or idle == PATIENCE):
            return best
        vectors = _improved(vectors, matrix, gram)
    if best is None:
        raise ValueError("the eigenvectors of the kernel did not become orthonormal")
    return best


def _narrower(one: Enclosures, other: Enclosures | None) -> Enclosures:
    """Both hold, so what both allow."""
    if other is None:
        return one
    lower = [b if b > a else a for a, b in zip(one.lower, other.lower, strict=True)]
    upper = [b if b < a else a for a, b in zip(one.upper, other.upper, strict=True)]
    return Enclosures(lower, upper, other.vectors)


def _gained(before: Enclosures, after: Enclosures) -> bool:
    """Whether an enclosure has become half as wide or less."""
    ends = zip(before.lower, before.upper, after.lower, after.upper, strict=True)
    return any(2 * (high - low) < top - bottom for bottom, top, low, high in ends)


def _enclosed(
    matrix: list[list[arb]], gram: list[list[arb]], vectors: arb_mat
) -> Enclosures | None:
    """The enclosures that these V, A = VᵀΘV and S = VᵀV prove; None if S is too far from I."""
    from flint import arb

    size = len(matrix)
    departures = [
        sum((abs(s - int(i == j)).abs_upper() for j, s in enumerate(row)), arb(0)).upper()
        for i, row in enumerate(gram)
    ]
    far = max(departures)
    if not far < 0.5:
        return None
    moduli = [
        [arb(0) if i == j else entry.abs_upper() for j, entry in enumerate(row)]
        for i, row in enumerate(matrix)
    ]
    diagonal = [matrix[i][i] for i in range(size)]
    lower, upper = [arb("-inf")] * size, [arb("inf")] * size
    for scale in _scales(diagonal):
        radii = [
            sum((m * t for m, t in zip(row, scale, strict=True)), arb(0)) / scale[i]
            for i, row in enumerate(moduli)
        ]
        if not all((d + r).is_finite() for d, r in zip(diagonal, radii, strict=True)):
            continue
        lows = sorted((d - r).lower() for d, r in zip(diagonal, radii, strict=True))
        highs = sorted((d + r).upper() for d, r in zip(diagonal, radii, strict=True))
        lower = [b if b > a else a for a, b in zip(lower, lows, strict=True)]
        upper = [b if b < a else a for a, b in zip(upper, highs, strict=True)]
    zero = arb(0)
    order = sorted(range(size), key=lambda i: diagonal[i].mid())
    columns = vectors.transpose().table()
    ordered = type(vectors)([columns[i] for i in order]).transpose()
    return Enclosures(
        [(low / (1 + far)).lower() if low > 0 else zero for low in lower],
        [(high / (1 - far)).upper() if high > 0 else zero for high in upper],
        ordered,
    )


def _scales(diagonal: list[arb]) -> list[list[arb]]:
    """The vectors t that are tried: A_ii^(-½), with several floors under A_ii.

    Any positive t is right. Floors serve where the least A_ii are not known beside the entries of
    their rows.
    """
    from flint import arb

    sizes = [abs(d.mid()) for d in diagonal]
    positive = [size for size in sizes if size > 0]
    if not positive:
        return [[arb(1)] * len(sizes)]
    greatest = max(positive)
    step = (min(positive) / greatest).log() / FLOORS
    floors = [(greatest * (step * k).exp()).mid() for k in range(FLOORS + 1)]
    return [[1 / max([size, floor]).sqrt() for size in sizes] for floor in floors]


def _middles(matrix: arb_mat) -> arb_mat:
    """The midpoints, exact."""
    entries = [entry.mid() for entry in matrix.entries()]
    return type(matrix)(matrix.nrows(), matrix.ncols(), entries)


def _rotation(matrix: arb_mat) -> arb_mat:
    """LAPACK's eigenvectors of the matrix rounded to float64."""
    table = matrix.table()
    block = _eigenvectors(table, list(range(len(table))))
    return type(matrix)(len(table), len(table), block.flatten().tolist())


def _eigenvectors(table: list[list[arb]], members: list[int]) -> np.ndarray:
    """Those of a diagonal block, in float64."""
    largest = max(abs(table[i][j]) for i in members for j in members)
    if not largest > 0:
        return np.eye(len(members))
    block = np.array([[float(table[i][j] / largest) for j in members] for i in members])
    return np.linalg.eigh((block + block.T) / 2)[1]


def _improved(vectors: arb_mat, matrix: arb_mat, gram: arb_mat) -> arb_mat:
    """V (I + E) W, closer to the eigenvectors.

    E is the first-order correction, with S = VᵀV = I - R and A = VᵀΘV (Ogita and Aishima 2018):

        E_ij = (A_ij + A_jj R_ij) / (A_jj - A_ii),

    and R_ij / 2 where that is not small. There W takes the eigenvectors of the diagonal block of A
    that such pairs span; they leave room for more where the block is graded itself. Numerators
    whose balls contain zero are noise, which moves nothing.

    Args:
        vectors: V.
        matrix: A, in balls.
        gram: S, likewise.
    """
    balls, grams = matrix.table(), gram.table()
    a, size = _middles(matrix).table(), len(balls)
    steps = [[(int(i == j) - s.mid()) / 2 for j, s in enumerate(r)] for i, r in enumerate(grams)]
    unsafe = np.zeros((size, size), dtype=bool)
    for i in range(size):
        steps[i][i] += 1
    rests = [[balls[i][j] - balls[j][j] * grams[i][j] for j in range(size)] for i in range(size)]
    for i, j in permutations(range(size), 2):
        rest, gap = rests[i][j].mid(), a[j][j] - a[i][i]
        if rests[i][j].contains(0) and rests[j][i].contains(0):
            continue
        if abs(rest) < abs(gap) * SAFE:
            steps[i][j] = rest / gap
        else:
            unsafe[i, j] = True
    # both of a pair or none, so that orthonormality survives
    unsafe |= unsafe.T
    for i, j in np.argwhere(unsafe):
        steps[i][j] = -grams[i][j].mid() / 2
    corrected = vectors * type(matrix)(steps)
    count, labels = connected_components(unsafe, directed=False)
    if count < size:
        rotation = np.eye(size)
        for label in range(count):
            members = np.flatnonzero(labels == label)
            if len(members) > 1:
                rotation[np.ix_(members, members)] = _eigenvectors(a, members.tolist())
        corrected *= type(matrix)(size, size, rotation.flatten().tolist())
    return _middles(corrected)
