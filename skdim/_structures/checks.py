"""Checks a structure and resolves its shared and partly vacant sites."""

from __future__ import annotations

import numpy as np

from .errors import ReadError
from .limits import OCCUPANCY_TOL

#: Heaviest element with tabulated properties: lawrencium.
_MAX_Z = 103
#: Cubic angstrom a site. Even the hydrogen inside planets has 1; less than this is a flat cell or a wrong unit.
_MIN_VOLUME = 0.1
#: Angstrom: a micrometre. Cells of crystals end far below; longer ones overflow the search for the shortest vectors.
_MAX_EDGE = 1e4
#: Cells from the origin. Further away, a float does not tell sites apart any more.
_MAX_CELLS = 1e6


def ordered_structure(structure, disordered, oxidation_states):
    """Check a structure's elements, cell and coordinates, and make it ordered.

    Parameters
    ----------
    structure : Structure or CrystalSites
    disordered, oxidation_states
        As for :func:`skdim._structures.read.read_structure`.

    Returns
    -------
    Structure or CrystalSites
        The same object if it is ordered, else a Structure.

    Raises
    ------
    ReadError
    """
    from pymatgen.core import DummySpecies, Structure

    sites, lattice = structure.species_and_occu, structure.lattice
    if not sites:
        raise ReadError("it has no sites")
    if not np.isfinite(lattice.matrix).all():
        raise ReadError("its lattice has values that are not finite")
    if np.abs(lattice.matrix).max() > _MAX_EDGE:
        raise ReadError(f"its cell has edges of more than {_MAX_EDGE:.0f} angstrom; are these its units?")
    if not all(lattice.pbc):
        raise ReadError(f"its lattice is not periodic in all three directions (pbc={lattice.pbc})")
    volume = abs(np.linalg.det(lattice.matrix))  # lattice.volume is slower
    if volume < _MIN_VOLUME * len(sites):
        raise ReadError(
            f"its cell has a volume of {volume:.3g} cubic angstrom for {len(sites)} site(s); are the lattice "
            "vectors independent, and in angstrom?"
        )
    try:
        coords = np.asarray(structure.frac_coords, dtype=float)
    except (TypeError, ValueError):
        raise ReadError("its coordinates are not three numbers a site") from None
    for odd in np.flatnonzero(~np.isfinite(coords).all(axis=1)):
        raise ReadError(f"the coordinates of site {odd} are not finite")
    for odd in np.flatnonzero(np.abs(coords).max(axis=1) > _MAX_CELLS):
        raise ReadError(f"site {odd} is more than a million cells away from the origin; check its coordinates")

    ordered, changed = [], False
    checked: dict = {}  # images of an atom have the same object
    for index, shares in enumerate(sites):
        if (known := checked.get(id(shares))) is not None:
            ordered.append(known)
            continue
        occupancy = shares.num_atoms
        for species in shares:
            if isinstance(species, DummySpecies):
                raise ReadError(f"site {index} is {species.symbol!r}, which is not an element")
            if species.Z > _MAX_Z:
                raise ReadError(f"site {index} is {species} (Z = {species.Z}); elements are known up to Z = {_MAX_Z}")
        if len(shares) != 1 or occupancy != 1:
            changed = True
            if not occupancy > 0:
                raise ReadError(f"site {index} is empty, or its occupancy is not a number")
            if len(shares) > 1 and not oxidation_states:
                shares = _by_element(shares)
            if disordered == "raise" and (len(shares) > 1 or abs(occupancy - 1) > OCCUPANCY_TOL):
                text = ", ".join(f"{species} {share:.4g}" for species, share in shares.items())
                raise ReadError(f"site {index} is disordered or partly vacant ({text}); pass disordered='majority'")
            shares = [min(shares, key=lambda s: (-shares[s], s.Z, getattr(s, "oxi_state", None) or 0))]
        one = checked[id(sites[index])] = next(iter(shares))
        ordered.append(one)
    return Structure(lattice, ordered, structure.frac_coords) if changed else structure


def _by_element(shares):
    """Join isotopes and oxidation states of one element, under the species with the largest occupancy."""
    joined: dict = {}
    for species, share in sorted(shares.items(), key=lambda item: (-item[1], getattr(item[0], "oxi_state", None) or 0)):
        first = next((other for other in joined if other.Z == species.Z), species)
        joined[first] = joined.get(first, 0) + share
    return joined
