"""Exact compression of a crystal's distances: site classes with multiplicities, distinct pairs with counts.

The encoder sees site j of the supercell only through its features and its distance. Two sites i whose collections of
(class of j, d_ij) agree are therefore the same site to it, whatever its weights, and so are two columns j of one row
with the same class and distance. Classes are found by colour refinement: start from the species, split classes whose
members see different collections, repeat until nothing splits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Larger than any distance: adding class * _FAR to the distances keeps classes apart in one sort.
_FAR = 1.0e4


class CompressedSites(NamedTuple):
    """Site classes and distinct pairs of one crystal.

    ``kinds`` (C,) kind of each class; ``multiplicity`` (C,) its primitive sites; ``class_of`` (M,) class of each
    primitive site; ``row_lengths`` (C,) distinct pairs of each class; and for the pairs, class by class,
    ``neighbour`` the class of j, ``distance`` in angstrom and ``count``.
    """

    kinds: np.ndarray
    multiplicity: np.ndarray
    class_of: np.ndarray
    row_lengths: np.ndarray
    neighbour: np.ndarray
    distance: np.ndarray
    count: np.ndarray


def keep_all(distances, kinds):
    """Every primitive site a class of its own and every supercell column a pair of its own."""
    m, n = distances.shape
    return CompressedSites(
        kinds=kinds,
        multiplicity=np.ones(m, dtype=np.int64),
        class_of=np.arange(m),
        row_lengths=np.full(m, n),
        neighbour=np.tile(np.arange(m), n // m * m),
        distance=distances.ravel(),
        count=np.ones(m * n, dtype=np.int64),
    )


def compress_sites(distances, kinds, tol=1e-3):
    """Merge the sites and pairs that no network on (features of i, features of j, d_ij) can tell apart.

    Parameters
    ----------
    distances : ndarray of shape (M, N)
        In angstrom; column ``t * M + j`` is a copy of primitive site j, and the diagonal each site with itself.
    kinds : ndarray of int of shape (M,)
        What sits on each primitive site.
    tol : float
        Distances within ``tol`` angstrom count as equal; a merged distance is the mean of its members.

    Returns
    -------
    CompressedSites
    """
    m, n = distances.shape
    copies = n // m
    class_of = np.unique(kinds, return_inverse=True)[1]
    n_classes = 0
    while True:
        # Sorted within each class of j: rows are comparable element by element, as all have the same columns.
        profiles = np.sort(distances + np.tile(class_of * _FAR, copies), axis=1)
        refined, first = _group_rows(profiles, class_of, tol)
        if len(first) == n_classes:
            break
        class_of, n_classes = refined, len(first)

    # Sorting by class of i puts each class's member rows side by side, to be averaged.
    order = np.argsort(class_of, kind="stable")
    multiplicity = np.bincount(class_of)
    starts = np.concatenate([[0], np.cumsum(multiplicity)[:-1]])
    rows = np.add.reduceat(profiles[order], starts, axis=0) / multiplicity[:, None]

    flat = rows.ravel()
    new = np.empty(rows.shape, dtype=bool)
    new[:, 0] = True
    np.greater(np.diff(rows, axis=1), tol, out=new[:, 1:])
    # A chain of small steps must not merge what is further apart than tol: cut it from its left end on.
    starts = np.flatnonzero(new)
    ends = np.concatenate([starts[1:], [flat.size]])
    for s in np.flatnonzero(flat[ends - 1] - flat[starts] > tol):
        left = flat[starts[s]]
        for k in range(starts[s] + 1, ends[s]):
            if flat[k] - left > tol:
                new.ravel()[k] = True
                left = flat[k]
    starts = np.flatnonzero(new)
    count = np.diff(np.concatenate([starts, [flat.size]]))
    merged = np.add.reduceat(flat, starts) / count
    neighbour = np.rint(np.floor((merged + tol) / _FAR)).astype(np.int64)
    # The site's pair with itself must stay at exactly 0, and subtracting _FAR leaves rounding of about 1e-12 a class.
    distance = merged - neighbour * _FAR
    distance[np.abs(distance) < 1e-8] = 0.0
    return CompressedSites(
        kinds=kinds[first],
        multiplicity=multiplicity,
        class_of=class_of,
        row_lengths=new.sum(axis=1),
        neighbour=neighbour,
        distance=distance,
        count=count,
    )


def _group_rows(profiles, class_of, tol):
    """Split classes into groups of rows equal within ``tol``; returns the new labels and each group's first row."""
    m = len(profiles)
    labels = np.full(m, -1)
    first = []
    means = profiles.mean(axis=1)
    for i in range(m):
        if labels[i] >= 0:
            continue
        # Rows equal within tol have means equal within tol: compare element by element only those.
        near = np.flatnonzero((labels < 0) & (class_of == class_of[i]) & (np.abs(means - means[i]) <= tol))
        if len(near) > 1:
            near = near[np.abs(profiles[near] - profiles[i]).max(axis=1) <= tol]
        labels[near] = len(first)
        first.append(i)
    return labels, first
