"""Cells of two atoms, and what of them can be compared."""

from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from skdim._structures.read import site_numbers

CORNER_AND_CENTRE = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]


def pair(first="Cs", second="Cl", a=4.1):
    """Build a cell with one species at the corner and one in the centre."""
    return Structure(Lattice.cubic(a), [first, second], CORNER_AND_CENTRE)


def cif_of(structure):
    return str(CifWriter(structure))


def sorted_numbers(structure):
    return sorted(site_numbers(structure).tolist())
