"""Rows as they come out of files: they become structures only in the process that featurizes them."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np

from .cif import looks_like_cif
from .limits import MAX_SITES


class FlatStructure(NamedTuple):
    """A structure as a row of flat numbers.

    ``lattice`` (9,), row-major, in angstrom; ``species`` (n,) atomic numbers; ``frac_coords`` (3 n,). None where
    the table has none.
    """

    lattice: np.ndarray | None
    species: np.ndarray | None
    frac_coords: np.ndarray | None

    def load(self):
        """The pymatgen Structure.

        Raises
        ------
        ValueError
            If the numbers are none, or not of the right count.
        """
        from pymatgen.core import Lattice, Structure

        names = ", ".join(self._fields)
        if any(part is None for part in self):
            raise ValueError(f"the structure is missing: {names} must be lists of numbers")
        lattice, species, coords = (np.asarray(part) for part in self)
        if len(lattice) != 9 or len(coords) != 3 * len(species):
            raise ValueError(
                f"lattice must have 9 numbers (it has {len(lattice)}) and frac_coords 3 for each of the {len(species)} "
                f"species (it has {len(coords)})"
            )
        if len(species) > MAX_SITES:
            raise ValueError(f"its cell has {len(species)} sites, and no more than {MAX_SITES} are read")
        if len(species) == 0 or not np.isin(species, np.arange(1, 119)).all():
            raise ValueError("species must be atomic numbers, 1 to 118")
        return Structure(Lattice(lattice.reshape(3, 3)), species.astype(int).tolist(), coords.reshape(-1, 3))


class Text(NamedTuple):
    """A CIF, or a pymatgen dict as JSON."""

    text: str

    def load(self):
        """What a user would hold: the same text, or the dict.

        Raises
        ------
        ValueError
            If it is neither.
        """
        if self.text.lstrip().startswith("{"):
            try:
                return _without_properties(json.loads(self.text))
            except (ValueError, RecursionError) as error:
                raise ValueError(f"the text begins like JSON and is none ({error})") from error
        if not looks_like_cif(self.text):
            # Any other text in the place of a structure would be taken for the name of a file.
            hint = ""
            if self.text.strip().lower().endswith(".cif") and "\n" not in self.text.strip():
                hint = "; it may be the name of a file: a table holds whole CIFs, files are read from their folder"
            raise ValueError(
                f"the text is not CIF (which has 'data_' and '_cell_length' in it), nor a dict as JSON{hint}"
            )
        return self.text


class Unreadable(NamedTuple):
    """A row of which no more is known than why."""

    reason: str

    def load(self):
        """Raise ValueError."""
        raise ValueError(self.reason)


#: The kinds of rows that have ``load``.
UNLOADED = (FlatStructure, Text, Unreadable)


def _without_properties(structure):
    """Leave out what pymatgen would make objects of, of whatever class the file names."""
    structure.pop("properties", None)
    sites = structure.get("sites")
    for site in sites if isinstance(sites, list) else []:
        if isinstance(site, dict):
            site.pop("properties", None)
    return structure
