"""The supercell of a primitive cell, and the minimum-image distances in it: numpy arrays in, numpy arrays out.

Conventions: a lattice is a (3, 3) array whose rows are the vectors, in angstrom; coordinates are fractional in it.
"""

from __future__ import annotations

import itertools

import numpy as np

from .lattice import METRIC_TOL, STEPS, GeometryError, minkowski_reduced, reduced_bases

#: Of each step to a neighbouring cell and the one back, one.
_HALF_STEPS = STEPS[13:]


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
