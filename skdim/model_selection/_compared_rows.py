"""The rows of a comparison: the pool that labels are drawn from, and the test rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from .._crystals.crystals import Crystals
from .._shared.fingerprint import fingerprint
from .._structures.row_fingerprint import row_fingerprint
from ._formula_groups import formula_groups, holds_structures


class ComparedRows(NamedTuple):
    """Data of a comparison: labels are drawn from rows ``pool`` of X, errors measured on rows ``test`` of X_test.

    Where the test rows are held out of X and y, X_test and y_test are the same objects as X and y.
    """

    X: object
    y: np.ndarray
    pool: np.ndarray
    X_test: object
    y_test: np.ndarray
    test: np.ndarray

    @property
    def held_out(self):
        return self.y_test is self.y

    def only(self, rows):
        """Keep the test rows and these rows of the pool."""
        X, X_test = take(self.X, self.pool[rows]), take(self.X_test, self.test)
        y, y_test = self.y[self.pool[rows]], self.y_test[self.test]
        return ComparedRows(X, y, np.arange(len(y)), X_test, y_test, np.arange(len(y_test)))

    def fingerprints(self):
        """Fingerprints that identify the data."""
        test = self.test if self.held_out else [row_fingerprint(self.X_test), self.y_test]
        return {"X": row_fingerprint(self.X), "y": fingerprint(self.y), "test": fingerprint(test)}


def compared_rows(X, y, X_test, y_test, test_size, groups, entropy, are_classes=False):
    """Check the data, and hold out test rows if none are given."""
    if (X_test is None) != (y_test is None):
        given, missing = ("X_test", "y_test") if y_test is None else ("y_test", "X_test")
        raise ValueError(f"{given} was passed without {missing}: pass both, or neither to hold out rows of X")
    y = checked_labels(X, y, "X", "y", are_classes)
    if X_test is not None:
        y_test = checked_labels(X_test, y_test, "X_test", "y_test", are_classes)
        return ComparedRows(X, y, np.arange(len(y)), X_test, y_test, np.arange(len(y_test)))
    if groups is None and holds_structures(X):
        groups = formula_groups(X)
    splitter = GroupShuffleSplit if groups is not None else StratifiedShuffleSplit if are_classes else ShuffleSplit
    pool, test = next(splitter(1, test_size=test_size, random_state=entropy).split(y, y, groups))
    return ComparedRows(X, y, pool, X, y, test)


def take(X, rows):
    """Select rows of anything that scikit-learn can index."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    return [X[row] for row in rows] if isinstance(X, (list, tuple)) else X[rows]


def all_classifiers(estimators):
    """Whether the models are classifiers.

    Raises
    ------
    TypeError
        If only some of them are.
    """
    kinds = {
        arm: hasattr(estimator, "__sklearn_tags__") and is_classifier(estimator)
        for arm, estimator in estimators.items()
    }
    if len(set(kinds.values())) > 1:
        raise TypeError(
            f"the models {[arm for arm, kind in kinds.items() if kind]} are classifiers, and "
            f"{[arm for arm, kind in kinds.items() if not kind]} are not: compare them in separate calls"
        )
    return all(kinds.values())


def checked_labels(X, y, X_name, y_name, are_classes=False):
    """Labels as float64, or as they are if they are classes.

    Raises
    ------
    ValueError
        If a label is not finite or missing, or if a row of X failed to featurize.
    """
    if are_classes:
        y = column_or_1d(y, warn=True)
        is_bad, what, keep = pd.isna(y), "missing", f"~pandas.isna({y_name})"
    else:
        y = check_array(y, dtype=np.float64, ensure_2d=False, ensure_all_finite=False, input_name=y_name)
        is_bad, what = ~np.isfinite(y.reshape(len(y), -1)).all(axis=1), "not finite"
        keep = f"np.isfinite({y_name}){'.all(axis=1)' if y.ndim == 2 else ''}"
    check_consistent_length(X, y)
    bad = np.flatnonzero(is_bad)
    if len(bad):
        formula = f" ({X.formula(int(bad[0]))})" if isinstance(X, Crystals) else ""
        raise ValueError(
            f"{y_name} has {len(bad)} labels that are {what}, the first in row {bad[0]}{formula}. Select the other "
            f"rows: keep = {keep}"
        )
    if are_classes:
        check_classification_targets(y)
    if isinstance(X, Crystals) and X.failed.any():
        row = int(np.flatnonzero(X.failed)[0])
        raise ValueError(
            f"{X_name} has {int(X.failed.sum())} rows that failed to featurize (the first: {X.errors_[row]}). "
            f"Select the other rows: keep = ~{X_name}.failed"
        )
    return y
