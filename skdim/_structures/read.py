"""Whatever a user holds, read into ordered pymatgen structures, with errors that name the row."""

import os
import re
import sys
import warnings
from collections.abc import Sized
from typing import Any

import numpy as np

from .._shared.caught_warnings import caught_warnings
from .cif import MAX_SITES, OCCUPANCY_TOL, CifError, read_cif, what

_ROWS = "pymatgen Structures, ASE Atoms, CIF file names, CIF text and Structure.as_dict() dicts"
_ACCEPTED = (
    "Accepted: a list, a tuple, an object array of one column, a pandas Series or a DataFrame of one column, with rows "
    f"that may be {_ROWS}, in any mixture."
)
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


class StructureError(ValueError):
    """One row of X that cannot be used.

    Attributes
    ----------
    row : int
        Position in X, from 0.
    formula : str or None
        Reduced formula, None where it is not known.
    reason : str
        What is wrong, and what to do about it.
    """

    def __init__(self, row, formula, reason):
        # Exceptions pickle by their args: with the text made in __str__ the three survive a joblib worker.
        super().__init__(row, formula, reason)
        self.row, self.formula, self.reason = row, formula, reason

    def __str__(self):
        return f"row {self.row}{f' ({self.formula})' if self.formula else ''}: {self.reason}"


class _Problem(Exception):
    """Why a row cannot be read; `read_structure` adds the row and the formula."""


def as_rows(X):
    """Take a collection apart into its rows, without looking into them.

    Parameters
    ----------
    X : list, tuple, ndarray of objects or strings, Series or DataFrame
        Two-dimensional ones must have one column.

    Returns
    -------
    list
        The rows, not converted. A TypeError or ValueError is raised where X is anything else, or empty.

    Examples
    --------
    >>> as_rows(("NaCl.cif", "MgO.cif"))
    ['NaCl.cif', 'MgO.cif']
    """
    # A Structure is a Sequence: neither numpy nor len() may look into X before its type is known, nor into its rows.
    # pandas is not imported for this: who holds a Series has imported it already.
    pandas = sys.modules.get("pandas")
    if isinstance(X, list | tuple):
        rows = list(X)
    elif isinstance(X, np.ndarray):
        if X.dtype.kind not in "OUT":
            raise ValueError(f"X is an array of {X.dtype}, not of structures. {_ACCEPTED}")
        if X.ndim == 0 or X.shape[1:] not in ((), (1,)):
            raise ValueError(
                f"X is an array of shape {X.shape}; it needs one column. np.array takes Structures apart into their "
                "sites: pass the list of structures instead."
            )
        rows = X.reshape(len(X)).tolist()
    elif pandas is not None and isinstance(X, pandas.DataFrame | pandas.Series):
        if X.ndim == 2 and X.shape[1] != 1:
            names = ", ".join(map(repr, X.columns[:5])) + (", ..." if X.shape[1] > 5 else "")
            raise ValueError(f"X is a DataFrame of {X.shape[1]} columns ({names}); pass the one with the structures.")
        column = X.iloc[:, 0] if X.ndim == 2 else X
        if column.dtype.kind in "biufc":
            raise ValueError(f"X holds numbers ({column.dtype}), not structures. {_ACCEPTED}")
        rows = list(column)
    else:
        name = f"X is a {type(X).__name__}"
        if isinstance(X, str | os.PathLike) and os.path.isdir(X):
            raise TypeError(
                f"X is the folder {os.fspath(X)!r}; pass a list of its files, sorted(Path(folder).glob('*.cif')), or "
                "give it to transform_to_disk"
            )
        if isinstance(X, str | bytes | os.PathLike | dict) or hasattr(X, "lattice") or hasattr(X, "pbc"):
            raise TypeError(f"{name}, a single row; pass a list of one: [x]. {_ACCEPTED}")
        if hasattr(X, "toarray"):
            raise TypeError(f"{name}: sparse data was passed, structures are required. {_ACCEPTED}")
        if hasattr(X, "with_site_features"):
            raise TypeError(f"{name}, featurized already: pass the structures that it was made of. {_ACCEPTED}")
        raise TypeError(f"{name}{'; make it a list first: list(X)' if hasattr(X, '__iter__') else ''}. {_ACCEPTED}")
    if not rows:
        raise ValueError(f"Found array with 0 sample(s) (shape={np.shape(X)}) while a minimum of 1 is required.")
    return rows


