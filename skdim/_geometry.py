"""Primitive cell, supercell growth and periodic distances: numpy arrays in, numpy arrays out.

Conventions: a lattice is a (3, 3) array whose rows are the vectors, in angstrom; coordinates are fractional in it.
"""

from __future__ import annotations

import itertools
import logging
from typing import NamedTuple

import numpy as np

# The symmetry search remarks on displacements far below symprec; those who want to hear it configure the logger "moyo".
logging.getLogger("moyo").addHandler(logging.NullHandler())

#: Shift vectors that reach every neighbouring image of a reduced cell.
_IMAGES = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
#: Lattice vectors to look among for the other bases of a reduced cell; a shortest basis never needs a larger step.
_STEPS = np.array([v for v in itertools.product((-1, 0, 1), repeat=3) if any(v)])
#: Relative difference of squared lengths and dot products below which two bases count as the same shape.
_METRIC_TOL = 1e-4


class GeometryError(ValueError):
    """A cell that cannot be turned into distances; the caller adds the row and the formula."""


class Cell(NamedTuple):
    """A primitive cell, and which of its sites each input site is.

    ``lattice`` (3, 3) in angstrom; ``coords`` (M, 3) fractional; ``kinds`` (M,) the caller's integer label of what
    sits there; ``site_of`` (n_input,) the primitive site of each input site.
    """

    lattice: np.ndarray
    coords: np.ndarray
    kinds: np.ndarray
    site_of: np.ndarray


def primitive_cell(lattice, coords, kinds, symprec=1e-3):
    """Find the primitive cell, with the positions averaged over the sites that a translation maps onto each other.

    Averaging makes the result independent of the order of the input sites also where the translation holds only
    within ``symprec``.

    Parameters
    ----------
    lattice : ndarray of shape (3, 3)
        In angstrom.
    coords : ndarray of shape (n_sites, 3)
        Fractional coordinates.
    kinds : ndarray of int of shape (n_sites,)
        Sites with different kinds are never equivalent.
    symprec : float
        How far, in angstrom, sites may be from where a translation puts them.

    Returns
    -------
    Cell

    Raises
    ------
    GeometryError
        If the symmetry search finds no consistent answer.
    """
    from moyopy import Cell as MoyoCell
    from moyopy import MoyoDataset

    n_sites = len(kinds)
    if n_sites == 1:
        return Cell(lattice, coords, kinds, np.zeros(1, dtype=np.intp))
    numbers = np.asarray(kinds, dtype=int)
    cell = MoyoCell(lattice.tolist(), coords.tolist(), numbers.tolist())
    dataset = None
    # A search can fail at one tolerance, where some translation holds for part of the sites only, and pass at another.
    for tolerance in (symprec, symprec / 10, symprec / 100):
        try:
            dataset = MoyoDataset(cell, symprec=tolerance)
            break
        except ValueError as error:
            reason = error
    if dataset is None:
        raise GeometryError(
            f"the search for its primitive cell failed ({reason}); check for sites that nearly coincide, or pass "
            "supercell='none' to use the cell as it is"
        )
    operations = dataset.operations
    rotations = np.asarray(operations.rotations)
    pure = (rotations == np.eye(3, dtype=rotations.dtype)).all(axis=(1, 2))
    translations = np.asarray(operations.translations, dtype=float)[pure]
    if len(translations) == 1:
        return Cell(lattice, coords, kinds, np.arange(n_sites))
    # A basis of the lattice that the translations make with the cell's own vectors: Hermite form of both together.
    multiple = len(translations)
    points = np.rint(translations * multiple).astype(np.int64)
    if np.abs(points - translations * multiple).max() > 0.1:
        raise GeometryError("its translations do not form a lattice within symprec; pass supercell='none'")
    basis = hermite_form(np.vstack([points, multiple * np.eye(3, dtype=np.int64)]))
    fine_lattice = (basis / multiple) @ lattice
    fine = coords @ (np.linalg.inv(basis) * multiple)
    # Sites of one kind whose positions differ by a vector of the fine lattice are one primitive site.
    site_of = np.full(n_sites, -1)
    sums, members, kept = [], [], []
    for i in range(n_sites):
        if site_of[i] >= 0:
            continue
        delta = fine - fine[i]
        delta -= np.rint(delta)
        near = np.einsum("ij,ij->i", delta @ fine_lattice, delta @ fine_lattice) < (4 * symprec) ** 2
        near &= (numbers == numbers[i]) & (site_of < 0)
        site_of[near] = len(kept)
        sums.append(fine[i] + delta[near].mean(axis=0))
        members.append(int(near.sum()))
        kept.append(i)
    if any(m != multiple for m in members):
        raise GeometryError("its translations do not map the sites onto each other within symprec")
    return Cell(fine_lattice, np.array(sums), kinds[kept], site_of)


