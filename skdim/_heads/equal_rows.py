"""Groups of equal rows."""

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
