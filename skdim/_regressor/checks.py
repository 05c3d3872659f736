"""Checks of the targets and sample weights of labelled crystals; errors name the row and the formula."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_array, check_consistent_length, column_or_1d


def check_y(crystals, y):
    """Return targets as float64 of shape (n,) or (n, n_targets); of several targets some may be NaN.

    Raises
    ------
    ValueError
        If the lengths differ, a target is infinite, a crystal has no known target, or a crystal failed to featurize.
    """
    if y is None:
        raise ValueError("SiteNetRegressor requires y to be passed, but the target y is None")
    y = check_array(_numbers(crystals, y), dtype=np.float64, ensure_2d=False, ensure_all_finite=False, input_name="y")
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    check_consistent_length(crystals, y)
    columns = y.reshape(len(y), -1)
    unknown, infinite = np.isnan(columns).all(axis=1), np.isinf(columns).any(axis=1)
    for problem, is_bad, keep in (
        ("NaN", unknown, "np.isfinite(y)") if y.ndim == 1 else ("only NaN", unknown, "~np.isnan(y).all(axis=1)"),
        ("infinity or a value too large for float64", infinite, f"~np.isinf(y){'' if y.ndim == 1 else '.any(axis=1)'}"),
    ):
        if is_bad.any():
            raise ValueError(
                f"Input y contains {problem}: {row_names(crystals, np.flatnonzero(is_bad))}. Remove these crystals: "
                f"keep = {keep}; fit(X[keep], y[keep])"
            )
    check_featurized(crystals)
    return y


def _numbers(crystals, y):
    """Targets in which words are an error that names the row."""
    words = np.asarray(y)
    if words.dtype.kind in "OSU" and words.ndim == 1 and len(words) == len(crystals):
        for row, label in enumerate(words.tolist()):
            try:
                float(label)
            except (TypeError, ValueError):
                name = row_names(crystals, np.array([row]))
                raise ValueError(
                    f"y must be numbers, but {name} has {label!r}. For classes: SiteNetClassifier"
                ) from None
    return y


def check_featurized(crystals):
    """Raise ValueError if a labelled crystal failed to featurize."""
    if crystals.errors_:
        rows = np.flatnonzero(crystals.failed)
        raise ValueError(
            f"{len(rows)} of {len(crystals)} labelled crystals could not be featurized. The first: "
            f"{crystals.errors_[int(rows[0])]}. Remove them: keep = ~X.failed; fit(X[keep], y[keep])"
        )


def check_sample_weight(weight, y):
    """Return sample weights of shape (n,), divided by the largest; all 1 for None.

    Raises
    ------
    ValueError
        If the lengths differ, a weight is negative or not finite, or all are zero.
    """
    if weight is None:
        return np.ones(len(y))
    weight = check_array(weight, dtype=np.float64, ensure_2d=False, ensure_all_finite=False, input_name="sample_weight")
    if weight.ndim != 1:
        raise ValueError(f"sample_weight must have one dimension; got shape {weight.shape}")
    check_consistent_length(y, weight)
    if not np.isfinite(weight).all():
        row = int(np.argmin(np.isfinite(weight)))
        raise ValueError(f"sample_weight must be finite; it is {weight[row]} in row {row}")
    if (weight < 0).any():
        raise ValueError(f"sample_weight has negative values, the first in row {int(np.argmax(weight < 0))}")
    if not weight.any():
        raise ValueError("all sample weights are zero: no crystal is left for training")
    return relative_weight(weight)


def relative_weight(weight):
    """Weights divided by the largest, as only their ratios matter; those that single precision rounds to 0 are 0."""
    weight = weight / weight.max()
    weight[weight < np.finfo(np.float32).tiny] = 0
    return weight


def row_names(crystals, rows, at_most=3):
    """Rows and formulas for messages."""
    names = [f"row {row} ({crystals.formula(row)})" for row in rows[:at_most].tolist()]
    return ", ".join(names) + (f" and {len(rows) - at_most} more" if len(rows) > at_most else "")
