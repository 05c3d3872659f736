"""The sites of a crystal as lists, for callers that need no pymatgen Structure."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class CrystalSites(NamedTuple):
    """A crystal with the attributes of a pymatgen Structure that featurizing needs.

    A Structure is an object per site, which take a fifth of the time of reading a CIF.

    Attributes
    ----------
    lattice : Lattice
    species_and_occu : list of Composition of length n_sites
        Species of each site, with their occupancies.
    frac_coords : ndarray of shape (n_sites, 3)
    labels : list of str of length n_sites
    """

    lattice: Any
    species_and_occu: list
    frac_coords: np.ndarray
    labels: list

    @property
    def composition(self):
        return self.to_structure().composition

    def to_structure(self):
        """Make the Structure."""
        from pymatgen.core import Structure

        return Structure(self.lattice, self.species_and_occu, self.frac_coords, labels=self.labels)


def as_structure(crystal):
    """Return the Structure of CrystalSites; a Structure is returned unchanged."""
    return crystal.to_structure() if isinstance(crystal, CrystalSites) else crystal
