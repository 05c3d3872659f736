"""Checks of the labels of classes; errors name the row and the formula."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from .._regressor.checks import check_featurized, row_names


def check_classes(crystals, y):
    """Return labels of classes as an ndarray of shape (n,).

    Raises
    ------
    TypeError
        If labels have different types, which cannot be sorted.
    ValueError
        If the lengths differ, a label is missing, labels are not classes, or a crystal failed to featurize.
    """
    if y is None:
        raise ValueError("SiteNetClassifier requires y to be passed, but the target y is None")
    y = column_or_1d(y, warn=True)
    check_consistent_length(crystals, y)
    missing = pd.isna(y)
    if y.dtype.kind == "f":
        missing |= np.isinf(y)
    if missing.any():
        raise ValueError(
            f"Input y contains NaN or infinity: {row_names(crystals, np.flatnonzero(missing))}. Remove these "
            "crystals: keep = ~pandas.isna(y); fit(X[keep], y[keep])"
        )
    types = {type(label) for label in y.tolist()}
    if len({issubclass(kind, str) for kind in types}) > 1:
        raise TypeError(f"the labels in y are of the types {sorted(kind.__name__ for kind in types)}: pass one type")
    if y.dtype == object and str not in types:
        y = np.array(y.tolist())  # scikit-learn refuses numbers in arrays of objects
    check_classification_targets(y)
    check_featurized(crystals)
    return y
