"""Converts ASE Atoms to a pymatgen Structure."""

from __future__ import annotations

from typing import Any

import numpy as np

from .build import check_n_sites
from .errors import ReadError


@np.errstate(invalid="ignore")  # values that are not finite are found by the checks of structures
def structure_of_atoms(atoms):
    """Convert Atoms, including oxidation states and shared sites.

    Raises
    ------
    ReadError
        If they are not periodic in all three directions.
    """
    from pymatgen.core import Element, Species, Structure

    check_n_sites(len(atoms))
    if not atoms.pbc.all():
        axes = ", ".join(np.array(["a", "b", "c"])[atoms.pbc]) or "no axis"
        raise ReadError(f"the Atoms is periodic along {axes} only; give it a three-dimensional cell and pbc=True")
    if np.linalg.det(atoms.cell[:]) == 0:
        raise ReadError("the cell of the Atoms has no volume; set atoms.cell to three independent vectors")
    for index in np.flatnonzero((atoms.numbers < 1) | (atoms.numbers > 118)):
        raise ReadError(f"site {index} has the atomic number {atoms.numbers[index]}, which is not an element")

    species: list[Any] = [Element.from_Z(int(number)) for number in atoms.numbers]
    if atoms.has("oxi_states"):  # written by pymatgen's AseAtomsAdaptor
        states = atoms.get_array("oxi_states")
        species = [el if s is None else Species(el.symbol, float(s)) for el, s in zip(species, states, strict=True)]
    if atoms.has("spacegroup_kinds"):
        # ase.io reads a disordered CIF into the majority elements, and leaves the occupancies in info.
        occupancy = {str(kind): shares for kind, shares in atoms.info.get("occupancy", {}).items()}
        for site, kind in enumerate(atoms.get_array("spacegroup_kinds")):
            shares = occupancy.get(str(kind), {})
            if shares.get(species[site].symbol, 1) != 1:  # not if the user has replaced the element since
                species[site] = shares
    return Structure(atoms.cell[:], species, atoms.positions, coords_are_cartesian=True)