def hermite_form(rows):
    """Upper triangular integer basis (3, 3), with positive diagonal and reduced above it, of the lattice of ``rows``.

    Two sets of rows span the same lattice exactly if their Hermite forms are equal.
    """
    rows = [[int(v) for v in row] for row in rows]
    basis = []
    for column in range(3):
        while True:
            live = [row for row in rows if row[column]]
            if not live:
                raise GeometryError("lattice vectors are linearly dependent")
            pivot = min(live, key=lambda row: abs(row[column]))
            done = True
            for row in live:
                if row is not pivot:
                    q = row[column] // pivot[column]
                    for k in range(3):
                        row[k] -= q * pivot[k]
                    done &= row[column] == 0
            if done:
                break
        rows = [row for row in rows if row is not pivot]
        basis.append([-v for v in pivot] if pivot[column] < 0 else pivot)
    for column in (1, 2):
        for above in range(column):
            q = basis[above][column] // basis[column][column]
            for k in range(3):
                basis[above][k] -= q * basis[column][k]
    return np.array(basis, dtype=np.int64)


def reduced_bases(lattice):
    """All shortest bases of a lattice that share one canonical shape.

    A crystal can be handed over in any basis of its lattice. Of the bases made of the shortest vectors (a <= b <= c)
    this takes those nearest to right angles and, between shapes that tie, the one whose dot products come first; what
    is left differs only by symmetries of the lattice. The shape, and the set, do not depend on the input basis.

    Parameters
    ----------
    lattice : ndarray of shape (3, 3)

    Returns
    -------
    list of ndarray of shape (3, 3)
        At least one, most often two (a basis and its negative) and at most 48.
    """
    from moyopy import minkowski_reduce

    start = np.asarray(minkowski_reduce(lattice.tolist())[0], dtype=float)
    vectors = _STEPS @ start
    lengths = np.einsum("ij,ij->i", vectors, vectors)
    minima = np.sort(np.einsum("ij,ij->i", start, start))
    tol = _METRIC_TOL * minima[2]
    of_length = [np.flatnonzero(np.abs(lengths - m) < tol) for m in minima]
    i, j, k = (a.ravel() for a in np.meshgrid(*of_length, indexing="ij"))
    # Integer determinants: whether the three vectors span the whole lattice.
    u, v, w = _STEPS[i], _STEPS[j], _STEPS[k]
    whole = np.abs(np.einsum("ij,ij->i", u, np.cross(v, w))) == 1
    i, j, k = i[whole], j[whole], k[whole]
    gram = vectors @ vectors.T
    dots = np.stack([gram[i, j], gram[i, k], gram[j, k]], axis=1)
    keys = np.column_stack([np.abs(dots).sum(axis=1), dots])
    for column in range(4):
        best = keys[:, column] < keys[:, column].min() + tol
        keys, i, j, k = keys[best], i[best], j[best], k[best]
    return [vectors[[a, b, c]] for a, b, c in zip(i, j, k, strict=True)]


def supercell_steps(lattice, n_sites, max_sites):
    """Integer matrix that grows a cell towards an orthorhombic box with equal edges, of at most ``max_sites`` sites.

    The lattice is factored as R Q, R upper triangular: R's diagonal are the edges of the orthorhombic cell that the
    lattice can be sheared to, by diag(R) R^-1. The shortest edge grows by one until the next step would pass the
    limit, and the scaled shear is rounded to integers. (Moran et al. 2025, 10.1039/D4DD00202D.)

    Parameters
    ----------
    lattice : ndarray of shape (3, 3)
        A reduced basis.
    n_sites, max_sites : int

    Returns
    -------
    ndarray of int of shape (3, 3)
        Upper triangular; its rows are the supercell's vectors in units of the lattice's.
    """
    # RQ from the Cholesky factor of the metric: it knows no orientation, so a rotated cell gives the same matrix.
    metric = lattice @ lattice.T
    r = np.linalg.cholesky(metric[::-1, ::-1])[::-1, ::-1]
    edges = np.diag(r)
    shear = edges[:, None] * np.linalg.inv(r)
    scale = np.ones(3, dtype=np.int64)
    while True:
        grown = edges * scale
        # Edges that tie within rounding noise must tie for every input: the first of them grows.
        shortest = int(np.flatnonzero(grown < grown.min() * (1 + _METRIC_TOL))[0])
        scale[shortest] += 1
        if n_sites * scale.prod() > max_sites:
            scale[shortest] -= 1
            break
    # Half steps are common (hexagonal cells): noise must not decide which way they round.
    return np.floor(scale[:, None] * shear + 0.5 + _METRIC_TOL).astype(np.int64)


