"""Lattices and their bases: integer normal form, shortest basis, and all shortest bases of one shape.

A lattice is a (3, 3) array whose rows are the vectors.
"""

from __future__ import annotations

import contextlib
import itertools

import numpy as np

#: Lattice vectors of a reduced cell one step away in each direction, but for the zero vector. Vector k is minus vector
#: 25 - k. A shortest basis, and a nearest image, never need a larger step.
STEPS = np.array([v for v in itertools.product((-1, 0, 1), repeat=3) if any(v)])
#: Relative difference below which squared lengths count as equal, and difference below which cosines do.
METRIC_TOL = 1e-4
#: Whether three of the STEPS span the whole lattice, (26, 26, 26).
_SPANS = np.abs(np.einsum("iw,jkw->ijk", STEPS, np.cross(STEPS[:, None], STEPS[None]))) == 1


class GeometryError(ValueError):
    """A cell that cannot be turned into distances; the caller adds the row and the formula."""


@contextlib.contextmanager
def without_panics():
    """Make an error of it when moyopy gives up on a cell: its panics are no Exceptions, and would end a whole run."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise GeometryError(f"moyopy cannot work with its cell ({error}): check the lattice") from error


def hermite_form(rows):
    """Upper triangular integer basis (3, 3), with positive diagonal and reduced above it, of the lattice of ``rows``.

    Two sets of rows span the same lattice exactly if their Hermite forms are equal.
    """
    rows = [[int(v) for v in row] for row in rows]
    basis = []
    for column in range(3):
        # Euclid's algorithm down the column, until one row is left with an entry in it.
        while len(live := [row for row in rows if row[column]]) > 1:
            pivot = min(live, key=lambda row: abs(row[column]))
            for row in live:
                if row is not pivot:
                    quotient = row[column] // pivot[column]
                    row[:] = [a - quotient * b for a, b in zip(row, pivot, strict=True)]
        if not live:
            raise ValueError("the rows do not span three dimensions")
        pivot = live[0]
        rows = [row for row in rows if row is not pivot]
        basis.append([-v for v in pivot] if pivot[column] < 0 else pivot)
    for column in (1, 2):
        for above in range(column):
            quotient = basis[above][column] // basis[column][column]
            basis[above] = [a - quotient * b for a, b in zip(basis[above], basis[column], strict=True)]
    return np.array(basis, dtype=np.int64)


def minkowski_reduced(lattice):
    """A basis of the shortest vectors of a lattice, a <= b <= c."""
    from moyopy import minkowski_reduce

    with without_panics():
        basis = np.asarray(minkowski_reduce(lattice.tolist())[0], dtype=float)
    return basis[np.argsort(np.einsum("ij,ij->i", basis, basis), kind="stable")]


def reduced_bases(lattice):
    """All shortest bases of a lattice that share one canonical shape, one of each pair of a basis and its negative.

    A crystal can be handed over in any basis of its lattice. Of the bases made of the shortest vectors (a <= b <= c)
    this takes those nearest to right angles and, between shapes that tie, the one whose cosines come first; what is
    left differs only by symmetries of the lattice. The shape, and the set, do not depend on the input basis.

    Parameters
    ----------
    lattice : ndarray of shape (3, 3)

    Returns
    -------
    ndarray of shape (n_bases, 3, 3)
        One at least, and at most 24.
    """
    start = minkowski_reduced(lattice)
    vectors = STEPS @ start
    gram = vectors @ vectors.T
    square = np.diag(gram)
    # Each length has its own tolerance: two short vectors of a slab cell must not tie because the third is long.
    a, b, c = (np.flatnonzero(np.abs(square - m) < METRIC_TOL * m) for m in np.einsum("ij,ij->i", start, start))
    i, j, k = np.nonzero(_SPANS[np.ix_(a[a >= 13], b, c)])
    i, j, k = a[a >= 13][i], b[j], c[k]
    length = np.sqrt(square)
    cosines = gram / np.outer(length, length)
    cosines = np.stack([cosines[i, j], cosines[i, k], cosines[j, k]])
    chosen = np.arange(len(i))
    for key in (np.abs(cosines).sum(axis=0), *cosines):
        chosen = chosen[key[chosen] < key[chosen].min() + METRIC_TOL]
    return vectors[np.column_stack([i, j, k])[chosen]]
