"""Structures -> the columns of a Crystals: read, find the sites and distances, merge, lay flat."""

from __future__ import annotations

import numpy as np

from .._chemistry.elements import SYMBOLS
from .._chemistry.oxidation import oxidation_states
from .._geometry.lattice import GeometryError
from .._geometry.merge_sites import compress_sites, keep_all
from .._geometry.primitive_cell import Cell, least_sites, primitive_cell
from .._geometry.supercell import nearest_pair, supercell_distances
from .._shared.ragged import offsets_of
from .._structures.errors import StructureError
from .._structures.read import formula_of, name_of, read_structure, site_numbers

#: Sites nearer than this, in angstrom, are one site written twice; no two nuclei in a solid are (H-H: 0.74).
MIN_DISTANCE = 0.5


def featurize_rows(raws, first_row, options):
    """Featurize some rows of X.

    Parameters
    ----------
    raws : iterable
        What the user holds, row by row.
    first_row : int
        Position of the first of them in X, for the messages.
    options : dict
        The settings of the featurizer, ``guess_time_limit`` and ``keep_errors``.

    Returns
    -------
    columns : dict of str to ndarray
        The columns of a Crystals.
    errors : dict of int to StructureError
        Which of these rows failed, counted from 0, and why; empty unless ``keep_errors``.
    remarks : list of (int, str, str, str)
        Position in X, formula, what should be known of how a row was read, and its name or None. (Not warned here:
        warnings of other processes reach nobody.)
    """
    sites: list = []
    errors: dict[int, StructureError] = {}
    remarks: list[tuple] = []
    for k, raw in enumerate(raws):
        try:
            sites.append(_featurize(raw, first_row + k, options, remarks))
        except StructureError as error:
            if not options["keep_errors"]:
                raise
            errors[k] = error
            sites.append(None)
    return _to_columns(sites), errors, remarks


def _featurize(raw, row, options, remarks):
    """Numbers and oxidation states of the classes, compressed sites, and class of each input site, of one structure."""
    structure = read_structure(
        raw,
        row,
        disordered=options["disordered"],
        oxidation_states=options["oxidation_states"] == "species",
        strict_cif=options["strict_cif"],
        remarks=remarks,
    )
    numbers = site_numbers(structure)
    if options["oxidation_states"] is None:
        oxidation = np.zeros(len(numbers), dtype=np.float32)
    else:
        oxidation = oxidation_states(structure, options["oxidation_states"], time_limit=options["guess_time_limit"])
    try:
        cell, distances = _sites_and_distances(structure, _kinds(numbers, oxidation), options)
        _check_apart(distances, cell, numbers)
    except GeometryError as error:
        raise StructureError(row, formula_of(structure), str(error), name_of(raw)) from error
    if options["compress"]:
        compressed = compress_sites(distances, cell.kinds, options["distance_tol"])
    else:
        compressed = keep_all(distances, cell.kinds)
    class_of_input = compressed.class_of[cell.site_of]
    # One input site of each class tells the class's element and oxidation state.
    example = np.zeros(len(compressed.kinds), dtype=np.int64)
    example[class_of_input] = np.arange(len(numbers))
    return numbers[example], oxidation[example], compressed, class_of_input


def _kinds(numbers, oxidation):
    """Integer labels of the sites that are alike to start with: those of one element and oxidation state."""
    kinds = numbers.astype(np.int64)
    if oxidation.any():
        species = np.unique(np.column_stack([numbers, oxidation]), axis=0, return_inverse=True)
        # Numbered in the order of the species, not of the sites: the choice of the supercell reads the labels.
        kinds = kinds * 1000 + species[1].ravel()
    return kinds


def _sites_and_distances(structure, kinds, options):
    lattice = np.array(structure.lattice.matrix, dtype=float)
    coords = np.array(structure.frac_coords, dtype=float)
    limit, as_given = options["max_sites"], options["supercell"] == "none"
    # Before anything is made that is as large as the number of sites squared.
    _check_count(len(kinds) if as_given else least_sites(kinds), limit, "cell" if as_given else "primitive cell")
    if as_given:
        cell = Cell(lattice, coords, kinds, np.arange(len(kinds)))
    else:
        cell = primitive_cell(lattice, coords, kinds, options["symprec"])
    _check_count(len(cell.kinds), limit, "primitive cell")
    return cell, supercell_distances(cell, limit, grow=options["supercell"] == "orthorhombic")


def _check_count(n, limit, what):
    if n > limit:
        raise GeometryError(
            f"its {what} has {n} sites, more than max_sites={limit}: raise max_sites, or leave the structure out"
        )


def _check_apart(distances, cell, numbers):
    nearest, i, j = nearest_pair(distances)
    if nearest >= MIN_DISTANCE:
        return
    # Named as the user numbers them: the first input site that is this primitive site.
    i, j = (int(np.argmax(cell.site_of == site)) for site in (i, j))
    names = [f"{site} ({SYMBOLS[numbers[site]]})" for site in sorted({i, j})]
    what = f"sites {' and '.join(names)} are" if len(names) == 2 else f"site {names[0]} and its periodic image are"
    raise GeometryError(
        f"{what} {nearest:.3g} angstrom apart, less than {MIN_DISTANCE}: remove a site written twice, or check the "
        "coordinates and the lattice"
    )


def _to_columns(sites):
    present = [s for s in sites if s is not None]
    compressed = [s[2] for s in present]

    def offsets(lengths):
        # A failed row has no sites.
        lengths = iter(lengths)
        return offsets_of([0 if s is None else next(lengths) for s in sites])

    def flat(values):
        return np.concatenate([np.zeros(0, dtype=np.int64), *values])

    return {
        "class_offsets": offsets(len(c.kinds) for c in compressed),
        "site_offsets": offsets(len(s[3]) for s in present),
        "numbers": flat(s[0] for s in present),
        "oxidation_states": flat(s[1] for s in present),
        "multiplicity": flat(c.multiplicity for c in compressed),
        "pair_offsets": offsets_of(flat(c.n_pairs for c in compressed)),
        "site_class": flat(s[3] for s in present),
        "neighbour": flat(c.neighbour for c in compressed),
        "distance": flat(c.distance for c in compressed),
        "count": flat(c.count for c in compressed),
    }