def minimum_image_distances(cell, basis, steps):
    """Distances from each primitive site to every site of a supercell, each to its nearest image.

    Parameters
    ----------
    cell : Cell
    basis : ndarray of shape (3, 3)
        A basis of the cell's lattice.
    steps : ndarray of int of shape (3, 3)
        Upper triangular with positive diagonal: the supercell's vectors in units of ``basis``.

    Returns
    -------
    distances : ndarray of shape (M, N)
        In angstrom; column ``t * M + j`` is copy t of primitive site j, and t = 0 the cell itself.
    """
    from moyopy import minkowski_reduce

    # In a reduced cell the nearest image is at most one step from the wrapped vector.
    box = np.asarray(minkowski_reduce((steps @ basis).tolist())[0], dtype=float)
    to_box = np.linalg.inv(box)
    n = np.diag(steps)
    # Upper triangular steps: the points 0 <= i < n_i are one of each class of translations.
    copies = np.array(list(itertools.product(range(n[0]), range(n[1]), range(n[2])))) @ basis
    sites = cell.coords @ cell.lattice
    columns = (copies[:, None] + sites[None]).reshape(-1, 3)
    delta = (columns[None] - sites[:, None]).reshape(-1, 3) @ to_box
    delta -= np.rint(delta)
    delta = delta @ box
    shifts = _IMAGES @ box
    nearest = (2 * (delta @ shifts.T) + np.einsum("ij,ij->i", shifts, shifts)).argmin(axis=1)
    delta += shifts[nearest]
    distances = np.sqrt(np.einsum("ij,ij->i", delta, delta)).reshape(len(sites), len(columns))
    np.fill_diagonal(distances, 0.0)
    return distances


def supercell_distances(cell, max_sites, grow=True):
    """Distances from the M primitive sites to the N sites of the supercell grown from them.

    A lattice of high symmetry has several equally good supercells, and where the crystal lacks that symmetry they are
    not equivalent. All are made and the one with the largest value of a fixed function of species and distances is
    taken, so the choice belongs to the crystal and not to the basis or the order in which it was written down.

    Parameters
    ----------
    cell : Cell
    max_sites : int
        Upper limit of N.
    grow : bool
        False takes the cell itself as the supercell.

    Returns
    -------
    distances : ndarray of shape (M, N)
        In angstrom; column ``t * M + j`` is a copy of primitive site j.

    Raises
    ------
    GeometryError
        If the cell has more than ``max_sites`` sites, or its supercell a single one.
    """
    m = len(cell.kinds)
    if m > max_sites:
        raise GeometryError(f"its cell has {m} sites, more than max_sites={max_sites}; raise max_sites or leave it out")
    if not grow:
        choices = [(cell.lattice, np.eye(3, dtype=np.int64))]
    else:
        bases = reduced_bases(cell.lattice)
        steps = supercell_steps(bases[0], m, max_sites)
        choices = [(bases[0], steps)]
        if not _is_simple(steps):
            to_first = np.linalg.inv(bases[0])
            distinct = {
                hermite_form(steps @ np.rint(basis @ to_first).astype(np.int64)).tobytes(): basis for basis in bases
            }
            choices = [(basis, steps) for basis in distinct.values()]
    if m * int(round(np.linalg.det(choices[0][1]))) == 1:
        raise GeometryError(
            "it is a lone atom: the supercell holds one site, which has no neighbours; raise max_sites, or use "
            "supercell='orthorhombic'"
        )
    best, best_score = None, -np.inf
    for basis, steps in choices:
        distances = minimum_image_distances(cell, basis, steps)
        if len(choices) == 1:
            return distances
        score = _supercell_score(distances, cell.kinds)
        if score > best_score * (1 + 1e-9) or best is None:
            best, best_score = distances, score
    return best


def _is_simple(steps):
    """Whether the supercell is the same one in every reduced basis: n times the lattice in all directions."""
    return np.array_equal(steps, steps[0, 0] * np.eye(3, dtype=np.int64))


def _supercell_score(distances, kinds):
    """A positive number that tells supercells apart unless their species and distances agree."""
    weight = 1.0 + np.modf(np.asarray(kinds) * 0.6180339887498949)[0]
    columns = np.tile(weight, distances.shape[1] // len(weight))
    return float(weight @ np.sqrt(weight[:, None] * columns + distances).sum(axis=1))


def nearest_pair(distances):
    """The shortest distance between two different sites, and the two primitive sites it belongs to."""
    m = len(distances)
    apart = distances.copy()
    np.fill_diagonal(apart, np.inf)
    i, column = divmod(int(apart.argmin()), apart.shape[1])
    return float(apart[i, column]), i, column % m
