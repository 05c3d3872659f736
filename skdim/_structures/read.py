"""Reads one row of X into an ordered pymatgen Structure; errors name the row."""

from __future__ import annotations

import os
import re
import sys
import warnings

import numpy as np

from .._chemistry.formulas import reduced_formula
from .atoms import structure_of_atoms
from .build import check_n_sites
from .checks import ordered_structure
from .containers import ROWS
from .crystal_sites import as_structure
from .dicts import structure_of_dict, structures_in
from .errors import ReadError, StructureError, describe
from .files import read_file, written_name
from .formats.contents import read_content, read_text
from .formats.detect import is_content
from .source_rows import FlatStructure, Text, Unreadable

#: Characters of a CIF in which its formula is searched.
_HEAD = 2**14


def read_structure(raw, row, *, disordered="raise", oxidation_states=False, strict_cif=False, warning_list=None):
    """Read one row into an ordered pymatgen Structure and check its elements, cell and coordinates.

    Sites keep their order and none is added or removed, so that results for each site can be mapped back onto the
    input. (The sites of a CIF are in the order of its atom rows, each with its images.)

    Parameters
    ----------
    raw : Structure, IStructure, ComputedStructureEntry, Atoms, str, path or dict
        A pymatgen structure or entry, ASE Atoms periodic in all directions, a path or the text of a file, or a dict;
        never changed. Of several crystals in a file or text the first is read, with a warning.
    row : int
        Position in X, for messages.
    disordered : {"raise", "majority"}
        For sites that are shared by several species or partly vacant: raise an error, or take the species with the
        largest occupancy (of equal ones the lightest element). A site that is mostly vacant becomes fully occupied.
    oxidation_states : bool, default=False
        Whether oxidation states are used. If not, a site shared by one element in several states is an ordered one.
    strict_cif : bool, default=False
        Raise an error if a CIF contradicts itself: formula, Z, weight, density, volume or multiplicities.
    warning_list : list, default=None
        Warnings are appended to it as (row, formula, text, name) instead of being raised.

    Returns
    -------
    Structure
        The same object if ``raw`` is an ordered Structure.

    Raises
    ------
    StructureError
        If it cannot be read or used.
    """
    warned: list = [] if warning_list is None else warning_list
    crystal = read_crystal(raw, row, disordered, oxidation_states, strict_cif, warned)
    for warning in warned if warning_list is None else ():
        warnings.warn(str(StructureError(*warning)), stacklevel=2)
    return as_structure(crystal)


def read_crystal(raw, row, disordered, oxidation_states, strict_cif, warning_list):
    """As :func:`read_structure`, but return the CrystalSites of a CIF, which are faster than a Structure."""
    if disordered not in ("raise", "majority"):
        raise ValueError(f"disordered must be 'raise' or 'majority', got {disordered!r}")
    content, name = raw, name_of(raw)
    try:
        content, notes = _load(raw, name)
        content, more = _to_structure(content, name, strict_cif)
        crystal = ordered_structure(content, disordered, oxidation_states)
    except ReadError as error:
        raise StructureError(row, formula_of(content), str(error), name) from error.__cause__
    if notes := notes + more:
        warning_list.append((row, formula_of(crystal), "; ".join(notes), name))
    return crystal


def name_of(raw):
    """Return the path if a row is one, as text; None for other rows."""
    if isinstance(raw, os.PathLike) or (isinstance(raw, str) and not is_content(raw)):
        return written_name(raw)
    return None


def formula_of(raw):
    """Find the reduced formula of a row, for messages: fast, and None rather than an error."""
    try:
        from pymatgen.core import Composition

        raw = raw.text if isinstance(raw, Text) else raw
        if isinstance(raw, str):
            match = re.search(r"(?i)_chemical_formula_(?:sum|structural)\s+(['\"]?)([^'\"\n]+)\1", raw[:_HEAD])
            composition = Composition(match.group(2) if match else {})
        elif isinstance(raw, dict):
            composition = Composition()
            for site in raw["sites"]:
                composition += Composition({species["element"]: species["occu"] for species in site["species"]})
        else:
            composition = raw.composition if hasattr(raw, "composition") else Composition(raw.get_chemical_formula())
        return reduced_formula(composition.get_el_amt_dict()) or None
    except Exception:  # The error being reported matters more than its formula.
        return None


def site_numbers(structure):
    """Return the atomic numbers of the sites of an ordered Structure or CrystalSites: uint8 of shape (n_sites,)."""
    return np.array([next(iter(species)).Z for species in structure.species_and_occu], dtype=np.uint8)


def _load(raw, name):
    """Read a row that is not in memory yet; return it, and warnings on how it was read."""
    if name is not None:
        return read_content(read_file(raw), "the file")
    if isinstance(raw, Unreadable):
        raise ReadError(raw.reason)
    if isinstance(raw, FlatStructure):
        return raw.load(), []
    return raw, []


def _to_structure(raw, name, strict_cif):
    """Convert a row by its type; return the Structure, or CrystalSites, and warnings on how it was read."""
    from pymatgen.core import IMolecule, IStructure, Site, Structure

    if isinstance(raw, IStructure):
        check_n_sites(len(raw))
    if isinstance(raw, Structure):
        return raw, []
    if isinstance(raw, Text | str):
        text, label = raw.text if isinstance(raw, Text) else raw, "the text" if name is None else "the file"
        return read_text(text, label, strict_cif=strict_cif)
    atoms_module = sys.modules.get("ase.atoms")
    try:
        if isinstance(raw, IStructure):
            return Structure.from_sites(list(raw)), []
        if atoms_module is not None and isinstance(raw, atoms_module.Atoms):
            return structure_of_atoms(raw), []
        if isinstance(raw, dict):
            return _from_dict(raw)
    except ReadError:
        raise
    except Exception as error:
        raise ReadError(f"the {type(raw).__name__} cannot be read ({describe(error)})") from error
    kind = type(raw).__name__
    if isinstance(getattr(raw, "structure", None), IStructure):  # entries
        return _to_structure(raw.structure, name, strict_cif)
    if raw is None or kind in ("NAType", "NaTType") or (isinstance(raw, float) and raw != raw):
        raise ReadError(f"the structure is missing ({raw})")
    if isinstance(raw, IMolecule):
        raise ReadError(f"a {kind} is not periodic; put it into a cell, for example with get_boxed_structure()")
    if isinstance(raw, Site):
        raise ReadError(f"a {kind} is one site: np.array takes Structures apart; pass the list of structures instead")
    raise ReadError(f"cannot use a {kind} as a structure. Rows may be {ROWS}")


def _from_dict(raw):
    structures = structures_in(raw)
    first = next(structures, raw)
    n = 1 + sum(1 for _ in structures)
    notes = [f"it contains {n} structures, of which the first is used"] if n > 1 else []
    return structure_of_dict(first), notes
