"""Formula, Z, weight, density and volume as a CIF gives them, compared with the crystal as read."""

from __future__ import annotations

import re
from math import gcd, isclose
from typing import NamedTuple

import gemmi

from .numbers import number
from .species import ELEMENTS

_PART = re.compile(r"([A-Z][a-z]?)(\d*\.?\d*)")
_NO_ATOM = "Va", "Vac", "X"
#: Relative differences that rounding, isotopes and refined occupancies explain.
_COUNT_TOL, _WEIGHT_TOL, _DENSITY_TOL, _VOLUME_TOL = 0.02, 0.02, 0.05, 0.02
#: Elements, and pairs of them, of which pymatgen's formula unit has two atoms each.
_DOUBLED = [{"H"}, {"N"}, {"O"}, {"F"}, {"Cl"}, *({element, "O"} for element in ("H", "Li", "Na", "K", "Rb", "Cs"))]
_DEUTERIUM = 2.0141
#: Daltons in a cubic angstrom -> g/cm3.
_DENSITY = 1.66053907


class Claims(NamedTuple):
    """Values that the file gives; None for the others.

    Attributes
    ----------
    formula : dict of str to float or None
    decimals : int
        Of the formula's numbers.
    z : int or None
    weight, density, volume : float or None
    """

    formula: dict | None
    decimals: int
    z: int | None
    weight: float | None
    density: float | None
    volume: float | None


class Verdict(NamedTuple):
    """Comparison of a crystal with the claims.

    Attributes
    ----------
    mismatches : list of str
        Messages, each with both values.
    has_counts : bool
        Whether the file determines the number of atoms, and it agrees.
    has_formula : bool
        Whether the ratios of the formula agree.
    """

    mismatches: list
    has_counts: bool
    has_formula: bool


def read_claims(tags):
    """Read the claims; values that cannot be parsed are ignored."""

    def value(name):
        text = tags.first(name)[1]
        read = None if text is None else number(text)
        return read.value if read is not None and read.value > 0 else None

    formula, decimals = parse_formula(tags.first("_chemical_formula_sum")[1])
    z = value("_cell_formula_units_z")
    return Claims(
        formula,
        decimals,
        int(z) if z and z == int(z) else None,
        value("_chemical_formula_weight"),
        value("_exptl_crystal_density_diffrn"),
        value("_cell_volume"),
    )


def parse_formula(text):
    """Counts of a formula such as ``Mg O`` or ``C12 H22 O11``, with the most decimals that a count has.

    ``(None, 0)`` if the text is anything else. Deuterium counts as hydrogen.
    """
    if not text:
        return None, 0
    squeezed = re.sub(r"\s+[+-]?\d*[+-]?\s*$", "", text.strip())
    squeezed = re.sub(r"[\s']+", "", squeezed)
    counts: dict[str, float] = {}
    decimals = end = 0
    for part in _PART.finditer(squeezed):
        symbol, count = part.groups()
        if part.start() != end or count == "." or not (symbol in ELEMENTS or symbol in ("D", *_NO_ATOM)):
            return None, 0
        end = part.end()
        if symbol in _NO_ATOM:
            continue
        symbol = "H" if symbol == "D" else symbol
        counts[symbol] = counts.get(symbol, 0) + float(count or 1)
        decimals = max(decimals, len(count.partition(".")[2]))
    counts = {symbol: count for symbol, count in counts.items() if count}
    return (counts, decimals) if counts and end == len(squeezed) else (None, 0)


