"""Lossless compression of distances: site classes with multiplicities, distinct pairs with counts.

The encoder depends on site j of the supercell only through its features and its distance. Sites i with equal multisets
of (class of j, d_ij) therefore have equal representations for any weights, and so do pairs (i, j) with equal class of j
and equal distance. The classes are found by colour refinement: start from the species, split classes whose members have
different multisets, and repeat until no class is split.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._shared.ragged import offsets_of


class CompressedSites(NamedTuple):
    """Site classes and distinct pairs of one crystal.

    Attributes
    ----------
    kinds : ndarray of int of shape (C,)
        Label of each class, as passed in for its sites.
    multiplicity : ndarray of int of shape (C,)
        Primitive sites in each class.
    class_of : ndarray of int of shape (M,)
        Class of each primitive site.
    n_pairs : ndarray of int of shape (C,)
        Distinct pairs of each class.
    neighbour, distance, count : ndarray of shape (sum of n_pairs,)
        Class of j, distance in angstrom and number of sites j of each pair, class by class.
    """

    kinds: np.ndarray
    multiplicity: np.ndarray
    class_of: np.ndarray
    n_pairs: np.ndarray
    neighbour: np.ndarray
    distance: np.ndarray
    count: np.ndarray  # type: ignore[assignment]  # overrides tuple.count


def keep_all(distances, kinds):
    """Do not merge anything: one class per primitive site, one pair per site of the supercell."""
    m, n = distances.shape
    return CompressedSites(
        kinds=kinds,
        multiplicity=np.ones(m, dtype=np.int64),
        class_of=np.arange(m),
        n_pairs=np.full(m, n),
        neighbour=np.tile(np.arange(m), n // m * m),
        distance=distances.ravel(),
        count=np.ones(m * n, dtype=np.int64),
    )


def compress_sites(distances, kinds, tol=1e-3):
    """Merge sites and pairs that are identical for every network on (features of i, features of j, d_ij).

    Parameters
    ----------
    distances : ndarray of shape (M, N)
        In angstrom. Column ``t * M + j`` is a copy of primitive site j; the diagonal is each site with itself.
    kinds : ndarray of int of shape (M,)
        Label of each primitive site; sites with different labels are not merged.
    tol : float
        In angstrom. Pairs of a site are merged if their distances differ by at most ``tol``, and sites if all their
        distances do. A merged pair has the mean distance.

    Returns
    -------
    CompressedSites
    """
    m, n = distances.shape
    # Adding class * far to the distances sorts by class first, then by distance.
    far = np.ceil(distances.max()) + 1
    class_of, first = _group_rows(np.zeros((m, 1)), kinds, tol)
    while True:
        column_class = np.tile(class_of, n // m)
        # All rows have the same columns, so that sorted rows can be compared element by element.
        profiles = np.sort(distances + column_class * far, axis=1)
        n_classes = len(first)
        class_of, first = _group_rows(profiles, class_of, tol)
        if len(first) == n_classes:
            break
    column_class.sort()
    profiles -= column_class * far

    # Sort by class, and average the members of each class.
    multiplicity = np.bincount(class_of)
    members = profiles[np.argsort(class_of, kind="stable")]
    rows = np.add.reduceat(members, offsets_of(multiplicity)[:-1], axis=0) / multiplicity[:, None]

    new = _new_pairs(rows, column_class, tol)
    starts = np.flatnonzero(new)
    count = np.diff(starts, append=new.size)
    return CompressedSites(
        kinds=kinds[first],
        multiplicity=multiplicity,
        class_of=class_of,
        n_pairs=new.sum(axis=1),
        neighbour=column_class[starts % n],
        distance=np.add.reduceat(rows.ravel(), starts) / count,
        count=count,
    )


def _new_pairs(rows, column_class, tol):
    """Mark where new pairs begin in sorted rows: ndarray of bool of shape (C, N)."""
    new = np.ones(rows.shape, dtype=bool)
    new[:, 1:] = (np.diff(rows, axis=1) > tol) | (np.diff(column_class) > 0)
    # A chain of small steps can be longer than tol: cut it, starting at its left end.
    flat, flat_new = rows.ravel(), new.ravel()
    starts = np.flatnonzero(flat_new)
    ends = np.append(starts[1:], flat.size)
    for chain in np.flatnonzero(flat[ends - 1] - flat[starts] > tol):
        left = flat[starts[chain]]
        for k in range(starts[chain], ends[chain]):
            if flat[k] - left > tol:
                flat_new[k] = True
                left = flat[k]
    return new


def _group_rows(profiles, class_of, tol):
    """Split classes into groups of rows equal within ``tol``; return labels and the first row of each group."""
    # Rows that are equal within tol have means that are. In most crystals, each row equals the first row of its class
    # with the same mean, which is compared for all rows at once.
    means = profiles.mean(axis=1)
    near = (class_of[:, None] == class_of) & (np.abs(means[:, None] - means) <= tol)
    leader = near.argmax(axis=1)
    if (leader[leader] == leader).all() and (np.abs(profiles - profiles[leader]) <= tol).all():
        first, labels = np.unique(leader, return_inverse=True)
        return labels, first
    return _group_rows_one_by_one(profiles, means, class_of, tol)


def _group_rows_one_by_one(profiles, means, class_of, tol):
    labels = np.full(len(profiles), -1)
    first: list[int] = []
    for i in range(len(profiles)):
        if labels[i] >= 0:
            continue
        near = np.flatnonzero((labels < 0) & (class_of == class_of[i]) & (np.abs(means - means[i]) <= tol))
        if len(near) > 1:
            near = near[np.abs(profiles[near] - profiles[i]).max(axis=1) <= tol]
        labels[near] = len(first)
        first.append(i)
    return labels, first
