"""CIF files and texts -> pymatgen Structures.

``text`` finds the data blocks and the values of the data names, ``numbers`` and ``species`` read these, ``atoms`` the
atom rows. ``operations`` checks lists of symmetry operations, ``settings`` knows the space groups by name, and
``symmetry`` chooses between them. ``expand`` applies the operations, ``claims`` compares the result with the formula,
density and so on of the file, and ``reader`` runs all steps. gemmi parses the CIF syntax and knows the space groups.
"""

from .reader import read_cif, read_cif_sites, split_cif
from .text import looks_like_cif

__all__ = ["looks_like_cif", "read_cif", "read_cif_sites", "split_cif"]