def read_structure(raw, row, *, disordered="raise", remarks=None):
    """Read one row into an ordered pymatgen Structure and check its elements, cell and coordinates.

    Sites keep their order and none is added or removed, so that results a site map back onto the input. (The sites
    of a CIF are in the order in which pymatgen returns them: sorted by electronegativity.)

    Parameters
    ----------
    raw : Structure, IStructure, Atoms, str, path or dict
        A pymatgen structure, an ASE Atoms periodic in all directions, a CIF file name, CIF text, or a dict made by
        ``Structure.as_dict()``; never changed. Of several crystals in a CIF the first is read, with a warning.
    row : int
        Position in X, for the messages: the StructureError, and one warning with all that pymatgen remarks on a CIF.
    disordered : {"raise", "majority"}
        What to do where a site is shared by several species or partly vacant: raise, or take the species with the
        largest occupancy (of equal ones the lightest element). A site that is mostly vacant stays, fully occupied.
    remarks : list, default=None
        What pymatgen remarks is appended to it, as (row, formula, text), and no warning is raised.

    Returns
    -------
    Structure
        The very object given, where that is an ordered Structure already.
    """
    if disordered not in ("raise", "majority"):
        raise ValueError(f"disordered must be 'raise' or 'majority', got {disordered!r}")
    structure = None
    try:
        structure = _to_structure(raw, row, remarks)
        return _ordered(structure, disordered)
    except _Problem as problem:
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
        with caught_warnings("ignore"):  # of noble gases, which have no electronegativity to sort by
            return composition.reduced_formula or None
    except Exception:  # The error being reported matters more than its formula.
        return None


def site_numbers(structure):
    """Return the atomic numbers of an ordered structure's sites: uint8 of shape (n_sites,)."""
    return np.array([next(iter(site.species)).Z for site in structure.sites], dtype=np.uint8)


def _to_structure(raw, row, remarks):
    """Convert by type; a Structure is returned as it is."""
    from pymatgen.core import IMolecule, IStructure, Site, Structure

    atoms_module = sys.modules.get("ase.atoms")
    is_atoms = atoms_module is not None and isinstance(raw, atoms_module.Atoms)
    if isinstance(raw, IStructure | dict) or is_atoms:
        _check_number(raw)
    if isinstance(raw, Structure):
        return raw
    if isinstance(raw, str | os.PathLike):
        return _from_cif(raw, row, remarks)
    if isinstance(raw, IStructure | dict) or is_atoms:
        try:
            if isinstance(raw, IStructure):
                return Structure.from_sites(list(raw))
            return _from_dict(raw) if isinstance(raw, dict) else _from_atoms(raw)
        except _Problem:
            raise
        except Exception as error:
            raise _Problem(f"pymatgen cannot read the {type(raw).__name__} ({what(error)})") from error
    name = type(raw).__name__
    if raw is None or name in ("NAType", "NaTType") or (isinstance(raw, float) and raw != raw):
        raise _Problem(f"the structure is missing ({raw})")
    if isinstance(raw, IMolecule):
        raise _Problem(f"a {name} is not periodic; put it into a cell, for example with get_boxed_structure()")
    if isinstance(raw, Site):
        raise _Problem(f"a {name} is one site: np.array takes Structures apart; pass the list of structures instead")
    remedy = "; pass its .structure" if hasattr(raw, "structure") else ""
    raise _Problem(f"cannot use a {name} as a structure{remedy}. Rows may be {_ROWS}")


