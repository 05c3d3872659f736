"""Rows of training data: groups of equal rows, and checks of their labels."""

from __future__ import annotations

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

#: Largest difference of equal rows, in standard deviations of the columns: far above rounding, far below the difference
#: of two compositions.
_TOL = 1e-4


def group_equal_rows(X):
    """Number the groups of rows that are equal up to rounding.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)

    Returns
    -------
    ndarray of int of shape (n_rows,)
    """
    scale = X.std(axis=0)
    Z = (X - X.mean(axis=0)) / np.where(scale > 1e-12 * np.abs(X).max(axis=0), scale, np.inf)
    return connected_components(cdist(Z, Z, "chebyshev") < _TOL, directed=False)[1]


def check_labels(y, X):
    """Return labels as an array of numbers, before anything is computed from X.

    Parameters
    ----------
    y : array-like
    X : object
        Has a length. Messages name rows by their formulas if it has these, as Crystals do.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If a label is not a finite number, or a row of X failed to featurize.
    """
    y = np.asarray(y)
    if y.dtype.kind in "OSU":
        y = np.array([_number(label, row, X) for row, label in enumerate(y.tolist())])
    if y.shape == (len(X),) and y.dtype.kind == "f" and not np.isfinite(y).all():
        row = int(np.argmin(np.isfinite(y)))
        problem = "NaN" if np.isnan(y[row]) else "infinity or a value too large for float64"
        raise ValueError(
            f"Input y contains {problem}: {_name(row, X)}. Remove such rows: keep = np.isfinite(y); fit(X[keep], "
            "y[keep])"
        )
    if errors := getattr(X, "errors_", None):
        raise ValueError(
            f"{len(errors)} of {len(X)} labelled crystals could not be featurized. The first: "
            f"{next(iter(errors.values()))}. Remove them: keep = ~X.failed; fit(X[keep], y[keep])"
        )
    return y


def _number(label, row, X):
    try:
        return float(label)
    except (TypeError, ValueError):
        raise ValueError(
            f"y must be numbers, but {_name(row, X)} has {label!r}. For classes, use a classifier, such as "
            "make_arm(..., task='classification')"
        ) from None


def _name(row, X):
    return f"row {row} ({X.formula(row)})" if hasattr(X, "formula") else f"row {row}"
