"""Primitive cell, supercell growth and periodic distances: numpy arrays in, numpy arrays out.

Conventions: a lattice is a (3, 3) array whose rows are the vectors, in angstrom; coordinates are fractional in it.
"""

from __future__ import annotations

import itertools
import logging
from typing import NamedTuple

import numpy as np

from ._lattice import METRIC_TOL, STEPS, GeometryError, hermite_form, minkowski_reduced, reduced_bases, without_panics

# The symmetry search remarks on displacements far below symprec; those who want to hear it configure the logger "moyo".
logging.getLogger("moyo").addHandler(logging.NullHandler())

#: Entries of the arrays of all sites against all: large cells are taken some rows at a time.
_BLOCK = 2**21
#: Of the shortest lattice vector, as much as symprec may be; from a tenth on the symmetry search may never end.
_MOST_OF_VECTOR = 0.05
#: Of each step to a neighbouring cell and the one back, one.
_HALF_STEPS = STEPS[13:]


class Cell(NamedTuple):
    """A primitive cell, and which of its sites each input site is.

    ``lattice`` (3, 3) in angstrom; ``coords`` (M, 3) fractional; ``kinds`` (M,) the caller's integer label of what
    sits there; ``site_of`` (n_input,) the primitive site of each input site.
    """

    lattice: np.ndarray
    coords: np.ndarray
    kinds: np.ndarray
    site_of: np.ndarray


# ---- primitive cell ----


