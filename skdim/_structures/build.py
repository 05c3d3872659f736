"""Builds a pymatgen Structure from the numbers in a file."""

from __future__ import annotations

import re

import numpy as np

from .errors import ReadError
from .limits import MAX_SITES

_LABEL = re.compile(r"([A-Z][a-z]?)[\d+-]*")


def check_n_sites(n):
    """Raise ReadError for cells with too many sites, before objects are created for them."""
    if n > MAX_SITES:
        raise ReadError(f"its cell has {n} sites, and no more than {MAX_SITES} are read: pass a smaller cell")


def build_structure(lattice, species, coords, *, cartesian=False):
    """Build a Structure after checking the numbers.

    Parameters
    ----------
    lattice : array-like of shape (3, 3)
        Lattice vectors as rows, in angstrom.
    species : sequence of str, int or dict of length n_sites
        Symbols or atomic numbers; a dict gives the occupancy of each symbol.
    coords : array-like of shape (n_sites, 3)
        Fractional, or in angstrom if ``cartesian``.
    cartesian : bool, default=False

    Returns
    -------
    Structure

    Raises
    ------
    ReadError
    """
    from pymatgen.core import Lattice, Structure

    check_n_sites(len(species))
    try:
        lattice = np.asarray(lattice, dtype=float)
        coords = np.asarray(coords, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise ReadError("its lattice vectors or coordinates are not numbers") from error
    if lattice.shape != (3, 3):
        raise ReadError(f"the lattice must be three vectors of three numbers; its shape is {lattice.shape}")
    if coords.shape != (len(species), 3):
        raise ReadError(f"{len(species)} species need as many coordinates of three numbers; they are {coords.shape}")
    if not np.isfinite(lattice).all() or np.linalg.det(lattice) == 0:
        raise ReadError("the lattice vectors are not finite, or not independent")
    if not len(species):
        raise ReadError("it has no sites")
    return Structure(Lattice(lattice), [_species(each) for each in species], coords, coords_are_cartesian=cartesian)


def element_symbol(label):
    """Return the element of a label such as "Na", "Na1" or "Na+"; other labels are returned unchanged."""
    match = _LABEL.fullmatch(label)
    return match[1] if match else label


def _species(one):
    """An Element, or a Composition of a shared site."""
    from pymatgen.core import Composition, Element

    if isinstance(one, dict):
        return Composition({_species(symbol): float(share) for symbol, share in one.items()})
    if isinstance(one, bool) or not isinstance(one, str | int | np.integer):
        raise ReadError(f"{one!r} is not an element")
    symbol = str(one).strip()
    try:
        return Element.from_Z(int(symbol)) if symbol.isdecimal() else Element(symbol)
    except ValueError:
        raise ReadError(f"{one!r} is not an element") from None
