"""Whatever a user holds, read into ordered pymatgen structures, with errors that name the row."""

import os
import re
import sys
import warnings
from collections.abc import Sized
from typing import Any

import numpy as np

from .._chemistry.formulas import reduced_formula
from .cif import looks_like_cif, read_cif
from .containers import ROWS
from .errors import ReadError, StructureError, describe
from .files import read_text_file
from .limits import MAX_SITES, OCCUPANCY_TOL

#: Characters of a CIF in which its formula is looked for.
_HEAD = 2**14
#: Heaviest element with tabulated properties: lawrencium.
_MAX_Z = 103
#: Cubic angstrom a site. Even the hydrogen inside planets has 1; less than this is a flat cell or a wrong unit.
_MIN_VOLUME = 0.1
#: Angstrom: a micrometre. Cells of crystals end far below; longer ones overflow the search for the shortest vectors.
_MAX_EDGE = 1e4
#: Cells from the origin. Further away, a float does not tell sites apart any more.
_MAX_CELLS = 1e6


def read_structure(raw, row, *, disordered="raise", oxidation_states=False, strict_cif=False, remarks=None):
    """Read one row into an ordered pymatgen Structure and check its elements, cell and coordinates.

    Sites keep their order and none is added or removed, so that results a site map back onto the input. (The sites
    of a CIF are in the order of its atom rows, each with its images.)

    Parameters
    ----------
    raw : Structure, IStructure, Atoms, str, path or dict
        A pymatgen structure, an ASE Atoms periodic in all directions, a CIF file name, CIF text, or a dict made by
        ``Structure.as_dict()``; never changed. Of several crystals in a CIF the first is read, with a warning.
    row : int
        Position in X, for the messages: the StructureError, and one warning with all that is to be known of a CIF.
    disordered : {"raise", "majority"}
        What to do where a site is shared by several species or partly vacant: raise, or take the species with the
        largest occupancy (of equal ones the lightest element). A site that is mostly vacant stays, fully occupied.
    oxidation_states : bool, default=False
        Whether oxidation states are used. If not, a site shared by one element in several states is an ordered one.
    strict_cif : bool, default=False
        Raise if a CIF contradicts itself: formula, Z, weight, density, volume or multiplicities.
    remarks : list, default=None
        What is to be known of a CIF is appended to it, as (row, formula, text), and no warning is raised.

    Returns
    -------
    Structure
        The very object given, where that is an ordered Structure already.
    """
    if disordered not in ("raise", "majority"):
        raise ValueError(f"disordered must be 'raise' or 'majority', got {disordered!r}")
    structure = None
    try:
        structure = _to_structure(raw, row, remarks, strict_cif)
        return _ordered(structure, disordered, oxidation_states)
    except ReadError as problem:
        formula = formula_of(raw if structure is None else structure)
        raise StructureError(row, formula, str(problem)) from problem.__cause__


def formula_of(raw):
    """Find the reduced formula of a row, for messages: cheap, and None rather than an error."""
    try:
        from pymatgen.core import Composition

        if isinstance(raw, str):
            found = re.search(r"_chemical_formula_(?:sum|structural)\s+(['\"]?)([^'\"\n]+)\1", raw[:_HEAD])
            composition = Composition(found.group(2) if found else {})
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
    """Return the atomic numbers of an ordered structure's sites: uint8 of shape (n_sites,)."""
    return np.array([next(iter(site.species)).Z for site in structure.sites], dtype=np.uint8)


def _to_structure(raw, row, remarks, strict_cif):
    """Convert by type; a Structure is returned as it is."""
    from pymatgen.core import IMolecule, IStructure, Site, Structure

    atoms_module = sys.modules.get("ase.atoms")
    is_atoms = atoms_module is not None and isinstance(raw, atoms_module.Atoms)
    if isinstance(raw, IStructure | dict) or is_atoms:
        _check_number(raw)
    if isinstance(raw, Structure):
        return raw
    if isinstance(raw, str | os.PathLike):
        return _from_cif(raw, row, remarks, strict_cif)
    if isinstance(raw, IStructure | dict) or is_atoms:
        try:
            if isinstance(raw, IStructure):
                return Structure.from_sites(list(raw))
            return _from_dict(raw) if isinstance(raw, dict) else _from_atoms(raw)
        except ReadError:
            raise
        except Exception as error:
            raise ReadError(f"pymatgen cannot read the {type(raw).__name__} ({describe(error)})") from error
    name = type(raw).__name__
    if raw is None or name in ("NAType", "NaTType") or (isinstance(raw, float) and raw != raw):
        raise ReadError(f"the structure is missing ({raw})")
    if isinstance(raw, IMolecule):
        raise ReadError(f"a {name} is not periodic; put it into a cell, for example with get_boxed_structure()")
    if isinstance(raw, Site):
        raise ReadError(f"a {name} is one site: np.array takes Structures apart; pass the list of structures instead")
    remedy = "; pass its .structure" if hasattr(raw, "structure") else ""
    raise ReadError(f"cannot use a {name} as a structure{remedy}. Rows may be {ROWS}")


