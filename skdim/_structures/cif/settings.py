"""Space groups by name: the possible settings of a Hall symbol, a Hermann-Mauguin symbol or a number."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import gemmi

from ..errors import ReadError
from .operations import Group

#: What follows a symbol: a comment, the number of the group, or the choice of the origin or the axes.
_COMMENT = re.compile(r"[\s(]*#.*$|\s*\(\s*(?:no\.?|number)?\s*\d{1,3}\s*\)\s*$", re.IGNORECASE)
_CHOICE = re.compile(
    r"(?:\s*:\s*|\s+|(?=[,(]))(?:o|[,(]?\s*origin(?:\s+choice)?)?\s*"
    r"([12hrsz])\s*\)?$",
    re.IGNORECASE,
)
_CELL_CHOICE = re.compile(r"\s*:\s*-?[abc][123]?$|\s*:\s*(?:cab|bca|ba-c|a-cb|-cba)$", re.IGNORECASE)
#: Maximum length of a symbol.
_LONGEST = 100
#: Names of the choices: S and Z are written by ICSD.
_CHOICES = {"1": "1", "2": "2", "s": "1", "z": "2", "h": "H", "r": "R"}


class Setting(NamedTuple):
    """A space group in one setting."""

    name: str
    group: Group


@lru_cache(maxsize=512)
def hall_group(symbol):
    """The group of a Hall symbol.

    Raises
    ------
    ReadError
        If the symbol is invalid.
    """
    if len(symbol) > _LONGEST:
        raise ReadError(f"its Hall symbol '{symbol[:60]}...' is not one: correct it")
    try:
        operations = list(gemmi.symops_from_hall(symbol.replace("_", " ")))
    except (RuntimeError, ValueError) as error:
        raise ReadError(f"its Hall symbol '{symbol[:60]}' is not one ({error}): correct it") from None
    return Setting(f"Hall symbol {symbol}", _group(operations))


@lru_cache(maxsize=512)
def settings_of_symbol(symbol, code):
    """The possible settings of a Hermann-Mauguin symbol.

    Parameters
    ----------
    symbol : str
        For example ``F d -3 m :2``, ``Fd-3m``, ``R -3 m H`` or ``P 2(1)/n``.
    code : str or None
        ``_space_group_IT_coordinate_system_code``, where the file gives it.

    Returns
    -------
    list of list of Setting
        The preferred settings first: the first list with a setting that fits the cell applies.

    Raises
    ------
    ReadError
        If the symbol is not known.
    """
    if len(symbol) > _LONGEST:
        raise ReadError(f"its space group symbol '{symbol[:60]}...' is not known: list the symmetry operations")
    bare, choice = _split_symbol(symbol)
    if choice is None and _entry_of(bare) is None and bare[-2:] in (" 1", " 2"):
        bare, choice = bare[:-2], bare[-1]
    choice = choice or _CHOICES.get((code or "").strip().lower())
    first = _entry_of(bare)
    if first is None:
        raise ReadError(
            f"its space group symbol '{symbol[:60]}' is not known: list the symmetry operations, or correct it"
        )
    if bare.upper().startswith("H") and choice is None:
        choice = "H"
    entries = [entry for entry in gemmi.spacegroup_table() if entry.hm == first.hm]
    if choice is not None and any(entry.ext == choice for entry in entries):
        entries = [entry for entry in entries if entry.ext == choice]
    tiers = [entries]
    if first.monoclinic_unique_axis() and _squeezed(bare) != _squeezed(first.hm):
        # A short symbol has the unique axis b by convention; the cell may show another one.
        tiers += [[entry] for entry in _other_axes(first)]
    return [[_setting(entry) for entry in entries] for entries in tiers]


@lru_cache(maxsize=256)
def settings_of_number(number):
    """All settings of a space group in the lattice types of its conventional settings.

    Raises
    ------
    ReadError
        If there is no such number.
    """
    entries = [entry for entry in gemmi.spacegroup_table() if str(entry.number) == number]
    if not entries:
        raise ReadError(f"its space group number {number[:20]} is not one of 1 to 230")
    if entries[0].crystal_system_str() not in ("monoclinic", "orthorhombic"):
        reference = next(entry for entry in entries if entry.is_reference_setting())
        entries = [entry for entry in entries if entry.hm == reference.hm]
    return [_setting(entry) for entry in entries]


def number_of_symbol(symbol):
    """Number of the space group of a known symbol."""
    bare = _split_symbol(symbol)[0]
    return (_entry_of(bare) or _entry_of(bare[:-2])).number


def _split_symbol(symbol):
    """Split a symbol into the form of the table and the choice of origin or axes."""
    bare = _COMMENT.sub("", symbol).strip().replace("_", "")
    bare = re.sub(r"(?<=\d)\((\d)\)", r"\1", bare)  # P 2(1)/n
    bare = _CELL_CHOICE.sub("", bare)
    choice = None
    match = _CHOICE.search(bare)
    # "R 3 2" and "P 2 2 2" end with a digit that is not a choice: they have no colon.
    if match and (match[1].lower() in "hrsz" or not re.fullmatch(r"\s+[12]", match[0])):
        bare, choice = bare[: match.start()], _CHOICES[match[1].lower()]
    elif bare[-1:] in ("S", "Z"):
        bare, choice = bare[:-1], _CHOICES[bare[-1].lower()]
    return re.sub(r"\s+", " ", bare).strip(), choice


def _entry_of(bare):
    return gemmi.find_spacegroup_by_name(bare) or gemmi.find_spacegroup_by_name(_monoclinic(bare))


def _monoclinic(bare):
    """P 21/b and the like, of which the table has only the full symbols: the unique axis is c, or a."""
    match = re.fullmatch(r"([ABCFIP])\s*(21?/?[a-em-n]?|[a-em-n])", bare)
    return f"{match[1]} 1 1 {match[2]}" if match else bare


def _squeezed(symbol):
    return symbol.replace(" ", "").lower()


def _other_axes(entry):
    """The settings with a short symbol like that of ``entry`` and another unique axis."""
    centring, *axes = entry.hm.split()
    element = next((axis for axis in axes if axis != "1"), "1")
    names = [f"{centring} 1 {element} 1", f"{centring} 1 1 {element}", f"{centring} {element} 1 1"]
    return [other for other in gemmi.spacegroup_table() if other.hm in names and other.hm != entry.hm]


@lru_cache(maxsize=1024)
def _of_hall(name, hall):
    return Setting(name, _group(list(gemmi.symops_from_hall(hall))))


def _setting(entry):
    return _of_hall(entry.xhm(), entry.hall)


def _group(operations):
    parts = [
        (
            tuple(int(value) // gemmi.Op.DEN for row in operation.rot for value in row),
            tuple(Fraction(int(value), gemmi.Op.DEN) for value in operation.tran),
        )
        for operation in operations
    ]
    return Group(parts, [operation.triplet() for operation in operations])