def compare(claims, made, mass, volume):
    """Compare a crystal with the claims of its file.

    Parameters
    ----------
    claims : Claims
    made : dict of str to float
        Atoms of each element in the cell, occupancies counted.
    mass : float
        Of the cell, in dalton.
    volume : float
        Of the cell, in cubic angstrom.

    Returns
    -------
    Verdict
    """
    mismatches: list[str] = []
    has_counts = has_formula = False
    if claims.volume is not None and not isclose(claims.volume, volume, rel_tol=_VOLUME_TOL):
        mismatches.append(
            f"the file gives a cell volume of {claims.volume:g} cubic angstrom, and its edges and angles {volume:.6g}"
        )
    if claims.formula is not None:
        units = _units(claims, made)
        has_formula = units is not None
        expected = [claims.z] if claims.z else [units]
        if claims.z and _is_whole_cell(claims):
            expected.append(1)
        has_counts = bool(claims.z) and any(_same(claims, made, n) for n in expected)
        if not (has_counts if claims.z else has_formula):
            if claims.z:
                cell_counts = {symbol: count * expected[0] for symbol, count in claims.formula.items()}
                given = f"{formula_text(cell_counts)} (formula {formula_text(claims.formula)}, Z = {claims.z})"
            else:
                given = f"the formula {formula_text(claims.formula)}"
            mismatches.append(f"the file gives {given}, and {formula_text(made)} was read")
            return Verdict(mismatches, False, has_formula)
    if claims.weight is not None and claims.z and claims.formula is None:
        if not isclose(claims.weight * claims.z, mass, rel_tol=_WEIGHT_TOL):
            weight = claims.weight * claims.z
            mismatches.append(
                f"the file gives a weight of {claims.weight:g} and Z = {claims.z}, in all {weight:g}, and atoms of "
                f"{mass:g} were read ({formula_text(made)})"
            )
            return Verdict(mismatches, False, has_formula)
        has_counts = True
    elif claims.weight is not None and claims.formula is not None:
        formula_mass = sum(weight_of(symbol) * count for symbol, count in claims.formula.items())
        if not any(isclose(claims.weight, each, rel_tol=_WEIGHT_TOL) for each in _masses(claims, formula_mass, mass)):
            mismatches.append(
                f"the file gives a formula weight of {claims.weight:g}, and its formula {formula_mass:.6g}"
            )
    density = mass / volume * _DENSITY
    if claims.density is not None and not mismatches:
        if not isclose(claims.density, density, rel_tol=_DENSITY_TOL):
            mismatches.append(
                f"the file gives a density of {claims.density:g} g/cm3, and {formula_text(made)} was read, with "
                f"{density:.4g} g/cm3"
            )
        else:
            has_counts = True
    return Verdict(mismatches, has_counts, has_formula)


def weight_of(symbol):
    return gemmi.Element(symbol).weight


def mass_of(kind):
    """Of an atom, in dalton."""
    return _DEUTERIUM if kind.symbol == "H" and kind.isotope == 2 else weight_of(kind.symbol)


def formula_text(counts):
    return " ".join(f"{symbol}{round(count, 3):g}" for symbol, count in counts.items())


def _masses(claims, formula_mass, mass):
    """Possible formula weights: of the formula as given, with its isotopes, or in reduced form."""
    yield formula_mass
    if claims.z:
        yield mass / claims.z
        if _is_whole_cell(claims):
            yield formula_mass / claims.z


def _is_whole_cell(claims):
    """Whether the formula is that of the cell, as some programs write it: Z is its largest common divisor."""
    counts = claims.formula.values()
    if any(count != int(count) for count in counts):
        return False
    unit = 2 if claims.formula.keys() in _DOUBLED else 1
    return gcd(*map(int, counts)) in (claims.z, unit * claims.z)


def _units(claims, made):
    """Number of formula units; None if the ratios of the elements differ."""
    if claims.formula.keys() != made.keys():
        return None
    n = sum(made.values()) / sum(claims.formula.values())
    return n if _same(claims, made, n) else None


def _same(claims, made, n):
    if claims.formula.keys() != made.keys():
        return False
    is_whole = not claims.decimals and all(abs(count - round(count)) < 1e-6 for count in made.values())
    for symbol, count in claims.formula.items():
        expected = count * n
        tolerance = 1e-3 if is_whole else max(_COUNT_TOL * expected, 0.51 * n * 10.0**-claims.decimals, 0.02)
        if abs(made[symbol] - expected) > tolerance:
            return False
    return True
