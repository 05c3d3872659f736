"""Bases of lattices: Hermite normal form, Minkowski reduction, and all reduced bases of the same shape.

A lattice is a (3, 3) array whose rows are the lattice vectors.
"""

from __future__ import annotations

import contextlib
import itertools

import numpy as np

#: Non-zero integer vectors with entries -1, 0 and 1; vector 25 - k is the negative of vector k. In a reduced cell, they
#: are sufficient to find all shortest bases and nearest images.
STEPS = np.array([v for v in itertools.product((-1, 0, 1), repeat=3) if any(v)])
#: Tolerance for equal squared lengths (relative) and for equal cosines (absolute).
METRIC_TOL = 1e-4
#: Whether three of the STEPS are a basis of the lattice, (26, 26, 26).
_SPANS = np.abs(np.einsum("iw,jkw->ijk", STEPS, np.cross(STEPS[:, None], STEPS[None]))) == 1


class GeometryError(ValueError):
    """A cell for which distances cannot be computed; the caller adds row and formula."""


@contextlib.contextmanager
def without_panics():
    """Convert panics of moyopy to GeometryError: they do not derive from Exception and would end the run."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise GeometryError(f"moyopy failed for its cell ({error}): check the lattice") from error


def hermite_form(rows):
    """Hermite normal form of an integer lattice.

    Two sets of rows span the same lattice if and only if their Hermite normal forms are equal.

    Parameters
    ----------
    rows : sequence of sequences of 3 int
        They span the lattice.

    Returns
    -------
    ndarray of int64 of shape (3, 3)
        Upper triangular, with positive diagonal and reduced above it.
    """
    rows = [[int(v) for v in row] for row in rows]
    basis = []
    for column in range(3):
        # Euclid's algorithm, until one row has a non-zero entry in the column.
        while len(nonzero := [row for row in rows if row[column]]) > 1:
            pivot = min(nonzero, key=lambda row: abs(row[column]))
            for row in nonzero:
                if row is not pivot:
                    quotient = row[column] // pivot[column]
                    row[:] = [a - quotient * b for a, b in zip(row, pivot, strict=True)]
        if not nonzero:
            raise ValueError("the rows do not span three dimensions")
        pivot = nonzero[0]
        rows = [row for row in rows if row is not pivot]
        basis.append([-v for v in pivot] if pivot[column] < 0 else pivot)
    for column in (1, 2):
        for above in range(column):
            quotient = basis[above][column] // basis[column][column]
            basis[above] = [a - quotient * b for a, b in zip(basis[above], basis[column], strict=True)]
    return np.array(basis, dtype=np.int64)


def minkowski_reduced(lattice):
    """Return a Minkowski-reduced basis of a lattice, sorted by length."""
    from moyopy import minkowski_reduce

    with without_panics():
        basis = np.asarray(minkowski_reduce(lattice.tolist())[0], dtype=float)
    return basis[np.argsort(np.einsum("ij,ij->i", basis, basis), kind="stable")]


def reduced_bases(lattice):
    """Return all reduced bases of a lattice that have one canonical shape, without their negatives.

    The result does not depend on the input basis. Of the bases of shortest vectors (a <= b <= c), those closest to
    right angles are chosen; of shapes that tie, the one with the smallest cosines in lexicographic order. The remaining
    bases differ only by symmetry operations of the lattice.

    Parameters
    ----------
    lattice : ndarray of shape (3, 3)

    Returns
    -------
    ndarray of shape (n_bases, 3, 3)
        At least one and at most 24 bases.
    """
    start = minkowski_reduced(lattice)
    vectors = STEPS @ start
    gram = vectors @ vectors.T
    square = np.diag(gram)
    # The tolerance of each length is relative to that length: short vectors must not tie because another one is long.
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
