"""CSSR files, as Zeo++ reads them."""

from __future__ import annotations

import re

from ..build import build_structure, check_n_sites, element_symbol
from ..errors import ReadError

_ATOM = re.compile(r"\s*\d+\s+(\S+)((?:\s+[-+.\dEe]+){3})")


def is_cssr(text):
    """Whether the second line has angles and a space group."""
    lines = text.split("\n", 2)
    return len(lines) == 3 and "SPGR" in lines[1]


def read_cssr(text):
    """Read a file.

    Raises
    ------
    ReadError
        Also if it has symmetry, or its number of atoms is not the one it states.
    """
    from pymatgen.core import Lattice

    lines = text.splitlines()
    if not re.search(r"SPGR\s*=?\s*1\b", lines[1]):
        raise ReadError("the CSSR file has symmetry, and only those without are read: pass a CIF")
    cell = Lattice.from_parameters(*map(float, lines[0].split()[-3:]), *map(float, lines[1].split()[:3]))
    n, is_cartesian = (int(word) for word in lines[2].split()[:2])
    check_n_sites(n)
    atoms = [match for line in lines[4:] if (match := _ATOM.match(line))]
    if len(atoms) != n:
        raise ReadError(f"the CSSR file says {n} atoms and has {len(atoms)}")
    coords = [match[2].split() for match in atoms]
    return build_structure(
        cell.matrix, [element_symbol(match[1]) for match in atoms], coords, cartesian=bool(is_cartesian)
    )
