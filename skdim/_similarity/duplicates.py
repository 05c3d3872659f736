"""Near-duplicates: crystals of one formula and nearly the same structure."""

from __future__ import annotations

import numpy as np

from .._chemistry.formulas import count_elements, reduced_formula
from .._crystals.checks import check_crystals
from .._crystals.duplicates import row_contents
from .._structures.containers import as_rows
from .._structures.read import read_structure
from .local_distances import log_distances, relative_differences

#: Largest relative difference of distances by which two crystals are compared further.
TOLERANCE = 0.1


def duplicate_groups(X, structures=None, *, tolerance=TOLERANCE, matcher=None) -> np.ndarray:
    """Label crystals so that near-duplicates have the same label, to keep them on one side of a split.

    Data sets hold crystals more than once: computed again, relaxed with other settings, or taken from several sources.
    Pass the result as ``groups`` to ``GroupKFold`` or ``cross_validate``. Near-duplicates have the same reduced formula
    and, up to a factor, nearly the same distances between neighbours. With ``structures``, pymatgen's StructureMatcher
    compares each pair that is within the tolerance.

    Parameters
    ----------
    X : Crystals of shape (n_crystals,)
    structures : sequence of structures of length n_crystals, default=None
        The structures of X, of any kind that :class:`skdim.SiteNetFeaturizer` takes. None compares distances only,
        which joins many polymorphs.
    tolerance : float, default=0.1
        Largest root mean square of the relative differences between the distances of two near-duplicates.
    matcher : pymatgen StructureMatcher, default=None
        None takes StructureMatcher with its default settings. Requires ``structures``.

    Returns
    -------
    groups : ndarray of int64 of shape (n_crystals,)
        Equal numbers for near-duplicates, and for those that others connect; numbered by first occurrence. Each failed
        row is a separate group.

    Raises
    ------
    TypeError
        If X is not Crystals.
    ValueError
        If the number of structures differs, or a parameter is out of range.
    StructureError
        If a structure cannot be read.

    See Also
    --------
    formula_groups : Stricter: groups all polymorphs of a formula.
    skdim.NearestCrystals : Crystals that are similar in the embedding.

    Notes
    -----
    Measured on 3017 pairs of one formula (Materials Project): the default tolerance includes all 95 pairs that
    StructureMatcher matches, and 299 of 300 copies in other cells, with strains up to 3 % and displacements up to 0.06
    angstrom. It includes 2049 pairs in all: without ``structures``, most pairs in a group are polymorphs. That is safe
    for a split; do not remove rows by such groups.

    Examples
    --------
    >>> from skdim import SiteNetFeaturizer
    >>> from skdim.datasets import make_crystals
    >>> from skdim.model_selection import duplicate_groups
    >>> structures, y = make_crystals(5, random_state=0)
    >>> copy = structures[1].copy().apply_strain(0.01)
    >>> structures = [*structures, copy]
    >>> duplicate_groups(SiteNetFeaturizer().fit_transform(structures), structures).tolist()
    [0, 1, 2, 3, 4, 1]
    """
    X = check_crystals(X, "duplicate_groups")
    if not isinstance(tolerance, int | float) or not 0 <= tolerance < np.inf:
        raise ValueError(f"tolerance must be a number of at least 0; got {tolerance!r}")
    if structures is None:
        if matcher is not None:
            raise ValueError("matcher compares structures: pass structures too")
        return connected_groups(len(X), candidate_pairs(X, tolerance))
    structures = as_rows(structures)
    if len(structures) != len(X):
        raise ValueError(f"structures has {len(structures)} rows for {len(X)} crystals")
    return connected_groups(len(X), candidate_pairs(X, tolerance), same_structure(structures.__getitem__, matcher))


def same_structure(structure_of, matcher=None):
    """Function of two rows: whether pymatgen's StructureMatcher matches their structures.

    Parameters
    ----------
    structure_of : callable
        The structure of a row, of any kind that is read.
    matcher : StructureMatcher, default=None
    """
    from pymatgen.analysis.structure_matcher import StructureMatcher

    matcher, cache = matcher or StructureMatcher(), {}

    def read(row):
        if row not in cache:
            # Warnings were given when the structure was featurized.
            cache[row] = read_structure(structure_of(row), row, disordered="majority", warning_list=[])
        return cache[row]

    return lambda one, other: matcher.fit(read(one), read(other))


def candidate_pairs(X, tolerance=TOLERANCE):
    """Pairs of crystals that may be near-duplicates.

    Parameters
    ----------
    X : Crystals of shape (n_crystals,)
    tolerance : float

    Returns
    -------
    list of (int, int, float)
        Rows and the relative difference of their distances, in ascending order of the difference. Rows with exactly the
        same columns are paired with the first of them only.
    """
    pairs = []
    first_row: dict[bytes, int] = {}
    by_formula: dict[str, list[int]] = {}
    failed = X.failed
    for row, content in enumerate(row_contents(X)):
        if failed[row]:
            continue
        first = first_row.setdefault(content, row)
        if first == row:
            by_formula.setdefault(_formula(X, row), []).append(row)
        else:
            pairs.append((first, row, 0.0))
    for rows in by_formula.values():
        if len(rows) > 1:
            distances = np.array([log_distances(X, row) for row in rows])
            for k, row in enumerate(rows[:-1]):
                differences = relative_differences(distances[k], distances[k + 1 :])
                near = np.flatnonzero(differences <= tolerance)
                pairs += [(row, rows[k + 1 + other], float(differences[other])) for other in near]
    return sorted(pairs, key=lambda pair: pair[2])


def connected_groups(n_rows, pairs, same=None):
    """Join rows that pairs connect.

    Parameters
    ----------
    n_rows : int
    pairs : list of (int, int, float)
        From :func:`candidate_pairs`.
    same : callable, default=None
        Confirms a pair of rows; not called for rows that are already joined.

    Returns
    -------
    ndarray of int64 of shape (n_rows,)
        Numbered by first occurrence.
    """
    parent = np.arange(n_rows)

    def root(row):
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for one, other, _ in pairs:
        a, b = root(one), root(other)
        if a != b and (same is None or same(one, other)):
            parent[max(a, b)] = min(a, b)
    # The root of a group is its first row, so that roots in ascending order are first occurrences.
    return np.unique([root(row) for row in range(n_rows)], return_inverse=True)[1].astype(np.int64)


def _formula(X, row):
    classes = slice(*X.class_offsets[row : row + 2].tolist())
    return reduced_formula(count_elements(X.numbers[classes], X.multiplicity[classes]), alphabetical=True)
