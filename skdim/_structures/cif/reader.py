"""One data block of a CIF -> the sites of a crystal, and warnings about how it was read."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import gemmi
import numpy as np

from ..crystal_sites import CrystalSites
from ..errors import ReadError, join_names
from .atoms import read_atoms
from .claims import compare, mass_of, read_claims
from .expand import expand
from .numbers import number
from .settings import Setting
from .symmetry import symmetry_of
from .text import crystal_blocks, tags_of

#: Bonds are longer than this fraction of the sum of the two covalent radii.
_SHORTEST_BOND = 0.6
_LONGEST_MESSAGE = 2000
#: Angstrom. Sites of two crystals that are this close are the same.
_SAME_PLACE = 0.02
#: Settings are compared by distances only in crystals with at most this many sites.
_MOST_COMPARED = 1000


class Crystal(NamedTuple):
    """A crystal in one of the possible settings of a file."""

    setting: Setting
    cell: object
    counts: dict
    verdict: object


def read_cif(text, name, *, strict=False):
    """Read the first crystal of a CIF.

    Parameters
    ----------
    text : str
    name : str
        What is read, for messages: "the CIF text", or a file's name in quotes.
    strict : bool, default=False
        Raise if the file contradicts itself (formula, Z, weight, density, volume, multiplicities).

    Returns
    -------
    structure : Structure
        Its sites are in the order of the atom rows.
    warnings : list of str
        About how the CIF was read.

    Raises
    ------
    ReadError
        If it contains no crystal, or one that cannot be read with certainty.
    """
    sites, warnings = read_cif_sites(text, name, strict=strict)
    return sites.to_structure(), warnings


def read_cif_sites(text, name, *, strict=False):
    """As :func:`read_cif`, but return CrystalSites."""
    try:
        blocks = crystal_blocks(text)
        sites, warnings = _read_block(blocks[0], strict)
    except ReadError as error:
        message = str(error)  # which may quote a value of any length
        message = message if len(message) < _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]} ..."
        raise ReadError(f"cannot read {name}: {message}") from error.__cause__
    if len(blocks) > 1:
        warnings.append(f"it holds {len(blocks)} structures, of which the first is used")
    return sites, warnings


def split_cif(text, name):
    """Split a CIF into one text for each crystal.

    Raises
    ------
    ReadError
        If it contains no crystal.
    """
    try:
        return crystal_blocks(text)
    except ReadError as error:
        raise ReadError(f"cannot read {name}: {error}") from None


def _read_block(block, strict):
    tags = tags_of(block)
    lattice = _lattice(tags)
    matrix = np.array(lattice.matrix)
    claims = read_claims(tags)
    atoms, warnings = read_atoms(tags, frozenset(claims.formula or ()), _oxidation_numbers(tags))
    symmetry = symmetry_of(tags, matrix)
    crystals = _crystals(symmetry.settings, atoms, claims, matrix)
    crystal = _choose(crystals, symmetry, atoms, matrix)
    warnings += symmetry.warnings + crystal.cell.warnings
    if len(crystals) > 1 and not symmetry.is_listed:
        warnings.append(f"the space group has several settings; {crystal.setting.name} was used, which fits the file")
    contradictions = crystal.verdict.mismatches + _multiplicities(atoms, crystal)
    inexact = [f"'{atom.name}'" for atom in atoms if not atom.kind.is_exact]
    if inexact and not crystal.verdict.has_formula:
        raise ReadError(
            f"the labels of atoms {join_names(inexact)} do not tell their elements with certainty, and their first "
            "letters do not give the formula of the file: add _atom_site_type_symbol"
        )
    if inexact:
        warnings.append(
            f"the elements of atoms {join_names(inexact)} are those of their first letters, as the formula has them"
        )
    if contradictions and strict:
        raise ReadError(f"it contradicts itself: {'; '.join(contradictions)}: correct it, or do without strict_cif")
    return _sites(atoms, crystal.cell, lattice), warnings + contradictions


def _lattice(tags):
    from pymatgen.core import Lattice

    modulated = tags.first("_cell_modulation_dimension")[1]
    if modulated is not None and modulated.strip("0 "):
        raise ReadError("it is a modulated structure, which no cell repeats: pass a supercell of it (an approximant)")
    lengths = [_cell_value(tags, f"_cell_length_{axis}", None) for axis in "abc"]
    angles = [_cell_value(tags, f"_cell_angle_{name}", 90.0) for name in ("alpha", "beta", "gamma")]
    for name, length in zip("abc", lengths, strict=True):
        if not length > 0:
            raise ReadError(f"its edge {name} is {length:g}: correct _cell_length_{name}")
    a, b, c = (math.cos(math.radians(angle)) for angle in angles)
    squared = 1 - a * a - b * b - c * c + 2 * a * b * c
    if not (min(angles) > 0 and max(angles) < 180 and squared > 1e-12):
        raise ReadError(
            f"its angles {angles[0]:g}, {angles[1]:g} and {angles[2]:g} are not those of a cell: correct them"
        )
    return Lattice.from_parameters(*lengths, *angles)


def _cell_value(tags, name, default):
    column = tags.column(name)
    text = column[0] if column else None
    if text is None:
        if default is None:
            raise ReadError(f"it lacks '{name}': add it")
        return default
    value = number(text)
    if value is None:
        raise ReadError(f"{name} is '{text[:30]}', which is not a number: correct it")
    return value.value


def _crystals(settings, atoms, claims, matrix):
    """The crystal in each setting that agrees with the atoms; if none does, the first error is raised."""
    crystals, errors = [], []
    volume = abs(np.linalg.det(matrix))
    for setting in settings:
        try:
            cell = expand(atoms, setting.group, matrix)
        except ReadError as error:
            errors.append(error)
            continue
        counts: dict[str, float] = {}
        mass = 0.0
        for atom, n in zip(atoms, cell.counts, strict=True):
            if n:
                counts[atom.kind.symbol] = counts.get(atom.kind.symbol, 0) + n * atom.occupancy
                mass += n * atom.occupancy * mass_of(atom.kind)
        verdict = compare(claims, counts, mass, volume)
        crystals.append(Crystal(setting, cell, counts, verdict))
    if not crystals:
        raise errors[0]
    return crystals


def _choose(crystals, symmetry, atoms, matrix):
    """Choose the crystal that agrees with the file and has plausible distances; raise if there are several."""
    if len(crystals) == 1:
        return crystals[0]
    agreeing = [c for c in crystals if c.verdict.has_counts]
    if symmetry.is_listed:
        return _listed_or_named(crystals, agreeing, symmetry, atoms, matrix)
    left = agreeing or [c for c in crystals if not c.verdict.mismatches]
    if len(left) > 1:
        left = [c for c in left if _is_plausible(c, atoms, matrix)]
    left = left or crystals
    if all(_is_same(left[0], other, atoms, matrix) for other in left[1:]):
        return left[0]
    names = join_names([f"'{c.setting.name}'" for c in left])
    raise ReadError(
        f"its symmetry, {symmetry.source}, has several settings, and the file does not tell which: write one of "
        f"{names}, or list the symmetry operations"
    )


def _listed_or_named(crystals, agreeing, symmetry, atoms, matrix):
    """Decide between listed operations and a named space group of another size."""
    listed, *named = crystals
    if listed in agreeing or listed.setting.name != symmetry.settings[0].name:
        return listed
    if named and all(_is_same(listed, other, atoms, matrix) for other in named):
        return listed
    if len(listed.setting.group) < len(symmetry.settings[1].group):
        contents = f"; {listed.verdict.mismatches[0]}" if listed.verdict.mismatches else ""
        raise ReadError(
            f"it lists {len(listed.setting.group)} of the {len(symmetry.settings[1].group)} symmetry operations of its "
            f"space group, {symmetry.source}{contents}: list all operations, or remove the list"
        )
    symmetry.warnings.append(
        f"the symmetry operations of the file were used, which are not those of its space group, {symmetry.source}"
    )
    return listed


def _is_plausible(crystal, atoms, matrix):
    """Whether no two full atoms are closer than bonded atoms."""
    full = [k for k, rows in enumerate(crystal.cell.rows) if sum(atoms[row].occupancy for row in rows) > 0.9]
    if len(full) > _MOST_COMPARED or not full:
        return True
    coords = crystal.cell.coords[full]
    radii = np.array([_radius(atoms[crystal.cell.rows[k][0]].kind.symbol) for k in full])
    shifts = coords[:, None] - coords
    shifts -= np.rint(shifts)
    least = np.full(shifts.shape[:2], np.inf)
    for step in np.ndindex(3, 3, 3):
        squares = np.square((shifts + np.array(step) - 1) @ matrix).sum(axis=2)
        if step == (1, 1, 1):
            np.fill_diagonal(squares, np.inf)
        np.minimum(least, squares, out=least)
    return bool((np.sqrt(least) >= _SHORTEST_BOND * (radii[:, None] + radii)).all())


@lru_cache
def _radius(symbol):
    return gemmi.Element(symbol).covalent_r


def _is_same(one, other, atoms, matrix):
    """Whether two crystals have the same sites, apart from a shift of the origin."""
    n = len(one.cell.rows)
    if len(other.cell.rows) != n or one.counts.keys() != other.counts.keys() or n > _MOST_COMPARED:
        return False
    numbers: dict[frozenset, int] = {}
    kinds, other_kinds = (
        np.array([numbers.setdefault(_contents(rows, atoms), len(numbers)) for rows in crystal.cell.rows])
        for crystal in (one, other)
    )
    rarest = np.bincount(kinds, minlength=len(numbers)).argmin()
    for start in np.flatnonzero(other_kinds == rarest):
        shift = other.cell.coords[start] - one.cell.coords[np.flatnonzero(kinds == rarest)[:1]]
        gaps = (one.cell.coords + shift)[:, None] - other.cell.coords
        gaps -= np.rint(gaps)
        near = np.square(gaps @ matrix).sum(axis=2) < _SAME_PLACE**2
        if len(shift) and (near & (kinds[:, None] == other_kinds)).any(axis=1).all():
            return True
    return False


def _contents(rows, atoms):
    return frozenset((atoms[row].kind.symbol, atoms[row].occupancy) for row in rows)


def _multiplicities(atoms, crystal):
    """Rows whose multiplicity is not that of the file; some programs write the order of the site symmetry instead."""
    order = len(crystal.setting.group)
    given = [(atom, size) for atom, size in zip(atoms, crystal.cell.orbit_sizes, strict=True) if atom.multiplicity]
    if all(atom.multiplicity * size == order for atom, size in given):
        return []
    odd = [f"'{atom.name}' {atom.multiplicity} and {size}" for atom, size in given if atom.multiplicity != size]
    return [f"multiplicities in the file, and as read: {join_names(odd, 3)}"] if odd else []


def _oxidation_numbers(tags):
    symbols, states = tags.column("_atom_type_symbol"), tags.column("_atom_type_oxidation_number")
    if not symbols or not states or len(symbols) != len(states):
        return {}
    read = {symbol: number(state) for symbol, state in zip(symbols, states, strict=True) if symbol and state}
    return {symbol: state.value for symbol, state in read.items() if state is not None}


def _sites(atoms, cell, lattice):
    species = {}
    for rows in cell.rows:
        key = tuple(rows)
        if key not in species:
            species[key] = _composition(tuple((atoms[row].kind, atoms[row].occupancy) for row in rows))
    labels = [atoms[rows[0]].name for rows in cell.rows]
    return CrystalSites(lattice, [species[tuple(rows)] for rows in cell.rows], cell.coords, labels)


@lru_cache(maxsize=2048)
def _composition(shares):
    """The species of a site, with their occupancies; isotopes of an element are one species."""
    from pymatgen.core import Composition, Element, Species

    content: dict = {}
    for kind, occupancy in shares:
        species = Element(kind.symbol) if kind.charge is None else Species(kind.symbol, kind.charge)
        content[species] = content.get(species, 0) + occupancy
    total = sum(content.values())
    return Composition({species: share / max(total, 1) for species, share in content.items()})
