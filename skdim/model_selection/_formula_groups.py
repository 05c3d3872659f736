"""Groups of crystals that must not be parted by a split: those of one reduced formula."""

from __future__ import annotations

import os

import numpy as np

from .._chemistry.formulas import count_elements, reduced_formula
from .._crystals.crystals import Crystals
from .._structures.containers import as_rows
from .._structures.read import read_structure, site_numbers


def formula_groups(X):
    """Label each crystal with its reduced formula, to keep polymorphs on one side of a split.

    Two crystals of one formula have nearly the same formation energy. Where one of them is trained on and the other
    tested, the error flatters the model. Hand the labels to ``GroupKFold``, ``GroupShuffleSplit`` or
    ``cross_validate`` as ``groups``.

    Parameters
    ----------
    X : Crystals, or sequence of structures, of shape (n_crystals,)
        Structures may be of any kind that :class:`skdim.SiteNetFeaturizer` takes. A disordered site counts as the
        species of largest occupancy, fully occupied.

    Returns
    -------
    groups : ndarray of int64 of shape (n_crystals,)
        Equal numbers for equal formulas, counted in the order in which the formulas first come. A row of Crystals that
        failed to featurize is a group of its own.

    Raises
    ------
    StructureError
        If a structure cannot be read.

    See Also
    --------
    formula_split, FormulaKFold : Splits by formula that are the same in every data set.

    Examples
    --------
    >>> from sklearn.model_selection import GroupShuffleSplit
    >>> from skdim.datasets import load_band_gap
    >>> from skdim.model_selection import formula_groups
    >>> structures, gaps = load_band_gap(return_X_y=True)
    >>> groups = formula_groups(structures)
    >>> groups.shape, int(groups.max()) + 1 < len(structures)
    ((1056,), True)
    >>> train, test = next(GroupShuffleSplit(test_size=0.2, random_state=0).split(structures, groups=groups))
    >>> set(groups[train]) & set(groups[test])
    set()
    """
    known: dict[object, int] = {}
    labels = [("failed", row) if formula is None else formula for row, formula in enumerate(formula_texts(X))]
    return np.array([known.setdefault(label, len(known)) for label in labels], dtype=np.int64)


def formula_texts(X):
    """Reduced formula of each crystal with the elements in alphabetical order: the same text for every kind of input.

    The usual order, by electronegativity, depends on whose table is used and on its edition.

    Returns
    -------
    list of str or None
        None where a row of Crystals failed to featurize.
    """
    if isinstance(X, Crystals):
        failed = X.failed
        return [None if failed[row] else _text(_count_elements_of_row(X, row)) for row in range(len(X))]
    structures = (read_structure(raw, row, disordered="majority") for row, raw in enumerate(as_rows(X)))
    return [_text(count_elements(site_numbers(structure))) for structure in structures]


def holds_structures(X):
    """Whether the rows of X are crystals, judged by the first: Crystals, or something that can be read as structures.

    A plain text is none: it must look like CIF or like the name of a CIF file.
    """
    if isinstance(X, Crystals):
        return True
    try:
        row = as_rows(X)[0]
    except (TypeError, ValueError):
        return False
    if isinstance(row, str):
        return "_cell_length" in row or ".cif" in row.lower()
    return isinstance(row, dict | os.PathLike) or hasattr(row, "composition") or hasattr(row, "get_chemical_formula")


def _count_elements_of_row(crystals, row):
    classes = slice(*crystals.class_offsets[row : row + 2].tolist())
    return count_elements(crystals.numbers[classes], crystals.multiplicity[classes])


def _text(amounts):
    return reduced_formula(amounts, alphabetical=True)
