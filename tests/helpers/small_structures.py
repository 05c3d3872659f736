"""Cells of two atoms, and structures as CIFs and as tables of flat numbers."""

import numpy as np
import pandas as pd
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from skdim._structures.read import site_numbers
from skdim._structures.source_rows import FlatStructure

CORNER_AND_CENTRE = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]


def pair(first="Cs", second="Cl", a=4.1):
    """Build a cell with one species at the corner and one in the centre."""
    return Structure(Lattice.cubic(a), [first, second], CORNER_AND_CENTRE)


def cif_of(structure):
    return str(CifWriter(structure))


def write_cifs(structures, folder, first=0):
    """Write structures to a new folder as s0.cif, s1.cif and so on, or numbered from ``first``."""
    folder.mkdir()
    for k, structure in enumerate(structures, first):
        structure.to(filename=str(folder / f"s{k}.cif"))
    return folder


def flat(structure):
    """Lattice, atomic numbers and fractional coordinates as flat arrays: one row of a Parquet table."""
    return FlatStructure(
        structure.lattice.matrix.ravel(), np.array(structure.atomic_numbers), structure.frac_coords.ravel()
    )


def table_of(structures, **columns):
    """A DataFrame of flat structures, with further columns."""
    rows = [flat(structure) for structure in structures]
    return pd.DataFrame({**{name: [row[k] for row in rows] for k, name in enumerate(FlatStructure._fields)}, **columns})


def sorted_numbers(structure):
    return sorted(site_numbers(structure).tolist())
