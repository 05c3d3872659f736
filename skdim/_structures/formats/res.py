"""RES files as AIRSS and pymatgen write them: SHELX without symmetry."""

from __future__ import annotations

import re

from ..build import build_structure, check_n_sites, element_symbol
from ..errors import ReadError

_CELL = re.compile(r"(?m)^CELL\s+\S+(\s+\S+){6}\s*$")


def is_res(text):
    """Whether it has the cards CELL and SFAC."""
    return bool(_CELL.search(text)) and bool(re.search(r"(?m)^SFAC\b", text))


def split_res(text):
    """One text for each card TITL, as AIRSS writes structures one after the other."""
    parts = re.split(r"(?m)^(?=TITL\b)", text)
    return [part for part in parts if _CELL.search(part)]


def read_res(text):
    """Read one structure.

    Raises
    ------
    ReadError
        Also if the file has symmetry or partly occupied sites.
    """
    from pymatgen.core import Lattice

    cell, elements, numbers, coords = None, [], [], []
    for line in text.splitlines():
        words = line.split()
        card = words[0].upper() if words else ""
        if card == "CELL":
            cell = Lattice.from_parameters(*map(float, words[2:8]))
        elif card == "SYMM" or (card == "LATT" and words[1:] != ["-1"]):
            raise ReadError(f"the RES file has symmetry ({line.strip()}), and only those without are read: pass a CIF")
        elif card == "SFAC":
            elements += [element_symbol(word.capitalize()) for word in words[1:]]
        elif card in ("END", "HKLF"):
            break
        elif elements and len(words) >= 5 and words[1].isdecimal():
            # SHELX adds 10 to what it does not refine.
            if len(words) > 5 and float(words[5]) not in (1, 11):
                raise ReadError(f"atom {words[0]} of the RES file has the occupancy {words[5]}: pass a CIF")
            if not 1 <= int(words[1]) <= len(elements):
                raise ReadError(
                    f"atom {words[0]} of the RES file is of the element {words[1]}, which SFAC does not list"
                )
            numbers.append(int(words[1]))
            coords.append(words[2:5])
    check_n_sites(len(numbers))
    if cell is None:
        raise ReadError("the RES file has no card CELL")
    return build_structure(cell.matrix, [elements[number - 1] for number in numbers], coords)
