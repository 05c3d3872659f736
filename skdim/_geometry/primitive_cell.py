"""The primitive cell of a crystal, and which of its sites each input site is: numpy arrays in, numpy arrays out.

Conventions: a lattice is a (3, 3) array whose rows are the vectors, in angstrom; coordinates are fractional in it.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np

from .lattice import GeometryError, hermite_form, minkowski_reduced, without_panics

# The symmetry search remarks on displacements far below symprec; those who want to hear it configure the logger "moyo".
logging.getLogger("moyo").addHandler(logging.NullHandler())

#: Entries of the arrays of all sites against all: large cells are taken some rows at a time.
_BLOCK = 2**21
#: Bounds of symprec / s and of symprec l / s^2, for lattice vectors from s to l long: above 0.1, or above 7, the
#: symmetry search of some lattices never ends.
_MOST_OF_SHORTEST, _MOST_TILT = 0.05, 3


class Cell(NamedTuple):
    """A primitive cell, and which of its sites each input site is.

    ``lattice`` (3, 3) in angstrom; ``coords`` (M, 3) fractional; ``kinds`` (M,) the caller's integer label of what
    sits there; ``site_of`` (n_input,) the primitive site of each input site.
    """

    lattice: np.ndarray
    coords: np.ndarray
    kinds: np.ndarray
    site_of: np.ndarray


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
    """Squared distances from translated sites to the nearest images: blocks of rows, (slice, ndarray (k, n_sites))."""
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

    lengths = np.linalg.norm(minkowski_reduced(cell.lattice), axis=1)
    shortest, longest = lengths.min(), lengths.max()
    if symprec > _MOST_OF_SHORTEST * shortest or symprec * longest > _MOST_TILT * shortest**2:
        # moyopy would gather symmetries of such a lattice without end, until no memory is left.
        raise GeometryError(
            f"its shortest lattice vector is {shortest:.3g} angstrom and its longest {longest:.3g}, too short or too "
            f"unequal for symprec={symprec:g}: check the lattice, or choose a smaller symprec"
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
