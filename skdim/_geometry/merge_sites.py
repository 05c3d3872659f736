"""Exact compression of a crystal's distances: site classes with multiplicities, distinct pairs with counts.

The encoder sees site j of the supercell only through its features and its distance. Two sites i whose collections of
(class of j, d_ij) agree are therefore the same site to it, whatever its weights, and so are two columns j of one row
with the same class and distance. Classes are found by colour refinement: start from the species, split classes whose
members see different collections, repeat until nothing splits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._shared.ragged import offsets_of


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
    count: np.ndarray  # type: ignore[assignment]  # in place of the method of tuples


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
        In angstrom. Pairs of a site whose distances lie within ``tol`` of each other count as equal, and so do sites
        whose distances agree one by one within ``tol``; what is merged takes its mean.

    Returns
    -------
    CompressedSites
    """
    m, n = distances.shape
    # Adding class * far to the distances keeps the classes apart in one sort.
    far = np.ceil(distances.max()) + 1
    class_of, first = _group_rows(np.zeros((m, 1)), kinds, tol)
    while True:
        column_class = np.tile(class_of, n // m)
        # All rows have the same columns: once sorted, they are comparable element by element.
        profiles = np.sort(distances + column_class * far, axis=1)
        n_classes = len(first)
        class_of, first = _group_rows(profiles, class_of, tol)
        if len(first) == n_classes:
            break
    column_class.sort()
    profiles -= column_class * far

    # Members of a class side by side, and then the mean of each class.
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
        row_lengths=new.sum(axis=1),
        neighbour=column_class[starts % n],
        distance=np.add.reduceat(rows.ravel(), starts) / count,
        count=count,
    )


def _new_pairs(rows, column_class, tol):
    """Where in sorted rows a pair begins that cannot join the one before it, boolean (C, N)."""
    new = np.ones(rows.shape, dtype=bool)
    new[:, 1:] = (np.diff(rows, axis=1) > tol) | (np.diff(column_class) > 0)
    # A chain of small steps must not merge what is further apart than tol: cut it from its left end on.
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
    """Split classes into groups of rows equal within ``tol``; returns the new labels and each group's first row."""
    labels = np.full(len(profiles), -1)
    first: list[int] = []
    means = profiles.mean(axis=1)
    for i in range(len(profiles)):
        if labels[i] >= 0:
            continue
        # Rows equal within tol have means equal within tol: compare element by element only those.
        near = np.flatnonzero((labels < 0) & (class_of == class_of[i]) & (np.abs(means - means[i]) <= tol))
        if len(near) > 1:
            near = near[np.abs(profiles[near] - profiles[i]).max(axis=1) <= tol]
        labels[near] = len(first)
        first.append(i)
    return labels, first
