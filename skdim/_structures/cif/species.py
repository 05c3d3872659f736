"""Elements, isotopes and charges of atoms, from type symbols and labels."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import gemmi

ELEMENTS = frozenset(gemmi.Element(number).name for number in range(1, 119))
#: Symbols of what is not an atom: vacancies, dummy and ghost atoms, centroids, peaks of the difference map.
_NO_ATOMS = frozenset(
    ["va", "vac", "vacancy", "x", "xx", "du", "dum", "dummy", "bq", "gh", "q", "cg", "cnt", "cent", "centroid"]
)
#: Groups that begin with the symbol of an element.
_GROUPS = frozenset(["oh", "oh2", "h2o", "hoh", "d2o", "od", "od2", "wat", "water", "cp", "me", "et", "ph"])
_ISOTOPE = r"(?:(\d{1,3})-?)?"
_CHARGE = r"(?:\(?(?:(\d{1,2}\.?\d*)?([+-])|([+-])(\d{1,2}\.?\d*))\)?|\d*)"
_TYPE = re.compile(rf"{_ISOTOPE}([A-Za-z]{{1,2}}){_CHARGE}")
#: Several elements in one label.
_MIXED = re.compile(r"[/,+&|]\s*([A-Za-z]{1,2})")
_LABEL = re.compile(r"([A-Za-z]+)(?:[^A-Za-z].*)?", re.DOTALL)


class Kind(NamedTuple):
    """Element, charge and isotope of an atom.

    Attributes
    ----------
    symbol : str
        Of the element; "" if the row is not an atom.
    charge : float or None
    isotope : int or None
    is_exact : bool
        False where a label gives the element only by its first letters.
    """

    symbol: str
    charge: float | None = None
    isotope: int | None = None
    is_exact: bool = True


class UnknownKind(ValueError):
    """A symbol or label that cannot be read; the message says how to correct it."""


@lru_cache(maxsize=4096)
def kind_of_type(text, elements, upper_case):
    """Read ``_atom_site_type_symbol``.

    Parameters
    ----------
    text : str
    elements : frozenset of str
        Of the formula that the file gives; empty where it gives none.
    upper_case : bool
        Whether other symbols of the file show that it writes all of them in capitals.

    Returns
    -------
    Kind

    Raises
    ------
    UnknownKind
    """
    text = text.strip()
    match = _TYPE.fullmatch(text)
    letters = re.sub("[^a-z]", "", text.lower())
    if letters in _NO_ATOMS and (match is None or match[2].capitalize() not in ELEMENTS):
        return Kind("")
    if match is None:
        if text.lower() in _GROUPS or re.fullmatch(r"(?:[A-Z][a-z]?\d*){2,}", text):
            raise UnknownKind(f"its type '{text}' is a group: list its atoms one by one")
        raise UnknownKind(f"its type '{text}' is not an element: write a symbol such as Na, Na+ or 23Na")
    mass, letters, before, sign_after, sign_before, after = match.groups()
    symbol = _symbol(letters, elements, f"its type '{text}'", set(letters), upper_case)
    if symbol is None:
        if letters.lower() in _GROUPS or set(letters.upper()) <= ELEMENTS:
            raise UnknownKind(f"its type '{text}' is a group: list its atoms one by one")
        raise UnknownKind(f"its type '{text}' is not an element: write a symbol such as Na, Na+ or 23Na")
    charge = None
    if sign_after or sign_before:
        charge = float(before or after or 1) * (-1 if "-" in (sign_after, sign_before) else 1)
        if abs(charge) > 9:
            raise UnknownKind(f"its type '{text}' has a charge of {charge:g}: correct it")
    isotope = int(mass) if mass else None
    if symbol == "D":
        if isotope not in (None, 2):
            raise UnknownKind(f"its type '{text}' is not an isotope: write D or 2H")
        return Kind("H", charge, 2)
    number = gemmi.Element(symbol).atomic_number
    if isotope is not None and not number <= isotope <= 3 * number:
        raise UnknownKind(f"its type '{text}' is not an isotope of {symbol}: correct the mass number")
    return Kind(symbol, charge, isotope)


@lru_cache(maxsize=4096)
def kind_of_label(text, elements):
    """Read ``_atom_site_label`` where there is no type symbol; see :func:`kind_of_type`."""
    remedy = "add _atom_site_type_symbol"
    match = _LABEL.fullmatch(text.strip())
    if match is None:
        raise UnknownKind(f"its label does not begin with the symbol of an element: {remedy}")
    letters = match[1]
    if any(other.capitalize() in ELEMENTS for other in _MIXED.findall(text)):
        raise UnknownKind("its label is that of several elements: write a row for each, with its occupancy")
    if letters.lower() in _GROUPS or text.strip().lower() in _GROUPS:
        raise UnknownKind(f"its label is that of a group: list its atoms one by one, and {remedy}")
    symbol = _symbol(letters, elements, "its label", set(letters[:1]), False)
    if symbol == "D":
        return Kind("H", None, 2)
    if symbol is not None and (not elements or symbol in elements):
        return Kind(symbol)
    if letters.lower() in _NO_ATOMS and symbol is None:
        return Kind("")
    # Names of sites such as SiT1 or OA2: the formula must have the element, and is compared with the crystal later.
    for length in (2, 1):
        start = letters[:length].capitalize()
        if len(letters) > length and start in elements:
            return Kind(start, is_exact=False)
    if symbol is not None:
        return Kind(symbol)
    raise UnknownKind(f"its label does not begin with the symbol of an element: {remedy}")


def _symbol(letters, elements, what, parts, upper_case):
    """The element (or D) with these letters as its symbol; None if there is none.

    Two capitals, as in CO or CA1, may also be the elements of ``parts``: the formula or the other symbols decide.
    """
    symbol = letters.capitalize()
    if symbol == "D":
        return symbol
    if symbol not in ELEMENTS:
        return None
    if len(letters) == 2 and letters.isupper() and parts <= ELEMENTS:
        is_possible = symbol in elements or not elements
        is_certain = upper_case or (symbol in elements and not parts <= elements)
        if not (is_possible and is_certain):
            raise UnknownKind(
                f"{what} may mean {symbol}, or begin with {letters[0]}: write '{symbol}' as _atom_site_type_symbol, or "
                "list the atoms of a group one by one"
            )
    return symbol


def writes_capitals(symbols):
    """Whether type symbols of two letters are written in capitals, as one of them shows that cannot be a group."""
    starts = (re.match(r"([A-Z]{2})(?![a-z])", symbol) for symbol in symbols if symbol)
    pairs = {start[1] for start in starts if start}
    return any(pair.capitalize() in ELEMENTS and not set(pair) <= ELEMENTS for pair in pairs)
