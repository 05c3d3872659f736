"""Extended XYZ: files with a cell, and trajectories of them, read with ASE."""

from __future__ import annotations

import io
import re

from ..atoms import structure_of_atoms
from ..build import check_n_sites
from ..errors import ReadError

_ATOM = re.compile(r"\s*([A-Z][a-z]?|\d{1,3})\w*(\s+\S+){3}")


def is_xyz(text):
    """Whether the first line is a number of atoms, and a lattice or an atom follows."""
    lines = text.split("\n", 3)
    if len(lines) < 3 or not lines[0].strip().isdecimal():
        return False
    return "Lattice=" in lines[1] or "Properties=" in lines[1] or bool(_ATOM.match(lines[2]))


def split_xyz(text):
    """The frames of a trajectory."""
    file = io.StringIO(text)
    number = 0
    while line := file.readline():
        if not line.strip():
            continue
        number += 1
        if not line.strip().isdecimal():
            raise ReadError(f"crystal {number} of the XYZ file must begin with a number of atoms, not {line[:40]!r}")
        n = int(line)
        frame = [line, *(file.readline() for _ in range(min(n, len(text)) + 1))]
        while (at := file.tell()) and file.readline().startswith("VEC"):  # lattice vectors, as ADF writes them
            file.seek(at)
            frame.append(file.readline())
        file.seek(at)
        yield "".join(frame)


def read_xyz(text):
    """Read one frame.

    Raises
    ------
    ReadError
        If it has no cell, or fewer atoms than its first line says.
    """
    lines = text.splitlines()
    n = int(lines[0])
    check_n_sites(n)
    if len(lines) < n + 2:
        raise ReadError(f"the XYZ text says {n} atoms and has {max(0, len(lines) - 2)}")
    if "Lattice=" not in lines[1] and not any(line.startswith("VEC") for line in lines[n + 2 :]):
        raise ReadError('the XYZ text has no cell: extended XYZ has it as Lattice="..." in its second line')
    try:
        import ase.io
    except ImportError:
        raise ReadError('XYZ needs ase: pip install "skdim-crystals[ase]"') from None
    return structure_of_atoms(ase.io.read(io.StringIO(text), index=0, format="extxyz"))