@np.errstate(invalid="ignore")  # what is not finite is found by _ordered
def _from_atoms(atoms):
    from pymatgen.core import Element, Species, Structure

    if not atoms.pbc.all():
        axes = ", ".join(np.array(["a", "b", "c"])[atoms.pbc]) or "no axis"
        raise _Problem(f"the Atoms is periodic along {axes} only; give it a three-dimensional cell and pbc=True")
    if np.linalg.det(atoms.cell[:]) == 0:
        raise _Problem("the cell of the Atoms has no volume; set atoms.cell to three independent vectors")
    for odd in np.flatnonzero((atoms.numbers < 1) | (atoms.numbers > 118)):
        raise _Problem(f"site {odd} has the atomic number {atoms.numbers[odd]}, which is no element")

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


def _from_cif(raw, row, remarks):
    """Read CIF text or a CIF file, with one remark of all that there is to say."""
    try:
        structure, name, said = read_cif(raw)
    except CifError as error:
        raise _Problem(str(error)) from error.__cause__
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
        raise _Problem(f"its cell has {n} sites, and no more than {MAX_SITES} are read: pass a smaller cell")


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


def _ordered(structure, disordered):
    """Check a structure and settle its disordered sites; one that has none is returned as it is."""
    from pymatgen.core import DummySpecies, Structure

    sites, lattice = structure.sites, structure.lattice
    if not sites:
        raise _Problem("it has no sites")
    if not np.isfinite(lattice.matrix).all():
        raise _Problem("its lattice has values that are not finite")
    if np.abs(lattice.matrix).max() > _MAX_EDGE:
        raise _Problem(f"its cell has edges of more than {_MAX_EDGE:.0f} angstrom; are these its units?")
    if not all(lattice.pbc):
        raise _Problem(f"its lattice is not periodic in all three directions (pbc={lattice.pbc})")
    if lattice.volume < _MIN_VOLUME * len(sites):
        raise _Problem(
            f"its cell has a volume of {lattice.volume:.3g} cubic angstrom for {len(sites)} site(s); are the lattice "
            "vectors independent, and in angstrom?"
        )
    try:
        coords = np.asarray(structure.frac_coords, dtype=float)
    except (TypeError, ValueError):
        raise _Problem("its coordinates are not three numbers a site") from None
    for odd in np.flatnonzero(~np.isfinite(coords).all(axis=1)):
        raise _Problem(f"the coordinates of site {odd} are not finite")
    for odd in np.flatnonzero(np.abs(coords).max(axis=1) > _MAX_CELLS):
        raise _Problem(f"site {odd} is more than a million cells away from the origin; check its coordinates")

    ordered, changed = [], False
    for index, site in enumerate(sites):
        shares = site.species
        for species in shares:
            if isinstance(species, DummySpecies):
                raise _Problem(f"site {index} is {species.symbol!r}, which is no element")
            if species.Z > _MAX_Z:
                raise _Problem(f"site {index} is {species} (Z = {species.Z}); elements are known up to Z = {_MAX_Z}")
        if len(shares) != 1 or shares.num_atoms != 1:
            changed = True
            if not shares.num_atoms > 0:
                raise _Problem(f"site {index} is empty, or its occupancy is not a number")
            if disordered == "raise" and (len(shares) > 1 or abs(shares.num_atoms - 1) > OCCUPANCY_TOL):
                found = ", ".join(f"{species} {share:.4g}" for species, share in shares.items())
                raise _Problem(f"site {index} is disordered or partly vacant ({found}); pass disordered='majority'")
            shares = [min(shares, key=lambda s: (-shares[s], s.Z, getattr(s, "oxi_state", None) or 0))]
        ordered.append(next(iter(shares)))
    return Structure(lattice, ordered, structure.frac_coords) if changed else structure