@np.errstate(invalid="ignore")  # what is not finite is found by _ordered
def _from_atoms(atoms):
    from pymatgen.core import Element, Species, Structure

    if not atoms.pbc.all():
        axes = ", ".join(np.array(["a", "b", "c"])[atoms.pbc]) or "no axis"
        raise ReadError(f"the Atoms is periodic along {axes} only; give it a three-dimensional cell and pbc=True")
    if np.linalg.det(atoms.cell[:]) == 0:
        raise ReadError("the cell of the Atoms has no volume; set atoms.cell to three independent vectors")
    for odd in np.flatnonzero((atoms.numbers < 1) | (atoms.numbers > 118)):
        raise ReadError(f"site {odd} has the atomic number {atoms.numbers[odd]}, which is no element")

    species: list[Any] = [Element.from_Z(int(number)) for number in atoms.numbers]
    if atoms.has("oxi_states"):  # written by pymatgen's AseAtomsAdaptor
        states = atoms.get_array("oxi_states")
        species = [el if s is None else Species(el.symbol, float(s)) for el, s in zip(species, states, strict=True)]
    if atoms.has("spacegroup_kinds"):
        # ase.io reads a disordered CIF into the majority elements, and leaves the occupancies in info.
        occupancy = {str(kind): shares for kind, shares in atoms.info.get("occupancy", {}).items()}
        for site, kind in enumerate(atoms.get_array("spacegroup_kinds")):
            shares = occupancy.get(str(kind), {})
            if shares.get(species[site].symbol, 1) != 1:  # not of an element that was put in since
                species[site] = shares
    return Structure(atoms.cell[:], species, atoms.positions, coords_are_cartesian=True)


def _from_cif(raw, row, remarks, strict_cif):
    """Read CIF text or a CIF file, with one remark of all that there is to say."""
    if isinstance(raw, str) and looks_like_cif(raw):
        name, text = "the CIF text", raw
    elif isinstance(raw, str) and "\n" in raw:
        raise ReadError("the text is not CIF (which has 'data_' and '_cell_length' in it), nor a file name")
    else:
        name, text = f"'{os.fspath(raw)}'", read_text_file(raw)
    structure, said = read_cif(text, name, strict=strict_cif)
    if said:
        remark = row, formula_of(structure), f"reading {name}: {'; '.join(said)}"
        if remarks is None:
            warnings.warn(str(StructureError(*remark)), stacklevel=4)
        else:
            remarks.append(remark)
    return structure


def _check_number(raw):
    """Refuse cells that are too large before objects are made of their sites."""
    sites = raw.get("sites") if isinstance(raw, dict) else raw
    n = len(sites) if isinstance(sites, Sized) else 0
    if n > MAX_SITES:
        raise ReadError(f"its cell has {n} sites, and no more than {MAX_SITES} are read: pass a smaller cell")


def _from_dict(raw):
    """Read what Structure.as_dict() writes, without the properties of the structure and its sites.

    pymatgen would make objects of them, of whatever class the dict names, and put them into the dict itself.
    """
    from pymatgen.core import Structure

    bare = {name: part for name, part in raw.items() if name != "properties"}
    if isinstance(raw.get("sites"), list):
        bare["sites"] = [
            {name: part for name, part in site.items() if name != "properties"} if isinstance(site, dict) else site
            for site in raw["sites"]
        ]
    return Structure.from_dict(bare)


def _ordered(structure, disordered, oxidation_states):
    """Check a structure and settle its disordered sites; one that has none is returned as it is."""
    from pymatgen.core import DummySpecies, Structure

    sites, lattice = structure.sites, structure.lattice
    if not sites:
        raise ReadError("it has no sites")
    if not np.isfinite(lattice.matrix).all():
        raise ReadError("its lattice has values that are not finite")
    if np.abs(lattice.matrix).max() > _MAX_EDGE:
        raise ReadError(f"its cell has edges of more than {_MAX_EDGE:.0f} angstrom; are these its units?")
    if not all(lattice.pbc):
        raise ReadError(f"its lattice is not periodic in all three directions (pbc={lattice.pbc})")
    if lattice.volume < _MIN_VOLUME * len(sites):
        raise ReadError(
            f"its cell has a volume of {lattice.volume:.3g} cubic angstrom for {len(sites)} site(s); are the lattice "
            "vectors independent, and in angstrom?"
        )
    try:
        coords = np.asarray(structure.frac_coords, dtype=float)
    except (TypeError, ValueError):
        raise ReadError("its coordinates are not three numbers a site") from None
    for odd in np.flatnonzero(~np.isfinite(coords).all(axis=1)):
        raise ReadError(f"the coordinates of site {odd} are not finite")
    for odd in np.flatnonzero(np.abs(coords).max(axis=1) > _MAX_CELLS):
        raise ReadError(f"site {odd} is more than a million cells away from the origin; check its coordinates")

    ordered, changed = [], False
    for index, site in enumerate(sites):
        shares = site.species
        for species in shares:
            if isinstance(species, DummySpecies):
                raise ReadError(f"site {index} is {species.symbol!r}, which is no element")
            if species.Z > _MAX_Z:
                raise ReadError(f"site {index} is {species} (Z = {species.Z}); elements are known up to Z = {_MAX_Z}")
        if len(shares) != 1 or shares.num_atoms != 1:
            changed = True
            if not shares.num_atoms > 0:
                raise ReadError(f"site {index} is empty, or its occupancy is not a number")
            if len(shares) > 1 and not oxidation_states:
                shares = _by_element(shares)
            if disordered == "raise" and (len(shares) > 1 or abs(site.species.num_atoms - 1) > OCCUPANCY_TOL):
                found = ", ".join(f"{species} {share:.4g}" for species, share in shares.items())
                raise ReadError(f"site {index} is disordered or partly vacant ({found}); pass disordered='majority'")
            shares = [min(shares, key=lambda s: (-shares[s], s.Z, getattr(s, "oxi_state", None) or 0))]
        ordered.append(next(iter(shares)))
    return Structure(lattice, ordered, structure.frac_coords) if changed else structure


def _by_element(shares):
    """Join isotopes and oxidation states of one element, under the species with the largest occupancy."""
    joined: dict = {}
    for species, share in sorted(shares.items(), key=lambda item: (-item[1], getattr(item[0], "oxi_state", None) or 0)):
        first = next((other for other in joined if other.Z == species.Z), species)
        joined[first] = joined.get(first, 0) + share
    return joined
