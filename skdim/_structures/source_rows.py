"""Rows read from files that are not structures yet; they are parsed by the process that featurizes them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .build import build_structure, check_n_sites
from .errors import ReadError


class FlatStructure(NamedTuple):
    """A structure as a row of flat numbers.

    ``lattice`` (9,), row-major, in angstrom; ``species`` (n,) atomic numbers; ``frac_coords`` (3 n,). None for
    missing cells.
    """

    lattice: np.ndarray | None
    species: np.ndarray | None
    frac_coords: np.ndarray | None

    def load(self):
        """Make the pymatgen Structure.

        Raises
        ------
        ReadError
            If numbers are missing, or there are too many or too few.
        """
        names = ", ".join(self._fields)
        if any(part is None for part in self):
            raise ReadError(f"the structure is missing: {names} must be lists of numbers")
        lattice, species, coords = (np.asarray(part) for part in self)
        if len(lattice) != 9 or len(coords) != 3 * len(species):
            raise ReadError(
                f"lattice must have 9 numbers (it has {len(lattice)}) and frac_coords 3 for each of the {len(species)} "
                f"species (it has {len(coords)})"
            )
        check_n_sites(len(species))
        if len(species) == 0 or not np.isin(species, np.arange(1, 119)).all():
            raise ReadError("species must be atomic numbers, 1 to 118")
        return build_structure(lattice.reshape(3, 3), species.astype(int).tolist(), coords.reshape(-1, 3))


class Text(NamedTuple):
    """The content of a file or of a table's cell, never the name of a file."""

    text: str


class Unreadable(NamedTuple):
    """A row of which only the error is known."""

    reason: str


#: Types of rows that are not structures yet.
RAW_TYPES = (FlatStructure, Text, Unreadable)
