"""Dicts of structures: pymatgen, its entries, OPTIMADE, JARVIS, ASE."""

from __future__ import annotations

from collections.abc import Sized

import numpy as np

from .build import build_structure, check_n_sites
from .errors import ReadError

#: Keys under which entries and responses hold structures.
_HOLDERS = ("structure", "atoms", "attributes", "data")
_DEPTH = 4
KINDS = "pymatgen, OPTIMADE, JARVIS or ASE"


def structures_in(value):
    """Find the dicts of structures in a dict, or in the content of a JSON text.

    Parameters
    ----------
    value : dict or list
        A structure; an entry that contains one, such as a ComputedStructureEntry; an OPTIMADE response; an ASE
        database; or a list of any of these.

    Yields
    ------
    dict
        Each as :func:`structure_of_dict` takes it.
    """
    return _structures_in(value, _DEPTH)


def _structures_in(value, depth):
    if isinstance(value, list):
        for one in value if depth else []:
            yield from _structures_in(one, depth - 1)
    elif isinstance(value, dict):
        if reader_of(value):
            yield value
        elif isinstance(value.get("ids"), list) and "nextid" in value:  # a database of ASE
            for key in value["ids"] if depth else []:
                yield from _structures_in(value.get(str(key)), depth - 1)
        else:
            for key in _HOLDERS:
                if depth and isinstance(value.get(key), dict | list):
                    yield from _structures_in(value[key], depth - 1)
                    return


def reader_of(value):
    """Return the function that reads a dict of this kind, or None if the kind is unknown."""
    for keys, reader in _READERS.items():
        if value.keys() >= keys:
            return reader
    return None


def structure_of_dict(value):
    """Read the dict of one structure.

    Raises
    ------
    ReadError
    """
    reader = reader_of(value)
    if reader is None:
        missing = next(key for key in ("lattice", "sites") if key not in value)
        raise ReadError(f"the dict lacks {missing!r}; it must be of {KINDS}")
    return reader(value)


def _from_pymatgen(value):
    """Read what Structure.as_dict() writes, without the properties of the structure and its sites.

    pymatgen would create objects of any class that the dict names.
    """
    from pymatgen.core import Structure

    sites = value["sites"]
    check_n_sites(len(sites) if isinstance(sites, Sized) else 0)
    bare = {name: part for name, part in value.items() if name != "properties"}
    if isinstance(sites, list):
        bare["sites"] = [
            {name: part for name, part in site.items() if name != "properties"} if isinstance(site, dict) else site
            for site in sites
        ]
    return Structure.from_dict(bare)


def _from_jarvis(value):
    if not isinstance(value.get("cartesian"), bool):
        raise ReadError("the JARVIS dict must state with 'cartesian' (true or false) what kind of coordinates it has")
    return build_structure(value["lattice_mat"], value["elements"], value["coords"], cartesian=value["cartesian"])


def _from_optimade(value):
    if value.get("dimension_types", [1, 1, 1]) != [1, 1, 1]:
        raise ReadError(f"its dimension_types are {value['dimension_types']}: it is not periodic in three directions")
    for feature in ("implicit_atoms", "site_attachments"):
        if feature in (value.get("structure_features") or []):
            raise ReadError(f"it has {feature}: atoms without coordinates, so its crystal is not complete")
    names = value["species_at_sites"]
    shares = {one["name"]: _shares(one) for one in value.get("species") or []}
    species = [shares.get(name, name) if isinstance(name, str) else name for name in names]
    return build_structure(value["lattice_vectors"], species, value["cartesian_site_positions"], cartesian=True)


def _shares(species):
    """Occupancies of an OPTIMADE species, or the symbol if it is ordered."""
    symbols, concentrations = species["chemical_symbols"], species["concentration"]
    if len(symbols) != len(concentrations):
        raise ReadError(
            f"the species {species['name']!r} has {len(symbols)} symbols and {len(concentrations)} concentrations"
        )
    if concentrations == [1] and symbols != ["vacancy"]:
        return symbols[0]
    shares: dict[str, float] = {}
    for symbol, share in zip(symbols, concentrations, strict=True):
        if symbol != "vacancy":
            shares[symbol] = shares.get(symbol, 0) + share
    return shares


def _from_ase(value):
    pbc = np.ravel(_array(value.get("pbc", True)))
    if not pbc.astype(bool).all():
        raise ReadError(f"its pbc is {pbc.tolist()}: it is not periodic in three directions")
    numbers = np.ravel(_array(value["numbers"])).tolist()
    return build_structure(_array(value["cell"]), numbers, _array(value["positions"]), cartesian=True)


def _array(value):
    """An array as ASE writes it to JSON: nested lists, or a dict with shape, type and numbers."""
    if isinstance(value, dict) and "array" in value:  # a Cell
        value = value["array"]
    if isinstance(value, dict) and "__ndarray__" in value:
        shape, _, numbers = value["__ndarray__"]
        return np.asarray(numbers).reshape(shape)
    return np.asarray(value)


#: Keys by which each kind is recognised.
_READERS = {
    frozenset({"lattice", "sites"}): _from_pymatgen,
    frozenset({"lattice_mat", "coords", "elements"}): _from_jarvis,
    frozenset({"lattice_vectors", "cartesian_site_positions", "species_at_sites"}): _from_optimade,
    frozenset({"numbers", "positions", "cell"}): _from_ase,
}
