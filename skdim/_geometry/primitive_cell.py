"""The primitive cell of a crystal and the mapping of input sites to primitive sites, on NumPy arrays.

A lattice is a (3, 3) array whose rows are the lattice vectors in angstrom; coordinates are fractional.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np

from .lattice import GeometryError, hermite_form, minkowski_reduced, without_panics

# moyopy logs displacements far below symprec. Configure the logger "moyo" to see these messages.
logging.getLogger("moyo").addHandler(logging.NullHandler())

#: Number of distances that are computed at a time in large cells.
_BLOCK = 2**21
#: Largest number of pairs of sites, over all candidate translations, that are compared before a symmetry search.
_MAX_CANDIDATE_PAIRS = 2**17
#: Upper bounds of symprec / s and of symprec * l / s^2, where s and l are the lengths of the shortest and the longest
#: lattice vector. The symmetry search of some lattices never ends above 0.1 and 7.
_MAX_SYMPREC_RATIO, _MAX_SYMPREC_TILT = 0.05, 3


class Cell(NamedTuple):
    """A primitive cell.

    Attributes
    ----------
    lattice : ndarray of shape (3, 3)
        In angstrom.
    coords : ndarray of shape (M, 3)
        Fractional coordinates.
    kinds : ndarray of int of shape (M,)
        Label of each site, as passed in.
    site_of : ndarray of int of shape (n_input,)
        Primitive site of each input site.
    """

    lattice: np.ndarray
    coords: np.ndarray
    kinds: np.ndarray
    site_of: np.ndarray


def least_sites(kinds):
    """Return a lower bound of the number of primitive sites.

    Translations move every site, so that the order of the translation group divides the number of sites of each kind.
    """
    return len(kinds) // int(np.gcd.reduce(np.unique(kinds, return_counts=True)[1]))


def primitive_cell(lattice, coords, kinds, symprec=1e-3):
    """Find the primitive cell; the positions are averages over sites that are equivalent by translation.

    Because of the average, the result does not depend on the order of the sites, even if a translation holds only
    within ``symprec``.

    Parameters
    ----------
    lattice : ndarray of shape (3, 3)
        In angstrom.
    coords : ndarray of shape (n_sites, 3)
        Fractional coordinates.
    kinds : ndarray of int of shape (n_sites,)
        Labels; sites with different labels are never equivalent.
    symprec : float
        Tolerance for the positions of translated sites, in angstrom.

    Returns
    -------
    Cell

    Raises
    ------
    GeometryError
        If the symmetry search fails or is inconsistent, or ``symprec`` is too large for the lattice.

    Notes
    -----
    The translations are found by moyopy, unless they are obvious. A cell with coinciding sites is returned unchanged.
    """
    cell = Cell(lattice, coords, kinds, np.arange(len(kinds)))
    if least_sites(kinds) == len(kinds):
        return cell
    if _sites_coincide(cell, symprec):
        # The symmetry search would fail. The caller raises an error for the distance of 0 that names the sites.
        return cell
    _check_symprec(lattice, symprec)
    translations = _certain_translations(cell, symprec)
    if translations is None:
        translations = _search_translations(cell, symprec)
    for translation in translations @ lattice:
        # In units of the current cell, the entries of a translation of order n are multiples of 1 / n.
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
    """Yield squared distances from translated sites to nearest images, in blocks: (slice, ndarray (k, n_sites))."""
    n = len(cell.kinds)
    step = max(1, _BLOCK // n)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        delta = (cell.coords[rows] + translation)[:, None] - cell.coords[None]
        delta -= np.rint(delta)
        delta = delta @ cell.lattice
        yield rows, np.einsum("ijk,ijk->ij", delta, delta)


def _check_symprec(lattice, symprec):
    lengths = np.linalg.norm(minkowski_reduced(lattice), axis=1)
    shortest, longest = lengths.min(), lengths.max()
    if symprec > _MAX_SYMPREC_RATIO * shortest or symprec * longest > _MAX_SYMPREC_TILT * shortest**2:
        # The symmetry search of moyopy might not end, and use all memory.
        raise GeometryError(
            f"its shortest lattice vector is {shortest:.3g} angstrom and its longest {longest:.3g}, too short or too "
            f"different for symprec={symprec:g}: check the lattice, or choose a smaller symprec"
        )


def _certain_translations(cell, symprec):
    """Find the translations by comparing sites, which is much faster than a symmetry search; None if in doubt.

    Each translation maps the first site of the rarest kind onto another site of this kind. It is certain if all sites
    are mapped onto others within a fraction of ``symprec``, and ruled out if they are not mapped within a multiple.
    """
    kinds, counts = np.unique(cell.kinds, return_counts=True)
    if counts.min() * len(cell.kinds) ** 2 > _MAX_CANDIDATE_PAIRS:
        return None
    is_rarest = cell.kinds == kinds[counts.argmin()]
    rarest = cell.coords[is_rarest]
    translations = rarest[1:] - rarest[0]
    for sites in (is_rarest, np.ones(len(cell.kinds), dtype=bool)):
        misfit = _largest_misfit(cell, sites, translations)
        # In the symmetry search, each position can be off by symprec, also those of the first site and its image.
        translations, misfit = translations[misfit <= 5 * symprec], misfit[misfit <= 5 * symprec]
    if (misfit > symprec / 10).any():
        return None
    return np.concatenate([np.zeros((1, 3)), translations])


def _largest_misfit(cell, sites, translations):
    """Largest distance of a translated site to the nearest site of its kind, for each translation."""
    coords, kinds = cell.coords[sites], cell.kinds[sites]
    delta = (coords + translations[:, None])[:, :, None] - coords
    delta -= np.rint(delta)
    delta = delta.reshape(-1, 3) @ cell.lattice
    square = np.einsum("ij,ij->i", delta, delta).reshape(len(translations), len(coords), len(coords))
    square[:, kinds[:, None] != kinds] = np.inf
    return np.sqrt(square.min(axis=2).max(axis=1))


def _search_translations(cell, symprec):
    """Find the translations that map the sites onto each other, including zero: fractional, shape (n, 3)."""
    import moyopy

    crystal = moyopy.Cell(cell.lattice.tolist(), cell.coords.tolist(), cell.kinds.tolist())
    # The search fails if a translation holds for some of the sites only; it can succeed with a smaller tolerance.
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
            "supercell='none' to use the cell as given"
        )
    pure = (np.asarray(operations.rotations) == np.eye(3, dtype=int)).all(axis=(1, 2))
    return np.asarray(operations.translations, dtype=float)[pure]


def _orbits(cell, translation, order, symprec):
    """Site onto which each site is mapped by 0, ..., order - 1 translations, shape (order, n_sites)."""
    image_of = np.empty(len(cell.kinds), dtype=np.int64)
    nearest = np.empty(len(cell.kinds))
    for rows, square in _square_distances(cell, translation):
        square[cell.kinds[rows, None] != cell.kinds[None]] = np.inf
        image_of[rows] = square.argmin(axis=1)
        nearest[rows] = square.min(axis=1)
    sites = np.arange(len(image_of))
    orbits = [sites]
    for _ in range(order):
        orbits.append(image_of[orbits[-1]])
    # In the search, both a site and its image can be off by symprec.
    if (nearest > (2 * symprec) ** 2).any() or not np.array_equal(orbits[-1], sites):
        raise GeometryError(
            "its translations map only some of its sites onto each other: choose another symprec, or pass "
            "supercell='none' to use the cell as given"
        )
    return np.array(orbits[:-1])


def _fold(cell, point, orbits):
    """Return the cell of the lattice that includes a translation; each site is the mean of its orbit."""
    order = len(orbits)
    basis = hermite_form([point, *(order * np.eye(3, dtype=np.int64))])
    coords = cell.coords @ (order * np.linalg.inv(basis))
    first, index = np.unique(orbits.min(axis=0), return_inverse=True)
    delta = coords[orbits[:, first]] - coords[first]
    delta -= np.rint(delta)
    return Cell(
        basis / order @ cell.lattice, coords[first] + delta.mean(axis=0), cell.kinds[first], index[cell.site_of]
    )
