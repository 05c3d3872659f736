"""Supercells and their minimum-image distances, on NumPy arrays.

A lattice is a (3, 3) array whose rows are the lattice vectors in angstrom; coordinates are fractional.
"""

from __future__ import annotations

import itertools

import numpy as np

from .lattice import METRIC_TOL, STEPS, minkowski_reduced, reduced_bases

#: One of each pair of opposite steps to neighbouring cells.
_HALF_STEPS = STEPS[13:]


def supercell_steps(lattice, n_sites, max_sites):
    """Integer matrix of a nearly cubic supercell with at most ``max_sites`` sites (Moran et al. 2025).

    The lattice is factored as R Q with R upper triangular. The diagonal of R contains the edges of the orthorhombic
    cell that diag(R) R^-1 shears the lattice to. The multiple of the shortest edge is increased by one as long as the
    limit allows, and the scaled shear is rounded to integers. Reference: 10.1039/D4DD00202D.

    Parameters
    ----------
    lattice : ndarray of shape (3, 3)
        A reduced basis.
    n_sites, max_sites : int

    Returns
    -------
    ndarray of int of shape (3, 3)
        Upper triangular; its rows are the supercell vectors in units of the lattice vectors.
    """
    # R as Cholesky factor of the metric tensor, which does not depend on the orientation of the cell.
    metric = lattice @ lattice.T
    r = np.linalg.cholesky(metric[::-1, ::-1])[::-1, ::-1]
    edges = np.diag(r).tolist()
    scale = [1, 1, 1]
    while True:
        grown = [edge * n for edge, n in zip(edges, scale, strict=True)]
        # Edges that are equal within rounding errors must tie for every input: the first of them grows.
        limit = min(grown) * (1 + METRIC_TOL)
        shortest = next(axis for axis in range(3) if grown[axis] < limit)
        if n_sites * scale[0] * scale[1] * scale[2] // scale[shortest] * (scale[shortest] + 1) > max_sites:
            break
        scale[shortest] += 1
    shear = np.diag(r)[:, None] * np.linalg.inv(r)
    # Half integers are common (hexagonal cells): rounding errors must not decide how they are rounded.
    return np.floor(np.array(scale)[:, None] * shear + 0.5 + METRIC_TOL).astype(np.int64)


def _distinct_supercells(bases, steps):
    """Return the bases for which ``steps`` are bases of different lattices."""
    if len(bases) == 1:
        return bases
    in_first = np.rint(bases @ np.linalg.inv(bases[0]))
    supercells = steps @ in_first
    # They have the same volume: supercells k and l are equal if one is an integer combination of the other.
    ratio = np.einsum("kij,ljm->klim", supercells, np.linalg.inv(supercells))
    same = (np.abs(ratio - np.rint(ratio)) < 1e-6).all(axis=(2, 3))
    return bases[np.unique(same.argmax(axis=1))]


# ---- distances ----


def minimum_image_distances(cell, bases, steps):
    """Return minimum-image distances from each primitive site to every site of a supercell.

    Parameters
    ----------
    cell : Cell
    bases : ndarray of shape (n_bases, 3, 3)
        Bases of the lattice of the cell with nearly equal lengths and angles.
    steps : ndarray of int of shape (3, 3)
        Supercell vectors in units of the basis vectors; upper triangular with positive diagonal.

    Returns
    -------
    distances : ndarray of shape (n_bases, M, N)
        In angstrom. Column ``t * M + j`` is copy t of primitive site j; t = 0 is the cell itself.
    """
    supercell = steps @ bases[0]
    # The supercells have the same shape, so that the same transformation reduces all of them.
    change = np.rint(minkowski_reduced(supercell) @ np.linalg.inv(supercell)) @ steps
    boxes = change @ bases
    # For upper triangular steps, the points 0 <= i < n_i represent all translations in the supercell.
    copies = np.array(list(itertools.product(*map(range, np.diag(steps))))) @ np.linalg.inv(change)
    sites = cell.coords @ (cell.lattice @ np.linalg.inv(boxes))
    delta = (sites[:, None] - sites[:, :, None])[:, :, None] + copies[:, None]
    delta = (delta - np.rint(delta)).reshape(len(bases), -1, 3)
    metric = boxes @ boxes.swapaxes(1, 2)
    in_metric = delta @ metric
    square = np.einsum("kpi,kpi->kp", in_metric, delta)
    # In a reduced cell the nearest image is at most one step s from the wrapped vector d; |d - s|^2 = d^2 - 2 ds + s^2.
    # The components of d are at most 1/2, so that s can be shorter only if s^2 < sum_i |s a_i|; never in a cuboid.
    step_in_metric = _HALF_STEPS @ metric
    reach = np.einsum("ksi,si->ks", step_in_metric, _HALF_STEPS)
    useful = (reach < np.abs(step_in_metric).sum(axis=2) * (1 - 1e-9)).any(axis=0)
    if useful.any():
        gain = reach[:, None, useful] - 2 * np.abs(in_metric @ _HALF_STEPS[useful].T)
        square += np.minimum(gain.min(axis=2), 0)
    return np.sqrt(np.maximum(square, 0)).reshape(len(bases), len(cell.kinds), -1)


def supercell_distances(cell, max_sites, grow=True):
    """Return the distances from the M primitive sites to the N sites of their supercell.

    Lattices of high symmetry have several equally good supercells, which are not equivalent if the crystal has a lower
    symmetry. The one with the largest value of a fixed function of species and distances is chosen, so that the result
    does not depend on the basis or the order of the sites.

    Parameters
    ----------
    cell : Cell
    max_sites : int
        Upper limit of N; at least M.
    grow : bool
        False uses the cell itself as the supercell.

    Returns
    -------
    distances : ndarray of shape (M, N)
        In angstrom. Column ``t * M + j`` is a copy of primitive site j. A supercell may have a single site, whose only
        distance is 0.
    """
    m = len(cell.kinds)
    bases, steps = cell.lattice[None], np.eye(3, dtype=np.int64)
    if grow:
        bases = reduced_bases(cell.lattice)
        steps = supercell_steps(bases[0], m, max_sites)
        bases = _distinct_supercells(bases, steps)
    distances = minimum_image_distances(cell, bases, steps)
    return distances[_supercell_score(distances, cell.kinds).argmax() if len(bases) > 1 else 0]


def _supercell_score(distances, kinds):
    """Return a positive number that depends on the species and distances (..., M, N) only."""
    weight = 1.0 + np.modf(np.asarray(kinds) * 0.6180339887498949)[0]
    columns = np.tile(weight, distances.shape[-1] // len(weight))
    return np.sqrt(weight[:, None] * columns + distances).sum(axis=-1) @ weight


def nearest_pair(distances):
    """Find the shortest distance between two different sites.

    Returns
    -------
    distance : float
        In angstrom.
    i, j : int
        The primitive sites; equal if the distance is that of a site and its periodic image.
    """
    m = len(distances)
    apart = distances.copy()
    np.fill_diagonal(apart, np.inf)
    i, column = divmod(int(apart.argmin()), apart.shape[1])
    return float(apart[i, column]), i, column % m
