"""Groups of crystals with the same reduced formula, which a split must keep together."""

from __future__ import annotations

import os

import numpy as np

from .._chemistry.formulas import count_elements, reduced_formula
from .._crystals.crystals import Crystals
from .._structures.containers import as_rows
from .._structures.formats.detect import format_of, has_known_name
from .._structures.read import read_structure, site_numbers


def formula_groups(X) -> np.ndarray:
    """Label each crystal with its reduced formula, to keep polymorphs on one side of a split.

    Two crystals of one formula have nearly the same formation energy. If one is trained on and the other tested, the
    error is too optimistic. Pass the result as ``groups`` to ``GroupKFold``, ``GroupShuffleSplit`` or
    ``cross_validate``.

    Parameters
    ----------
    X : Crystals, or sequence of structures, of shape (n_crystals,)
        Structures of any kind that :class:`skdim.SiteNetFeaturizer` takes. A disordered site counts as its species of
        largest occupancy.

    Returns
    -------
    groups : ndarray of int64 of shape (n_crystals,)
        Equal numbers for equal formulas, numbered by first occurrence. Each failed row of Crystals is a separate group.

    Raises
    ------
    StructureError
        If a structure cannot be read.

    See Also
    --------
    formula_split, FormulaKFold : Splits by formula that agree between data sets.

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
    """Reduced formula of each crystal, elements in alphabetical order: the same text for every kind of input.

    The usual order by electronegativity depends on the table of electronegativities.

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
    """Whether X is Crystals or a sequence of structures, judged by its first row.

    A string counts only if it looks like CIF or the name of a CIF file.
    """
    if isinstance(X, Crystals):
        return True
    try:
        row = as_rows(X)[0]
    except (TypeError, ValueError):
        return False
    if isinstance(row, str):
        return has_known_name(row) or format_of(row) is not None
    return isinstance(row, dict | os.PathLike) or hasattr(row, "composition") or hasattr(row, "get_chemical_formula")


def _count_elements_of_row(crystals, row):
    classes = slice(*crystals.class_offsets[row : row + 2].tolist())
    return count_elements(crystals.numbers[classes], crystals.multiplicity[classes])


def _text(amounts):
    return reduced_formula(amounts, alphabetical=True)
