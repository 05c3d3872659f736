"""POSCAR, CONTCAR and XDATCAR files of VASP."""

from __future__ import annotations

from ..._shared.caught_warnings import caught_warnings
from ..build import check_n_sites
from ..errors import ReadError

#: Lines before the coordinates of an XDATCAR: comment, scale, three lattice vectors, symbols, counts.
_N_HEADER = 7


def is_poscar(text):
    """Whether the lines 2 to 6 are a scale, three vectors, and symbols or numbers of atoms."""
    lines = text.split("\n", 6)
    if len(lines) < 7 or len(lines[1].split()) not in (1, 3) or not _floats(lines[1]):
        return False
    if not (_counts(lines[5]) or lines[5].strip()[:1].isalpha()):
        return False
    return all(len(line.split()) >= 3 and _floats(" ".join(line.split()[:3])) for line in lines[2:5])


def is_xdatcar(text):
    """Whether the header of a POSCAR is followed by a numbered configuration."""
    return is_poscar(text) and "configuration=" in "\n".join(text.split("\n", 9)[5:9])


def split_xdatcar(text):
    """The configurations of an XDATCAR, each as the text of a POSCAR."""
    lines = text.split("\n")
    at, header = 0, [""] * _N_HEADER
    while at < len(lines):
        if "configuration=" not in lines[at]:
            if not lines[at].strip() and not any(line.strip() for line in lines[at : at + _N_HEADER]):
                return
            header = lines[at : at + _N_HEADER]
            at += _N_HEADER
        if at >= len(lines) or "configuration=" not in lines[at]:
            raise ReadError(f"line {at + 1} must begin a configuration of the XDATCAR, and does not")
        n = sum(_counts(header[6]) or []) if len(header) == _N_HEADER else 0
        if not n:
            raise ReadError("the header of the XDATCAR does not say how many atoms there are of each element")
        yield "\n".join([*header, "Direct", *lines[at + 1 : at + 1 + n]]) + "\n"
        at += 1 + n


def read_poscar(text):
    """Read a POSCAR with pymatgen, which would guess elements that are not named.

    Raises
    ------
    ReadError
        If the elements are not named (VASP 4), or their number is not that of the counts.
    """
    from pymatgen.io.vasp import Poscar

    lines = text.split("\n")
    counts = _counts(lines[5])
    if counts is None:
        symbols, counts = [], []
        at = 5
        while at < len(lines) and _counts(lines[at]) is None:
            symbols += lines[at].split()
            at += 1
        while at < len(lines) and (some := _counts(lines[at])) is not None:
            counts += some
            at += 1
        if len(symbols) != len(counts):
            raise ReadError(f"the POSCAR names {len(symbols)} elements and has {len(counts)} counts of atoms")
    check_n_sites(sum(counts))
    with caught_warnings("always") as caught:
        structure = Poscar.from_str(text, read_velocities=False).structure
    if any("Elements in POSCAR cannot be determined" in str(warning.message) for warning in caught):
        raise ReadError(
            "the POSCAR does not name its elements (VASP 4): add a line with their symbols before the counts"
        )
    return structure


def _floats(line):
    try:
        return [float(word) for word in line.split()]
    except ValueError:
        return None


def _counts(line):
    """Numbers of atoms, or None if the line has anything else, or nothing."""
    words = line.split()
    return [int(word) for word in words] if words and all(word.isdecimal() for word in words) else None