def least_sites(kinds):
    """The number of sites below which no cell of these input sites can be.

    A translation leaves no site in place, so the order of their group divides the number of sites of every kind.
    """
    return len(kinds) // int(np.gcd.reduce(np.unique(kinds, return_counts=True)[1]))


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
        If the symmetry search finds no consistent answer, or ``symprec`` is not small against the lattice.

    Notes
    -----
    The translations are moyopy's; a cell in which sites coincide is returned as it is.
    """
    cell = Cell(lattice, coords, kinds, np.arange(len(kinds)))
    if least_sites(kinds) == len(kinds):
        return cell
    if _sites_coincide(cell, symprec):
        # No search finds its way there; the caller refuses the distance of 0, and names the sites.
        return cell
    translations = _translations(cell, symprec)
    for translation in translations @ lattice:
        # In units of the cell found so far, a translation of order n is a whole number of n-ths.
        point = np.rint(translation @ np.linalg.inv(cell.lattice) * len(translations)).astype(np.int64)
        point %= len(translations)
        common = int(np.gcd.reduce([len(translations), *point]))
        order = len(translations) // common
        if order > 1:
            cell = _fold(cell, point // common, _orbits(cell, point / len(translations), order, symprec))
    return cell


def _sites_coincide(cell, symprec):
    near = sum(np.count_nonzero(square <= (2 * symprec) ** 2) for _, square in _square_distances(cell))
    return near > len(cell.kinds)


def _square_distances(cell, translation=0.0):
    """From sites, translated, to the nearest images of all: blocks of rows as (slice, ndarray of shape (k, n_sites)).
    """
    n = len(cell.kinds)
    step = max(1, _BLOCK // n)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        delta = (cell.coords[rows] + translation)[:, None] - cell.coords[None]
        delta -= np.rint(delta)
        delta = delta @ cell.lattice
        yield rows, np.einsum("ijk,ijk->ij", delta, delta)


def _translations(cell, symprec):
    """Lattice translations that map the sites onto each other, the zero one included, (n, 3) fractional."""
    import moyopy

    shortest = np.linalg.norm(minkowski_reduced(cell.lattice)[0])
    if symprec > _MOST_OF_VECTOR * shortest:
        # moyopy would gather symmetries of such a lattice without end, until no memory is left.
        raise GeometryError(
            f"its shortest lattice vector is {shortest:.3g} angstrom, too short for symprec={symprec:g}: check the "
            "lattice, or choose a symprec far below it"
        )
    crystal = moyopy.Cell(cell.lattice.tolist(), cell.coords.tolist(), cell.kinds.tolist())
    # A search can fail at one tolerance, where a translation holds for part of the sites only, and pass at a finer one.
    for tolerance in (symprec, symprec / 10, symprec / 100):
        try:
            with without_panics():
                operations = moyopy.MoyoDataset(crystal, symprec=tolerance).operations
            break
        except ValueError as error:
            reason = error
    else:
        raise GeometryError(
            f"the search for its primitive cell failed ({reason}): check for sites that nearly coincide, or pass "
            "supercell='none' to use the cell as it is"
        )
    pure = (np.asarray(operations.rotations) == np.eye(3, dtype=int)).all(axis=(1, 2))
    return np.asarray(operations.translations, dtype=float)[pure]


def _orbits(cell, translation, order, symprec):
    """Where each site goes under 0, ..., order - 1 translations, (order, n_sites)."""
    partner = np.empty(len(cell.kinds), dtype=np.int64)
    nearest = np.empty(len(cell.kinds))
    for rows, square in _square_distances(cell, translation):
        square[cell.kinds[rows, None] != cell.kinds[None]] = np.inf
        partner[rows] = square.argmin(axis=1)
        nearest[rows] = square.min(axis=1)
    every = np.arange(len(partner))
    orbits = [every]
    for _ in range(order):
        orbits.append(partner[orbits[-1]])
    # The search allows each site symprec, and the one that it is carried to as well.
    if (nearest > (2 * symprec) ** 2).any() or not np.array_equal(orbits[-1], every):
        raise GeometryError(
            "it has translations that carry its sites onto each other only in part: choose another symprec, or pass "
            "supercell='none' to use the cell as it is"
        )
    return np.array(orbits[:-1])


def _fold(cell, point, orbits):
    """Make the cell of the finer lattice that includes a translation, each site the mean of its orbit."""
    order = len(orbits)
    basis = hermite_form([point, *(order * np.eye(3, dtype=np.int64))])
    coords = cell.coords @ (order * np.linalg.inv(basis))
    first, index = np.unique(orbits.min(axis=0), return_inverse=True)
    delta = coords[orbits[:, first]] - coords[first]
    delta -= np.rint(delta)
    return Cell(
        basis / order @ cell.lattice, coords[first] + delta.mean(axis=0), cell.kinds[first], index[cell.site_of]
    )


# ---- supercell ----


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
    edges = np.diag(r).tolist()
    scale = [1, 1, 1]
    while True:
        grown = [edge * n for edge, n in zip(edges, scale, strict=True)]
        # Edges that tie within rounding noise must tie for every input: the first of them grows.
        limit = min(grown) * (1 + METRIC_TOL)
        shortest = next(axis for axis in range(3) if grown[axis] < limit)
        if n_sites * scale[0] * scale[1] * scale[2] // scale[shortest] * (scale[shortest] + 1) > max_sites:
            break
        scale[shortest] += 1
    shear = np.diag(r)[:, None] * np.linalg.inv(r)
    # Half steps are common (hexagonal cells): noise must not decide which way they round.
    return np.floor(np.array(scale)[:, None] * shear + 0.5 + METRIC_TOL).astype(np.int64)


def _distinct_supercells(bases, steps):
    """Those of the bases in which ``steps`` spans different lattices."""
    if len(bases) == 1:
        return bases
    in_first = np.rint(bases @ np.linalg.inv(bases[0]))
    supercells = steps @ in_first
    # Supercells k and l are the same if the one is whole in units of the other: they have the same volume.
    ratio = np.einsum("kij,ljm->klim", supercells, np.linalg.inv(supercells))
    same = (np.abs(ratio - np.rint(ratio)) < 1e-6).all(axis=(2, 3))
    return bases[np.unique(same.argmax(axis=1))]


# ---- distances ----


def minimum_image_distances(cell, bases, steps):
    """Distances from each primitive site to every site of a supercell, each to its nearest image.

    Parameters
    ----------
    cell : Cell
    bases : ndarray of shape (n_bases, 3, 3)
        Bases of the cell's lattice with nearly the same lengths and angles.
    steps : ndarray of int of shape (3, 3)
        Upper triangular with positive diagonal: the supercell's vectors in units of those of a basis.

    Returns
    -------
    distances : ndarray of shape (n_bases, M, N)
        In angstrom; column ``t * M + j`` is copy t of primitive site j, and t = 0 the cell itself.
    """
    supercell = steps @ bases[0]
    # What reduces one supercell reduces all: they have one shape.
    change = np.rint(minkowski_reduced(supercell) @ np.linalg.inv(supercell)) @ steps
    boxes = change @ bases
    # Upper triangular steps: the points 0 <= i < n_i are one of each class of translations.
    copies = np.array(list(itertools.product(*map(range, np.diag(steps))))) @ np.linalg.inv(change)
    sites = cell.coords @ (cell.lattice @ np.linalg.inv(boxes))
    delta = (sites[:, None] - sites[:, :, None])[:, :, None] + copies[:, None]
    delta = (delta - np.rint(delta)).reshape(len(bases), -1, 3)
    metric = boxes @ boxes.swapaxes(1, 2)
    in_metric = delta @ metric
    square = np.einsum("kpi,kpi->kp", in_metric, delta)
    # In a reduced cell the nearest image is at most one step s from the wrapped vector d; |d - s|^2 = d^2 - 2 ds + s^2.
    # No component of d is above 1/2, so a step helps only if s^2 < sum_i |s a_i|: in a box with right angles none does.
    step_in_metric = _HALF_STEPS @ metric
    reach = np.einsum("ksi,si->ks", step_in_metric, _HALF_STEPS)
    useful = (reach < np.abs(step_in_metric).sum(axis=2) * (1 - 1e-9)).any(axis=0)
    if useful.any():
        gain = reach[:, None, useful] - 2 * np.abs(in_metric @ _HALF_STEPS[useful].T)
        square += np.minimum(gain.min(axis=2), 0)
    return np.sqrt(np.maximum(square, 0)).reshape(len(bases), len(cell.kinds), -1)


def supercell_distances(cell, max_sites, grow=True):
    """Distances from the M primitive sites to the N sites of the supercell grown from them.

    A lattice of high symmetry has several equally good supercells, and where the crystal lacks that symmetry they are
    not equivalent. All are made and the one with the largest value of a fixed function of species and distances is
    taken, so the choice belongs to the crystal and not to the basis or the order in which it was written down.

    Parameters
    ----------
    cell : Cell
    max_sites : int
        Upper limit of N; not below M.
    grow : bool
        False takes the cell itself as the supercell.

    Returns
    -------
    distances : ndarray of shape (M, N)
        In angstrom; column ``t * M + j`` is a copy of primitive site j.

    Raises
    ------
    GeometryError
        If the supercell has a single site.
    """
    m = len(cell.kinds)
    bases, steps = cell.lattice[None], np.eye(3, dtype=np.int64)
    if grow:
        bases = reduced_bases(cell.lattice)
        steps = supercell_steps(bases[0], m, max_sites)
        bases = _distinct_supercells(bases, steps)
    if m * np.diag(steps).prod() == 1:
        raise GeometryError(
            "it is a lone atom: its supercell holds one site, which has no neighbours; raise max_sites, or use "
            "supercell='orthorhombic'"
        )
    distances = minimum_image_distances(cell, bases, steps)
    return distances[_supercell_score(distances, cell.kinds).argmax() if len(bases) > 1 else 0]


def _supercell_score(distances, kinds):
    """A positive number that tells supercells (..., M, N) apart unless their species and distances agree."""
    weight = 1.0 + np.modf(np.asarray(kinds) * 0.6180339887498949)[0]
    columns = np.tile(weight, distances.shape[-1] // len(weight))
    return np.sqrt(weight[:, None] * columns + distances).sum(axis=-1) @ weight


def nearest_pair(distances):
    """The shortest distance between two different sites, and the two primitive sites it belongs to."""
    m = len(distances)
    apart = distances.copy()
    np.fill_diagonal(apart, np.inf)
    i, column = divmod(int(apart.argmin()), apart.shape[1])
    return float(apart[i, column]), i, column % m
