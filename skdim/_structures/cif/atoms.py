"""Atom rows of a CIF: every row becomes an atom, or is named in a warning or an error."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import ReadError, join_names
from ..limits import MAX_SITES, OCCUPANCY_TOL
from .numbers import Number, coordinate, number
from .species import Kind, UnknownKind, kind_of_label, kind_of_type, writes_capitals

_AXES = "xyz"
#: Some databases write this for all coordinates of hydrogen atoms that were not located.
_UNKNOWN = Number(-1.0, 1.0, False)
#: Largest fractional coordinate: larger numbers are in angstrom, or wrong.
_MOST_CELLS = 1000


class Atom(NamedTuple):
    """An atom row.

    Attributes
    ----------
    name : str
        Its label, or its position in the list.
    kind : Kind
    position : tuple of 3 float
        Fractional.
    units : tuple of 3 float
        How far rounding may have moved the coordinates.
    occupancy : float
    multiplicity : int or None
        As the file gives it.
    """

    name: str
    kind: Kind
    position: tuple
    units: tuple
    occupancy: float
    multiplicity: int | None


def read_atoms(tags, elements, oxidation_numbers):
    """Read all atom rows.

    Parameters
    ----------
    tags : Tags
    elements : frozenset of str
        Of the formula that the file gives; empty where it gives none.
    oxidation_numbers : dict of str to float
        Of type symbols.

    Returns
    -------
    atoms : list of Atom
    warnings : list of str
        They name the rows that are left out.

    Raises
    ------
    ReadError
        It names the atom.
    """
    tags.check_atoms()
    columns = {name: tags.column(f"_atom_site_{name}") for name in ("label", "type_symbol", "calc_flag", "occupancy")}
    coords = [tags.column(f"_atom_site_fract_{axis}") for axis in _AXES]
    for axis, column in zip(_AXES, coords, strict=True):
        if column is None:
            other = "; it has Cartesian ones only" if tags.column("_atom_site_cartn_x") else ""
            raise ReadError(f"it lacks '_atom_site_fract_{axis}': add fractional coordinates{other}")
    n_rows = len(coords[0])
    if n_rows > MAX_SITES:
        raise ReadError(f"it lists {n_rows} atoms, and no more than {MAX_SITES} are read")
    labels, types = columns["label"], columns["type_symbol"]
    if labels is None and types is None:
        raise ReadError("it lacks '_atom_site_label' and '_atom_site_type_symbol': add one of them")
    names = [label or f"number {k + 1}" for k, label in enumerate(labels or types)]
    if labels is None or len(set(names)) < n_rows:
        names = [f"{name} (row {k + 1})" for k, name in enumerate(names)]
    upper_case = writes_capitals(types or ())
    flags, occupancies = columns["calc_flag"] or [None] * n_rows, columns["occupancy"] or [None] * n_rows
    multiplicities = tags.column("_atom_site_symmetry_multiplicity") or [None] * n_rows

    atoms: list[Atom] = []
    left_out: dict[str, list] = {}
    for k, name in enumerate(names):
        values = [column[k] for column in coords]
        reason, kind = None, Kind("")
        if flags[k] is not None and flags[k].lower().startswith("dum"):
            reason = "dummies, without a position or without an atom (calc_flag dum)"
        else:
            try:
                if types and types[k]:
                    kind = kind_of_type(types[k], elements, upper_case)
                    if types[k] in oxidation_numbers:
                        kind = kind._replace(charge=oxidation_numbers[types[k]])
                elif labels and labels[k]:
                    kind = kind_of_label(labels[k], elements)
                else:
                    raise UnknownKind("it has neither a type symbol nor a label: add one")
            except UnknownKind as error:
                raise ReadError(f"atom '{name}': {error}") from None
            reason = _why_left_out(name, kind, values)
        if reason is None:
            occupancy = _occupancy(name, occupancies[k])
            if occupancy > 0:
                position, units = _position(name, values)
                text = multiplicities[k]
                multiplicity = int(text) if text and text.isdecimal() and len(text) < 6 else None
                atoms.append(Atom(name, kind, position, units, occupancy, multiplicity))
                continue
            reason = "atoms with an occupancy of 0"
        left_out.setdefault(reason, []).append(name)
    warnings = [f"left out as {reason}: {', '.join(left)}" for reason, left in left_out.items()]
    if not atoms:
        raise ReadError(f"it has no atoms{' (' + '; '.join(warnings) + ')' if warnings else ''}")
    _check_alternatives(tags, atoms, names)
    return atoms, warnings + _attached_hydrogens(tags, names)


def _why_left_out(name, kind, values):
    if not kind.symbol:
        return "vacancies or dummy atoms"
    if all(value is None for value in values):
        if kind.symbol == "H":
            return "atoms without coordinates"
        raise ReadError(f"atom '{name}' has no coordinates: add them, or remove its row")
    if kind.symbol == "H" and all(value is not None and number(value) == _UNKNOWN for value in values):
        raise ReadError(
            f"atom '{name}' is at -1 -1 -1, which stands for an unknown position: remove its row, or write 0 0 0 if it "
            "is there"
        )
    return None


def _position(name, values):
    read = []
    for axis, text in zip(_AXES, values, strict=True):
        value = None if text is None else coordinate(text)
        if value is None:
            hint = ": write a point for the comma" if text and "," in text else ": correct it, or remove its row"
            raise ReadError(
                f"atom '{name}' has the coordinate {axis} = '{(text or '?')[:30]}', which is not a number{hint}"
            )
        if abs(value.value) > _MOST_CELLS:
            raise ReadError(
                f"atom '{name}' has the coordinate {axis} = {value.value:g}: it must be a fraction of the cell"
            )
        read.append(value)
    return tuple(value.value for value in read), tuple(value.unit for value in read)


def _occupancy(name, text):
    if text is None:
        return 1.0
    value = number(text)
    if value is None:
        raise ReadError(f"atom '{name}' has the occupancy '{text[:30]}', which is not a number: correct it")
    if not 0 <= value.value <= 1 + max(OCCUPANCY_TOL, 10 * OCCUPANCY_TOL * value.refined):
        raise ReadError(f"atom '{name}' has an occupancy of {text}: it must be from 0 to 1")
    return 1.0 if abs(value.value - 1) <= 10 * OCCUPANCY_TOL * value.refined else value.value


def _check_alternatives(tags, atoms, names):
    """Refuse alternative positions (disorder groups) that are all full."""
    groups = tags.column("_atom_site_disorder_group")
    if groups is None:
        return
    assemblies = tags.column("_atom_site_disorder_assembly") or [None] * len(groups)
    full = {atom.name for atom in atoms if atom.occupancy > 1 - OCCUPANCY_TOL}
    members: dict = {}
    for name, group, assembly in zip(names, groups, assemblies, strict=True):
        if name in full and group is not None and group.strip("-0"):
            members.setdefault(assembly, {}).setdefault(group, name)
    for alternatives in members.values():
        if len(alternatives) > 1:
            raise ReadError(
                f"atoms {join_names(alternatives.values())} are alternatives of each other (disorder groups "
                f"{join_names(alternatives)}), and all have full occupancies: add occupancies, or leave one group out"
            )


def _attached_hydrogens(tags, names):
    counts = tags.column("_atom_site_attached_hydrogens") or []
    missing = [name for name, count in zip(names, counts, strict=False) if count and count.strip("0")]
    return [f"hydrogen atoms that are attached to {', '.join(missing)} are not listed"] if missing else []
