"""XSF files of XCrySDen, also animated ones."""

from __future__ import annotations

import itertools
import re

from ..build import build_structure, check_n_sites, element_symbol
from ..errors import ReadError

_KINDS = ("CRYSTAL", "SLAB", "POLYMER", "MOLECULE", "ATOMS", "ANIMSTEPS")
_SECTION = re.compile(r"(PRIMVEC|CONVVEC|PRIMCOORD|CONVCOORD|ATOMS|BEGIN_\w+)\b")


def is_xsf(text):
    """Whether the first line that is not a comment begins with a keyword of XSF."""
    for line in itertools.islice(_lines(text), 1):
        return line.split()[0] in _KINDS
    return False


def split_xsf(text):
    """The steps of an animation, each as an XSF text."""
    kind, cell = "", None
    lines = list(_lines(text))
    at = 0
    while at < len(lines):
        word = lines[at].split()[0]
        if word in ("CRYSTAL", "SLAB", "POLYMER", "MOLECULE"):
            kind = word
        elif word == "PRIMVEC":
            cell = lines[at + 1 : at + 4]
            at += 3
        elif word == "ATOMS":
            raise ReadError(f"an XSF file of a {kind.lower() or 'molecule'} is not periodic in three directions")
        elif word == "PRIMCOORD":
            n = _n_atoms(lines[at + 1] if at + 1 < len(lines) else "")
            if cell is None:
                raise ReadError("the XSF file has no PRIMVEC before its PRIMCOORD")
            atoms = lines[at + 2 : at + 2 + n]
            yield "\n".join([kind, "PRIMVEC", *cell, "PRIMCOORD", f"{n} 1", *atoms]) + "\n"
            at += 1 + n
        elif word.startswith("BEGIN_"):  # a grid of numbers, after the atoms
            return
        at += 1


def read_xsf(text):
    """Read one step.

    Raises
    ------
    ReadError
    """
    lines = list(_lines(text))
    if not lines or lines[0] != "CRYSTAL":
        raise ReadError(
            f"an XSF file of a {lines[0].lower() if lines else 'molecule'} is not periodic in three directions"
        )
    sections = {line.split()[0]: k for k, line in enumerate(lines) if _SECTION.match(line)}
    if not {"PRIMVEC", "PRIMCOORD"} <= sections.keys():
        raise ReadError("the XSF file needs PRIMVEC and PRIMCOORD")
    start = sections["PRIMCOORD"]
    n = _n_atoms(lines[start + 1] if start + 1 < len(lines) else "")
    check_n_sites(n)
    atoms = [line.split() for line in lines[start + 2 : start + 2 + n]]
    if len(atoms) < n:
        raise ReadError(f"the XSF file says {n} atoms and has {len(atoms)}")
    cell = [line.split()[:3] for line in lines[sections["PRIMVEC"] + 1 :][:3]]
    return build_structure(
        cell, [element_symbol(atom[0]) for atom in atoms], [atom[1:4] for atom in atoms], cartesian=True
    )


def _n_atoms(line):
    words = line.split()
    if not words or not words[0].isdecimal():
        raise ReadError(f"the XSF file must say after PRIMCOORD how many atoms there are, not {line[:40]!r}")
    return int(words[0])


def _lines(text):
    """Lines that are neither empty nor comments."""
    for line in text.splitlines():
        line = line.strip()
        if line and not line.startswith("#"):
            yield line
