"""Groups of crystals that must not be parted by a split: those of one reduced formula."""

from __future__ import annotations

import os

import numpy as np

from ._crystals import Crystals
from ._structures import as_rows, formula_of, read_structure


def formula_groups(X):
    """Label each crystal with its reduced formula, to keep polymorphs on one side of a split.

    Two crystals of one formula have nearly the same formation energy. Where one of them is trained on and the other
    tested, the error flatters the model. Hand the labels to ``GroupKFold``, ``GroupShuffleSplit`` or
    ``cross_validate`` as ``groups``.

    Parameters
    ----------
    X : Crystals, or sequence of structures, of shape (n_crystals,)
        Structures may be of any kind that :class:`skdim.SiteNetFeaturizer` takes. Disordered sites count with their
        occupancies.

    Returns
    -------
    groups : ndarray of int64 of shape (n_crystals,)
        Equal numbers for equal formulas, counted in the order in which the formulas first come. A row of Crystals that
        failed to featurize is a group of its own.

    Raises
    ------
    StructureError
        If a structure cannot be read.

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
    if isinstance(X, Crystals):
        failed = X.failed
        labels = [("failed", row) if failed[row] else formula for row, formula in enumerate(X.formulas)]
    else:
        labels = [_formula(raw, row) for row, raw in enumerate(as_rows(X))]
    known = {}
    return np.array([known.setdefault(label, len(known)) for label in labels], dtype=np.int64)


def _formula(raw, row):
    # What a CIF states as its formula need not be what it holds: read texts and files.
    formula = None if isinstance(raw, (str, os.PathLike)) else formula_of(raw)
    return formula or formula_of(read_structure(raw, row, disordered="majority"))
