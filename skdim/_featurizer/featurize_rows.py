"""Featurize structures: read them, find sites and distances, merge equivalent sites, and join all in flat columns."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

import numpy as np

from .._chemistry.elements import SYMBOLS
from .._chemistry.oxidation import oxidation_states
from .._geometry.lattice import GeometryError
from .._geometry.merge_sites import CompressedSites, compress_sites, keep_all
from .._geometry.primitive_cell import Cell, least_sites, primitive_cell
from .._geometry.supercell import nearest_pair, supercell_distances
from .._shared.ragged import offsets_of
from .._structures.crystal_sites import as_structure
from .._structures.errors import StructureError
from .._structures.read import formula_of, name_of, read_crystal, site_numbers

#: In angstrom. Closer sites are duplicates: the shortest distance of nuclei in solids is 0.74 (H-H).
MIN_DISTANCE = 0.5
#: Rows that are read before they are featurized. In turns of single rows, reading and featurizing displace each other
#: from the caches of the CPU, which takes a tenth of the time.
_READ_TOGETHER = 32


class FeaturizedRows(NamedTuple):
    """Consecutive rows of X, featurized.

    Attributes
    ----------
    columns : dict of str to ndarray
        Columns of Crystals.
    errors : dict of int to StructureError
        The rows that failed, counted from the first of these rows.
    warnings : list of (int, str, str, str)
        Arguments of a StructureError for each warning: position in X, formula, text, and name or None. They are not
        raised here, because warnings of worker processes are lost.
    """

    columns: dict
    errors: dict
    warnings: list


class _FeaturizedStructure(NamedTuple):
    """One structure: volume, elements and oxidation states of its site classes, their pairs, the class of each site."""

    volume: float
    numbers: np.ndarray
    oxidation_states: np.ndarray
    sites: CompressedSites
    site_class: np.ndarray


def featurize_rows(raws, first_row, options):
    """Featurize consecutive rows of X.

    Parameters
    ----------
    raws : iterable
        The rows as the user passed them.
    first_row : int
        Position of the first one in X, for messages.
    options : dict
        Settings of the featurizer, ``guess_time_limit``, ``strict_cif`` and ``keep_errors``.

    Returns
    -------
    FeaturizedRows
        Without errors, unless ``keep_errors``.
    """
    structures: list[_FeaturizedStructure | None] = []
    result = FeaturizedRows({}, {}, [])
    for k, (raw, crystal) in enumerate(_read(raws, first_row, options, result.warnings)):
        try:
            if isinstance(crystal, StructureError):
                raise crystal
            structures.append(_featurize(raw, crystal, first_row + k, options))
        except StructureError as error:
            if not options["keep_errors"]:
                raise
            result.errors[k] = error
            structures.append(None)
    return result._replace(columns=_to_columns(structures))


def _read(raws, first_row, options, warnings):
    """Yield each row with its crystal, or with its StructureError."""
    settings = {
        "disordered": options["disordered"],
        "oxidation_states": options["oxidation_states"] == "species",
        "strict_cif": options["strict_cif"],
        "warning_list": warnings,
    }
    rows = enumerate(raws, first_row)
    while group := list(islice(rows, _READ_TOGETHER)):
        crystals = []
        for row, raw in group:
            try:
                crystals.append((raw, read_crystal(raw, row, **settings)))
            except StructureError as error:
                crystals.append((raw, error))
        yield from crystals


def _featurize(raw, crystal, row, options):
    numbers = site_numbers(crystal)
    if options["oxidation_states"] is None:
        oxidation = np.zeros(len(numbers), dtype=np.float32)
    else:
        structure = as_structure(crystal)
        oxidation = oxidation_states(structure, options["oxidation_states"], time_limit=options["guess_time_limit"])
    try:
        cell, distances = _sites_and_distances(crystal, _kinds(numbers, oxidation), options)
        _check_min_distance(distances, cell, numbers)
    except GeometryError as error:
        raise StructureError(row, formula_of(crystal), str(error), name_of(raw)) from error
    if options["compress"]:
        sites = compress_sites(distances, cell.kinds, options["distance_tol"])
    else:
        sites = keep_all(distances, cell.kinds)
    site_class = sites.class_of[cell.site_of]
    # One input site of each class, which has the element and oxidation state of the class.
    example = np.zeros(len(sites.kinds), dtype=np.int64)
    example[site_class] = np.arange(len(numbers))
    volume = abs(np.linalg.det(cell.lattice))
    return _FeaturizedStructure(volume, numbers[example], oxidation[example], sites, site_class)


def _kinds(numbers, oxidation):
    """Integer label of each site: equal for sites of the same element and oxidation state."""
    kinds = numbers.astype(np.int64)
    if oxidation.any():
        species = np.unique(np.column_stack([numbers, oxidation]), axis=0, return_inverse=True)
        # Sorted by species, not by order of appearance: the choice of the supercell depends on the labels.
        kinds = kinds * 1000 + species[1].ravel()
    return kinds


def _sites_and_distances(crystal, kinds, options):
    lattice = np.array(crystal.lattice.matrix, dtype=float)
    coords = np.array(crystal.frac_coords, dtype=float)
    limit, as_given = options["max_sites"], options["supercell"] == "none"
    # Checked before arrays of n_sites ** 2 elements are made.
    _check_count(len(kinds) if as_given else least_sites(kinds), limit, "cell" if as_given else "primitive cell")
    if as_given:
        cell = Cell(lattice, coords, kinds, np.arange(len(kinds)))
    else:
        cell = primitive_cell(lattice, coords, kinds, options["symprec"])
    _check_count(len(cell.kinds), limit, "primitive cell")
    return cell, supercell_distances(cell, limit, grow=options["supercell"] == "orthorhombic")


def _check_count(n, limit, cell_name):
    if n > limit:
        raise GeometryError(
            f"its {cell_name} has {n} sites, more than max_sites={limit}: raise max_sites, or leave the structure out"
        )


def _check_min_distance(distances, cell, numbers):
    distance, i, j = nearest_pair(distances)
    if distance >= MIN_DISTANCE:
        return
    # Numbered as in the input: the first input site of each primitive site.
    i, j = (int(np.argmax(cell.site_of == site)) for site in (i, j))
    names = [f"{site} ({SYMBOLS[numbers[site]]})" for site in sorted({i, j})]
    pair = f"sites {' and '.join(names)} are" if len(names) == 2 else f"site {names[0]} and its periodic image are"
    raise GeometryError(
        f"{pair} {distance:.3g} angstrom apart, less than {MIN_DISTANCE}: remove duplicate sites, or check the "
        "coordinates and the lattice"
    )


def _to_columns(structures):
    """Join featurized structures in the columns of Crystals; None stands for a row that failed."""
    present = [structure for structure in structures if structure is not None]

    def offsets(field):
        return offsets_of([0 if structure is None else len(getattr(structure, field)) for structure in structures])

    def flat(arrays):
        return np.concatenate([np.zeros(0, dtype=np.int64), *arrays])

    def flat_sites(field):
        return flat(getattr(structure.sites, field) for structure in present)

    return {
        "class_offsets": offsets("numbers"),
        "site_offsets": offsets("site_class"),
        "volume": np.array([0 if structure is None else structure.volume for structure in structures]),
        "numbers": flat(structure.numbers for structure in present),
        "oxidation_states": flat(structure.oxidation_states for structure in present),
        "multiplicity": flat_sites("multiplicity"),
        "pair_offsets": offsets_of(flat_sites("n_pairs")),
        "site_class": flat(structure.site_class for structure in present),
        "neighbour": flat_sites("neighbour"),
        "distance": flat_sites("distance"),
        "count": flat_sites("count"),
    }
