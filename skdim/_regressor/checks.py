"""Checks of the targets and sample weights of labelled crystals; errors name the row and the formula."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_array, check_consistent_length, column_or_1d


def check_y(crystals, y):
    """Return targets as float64 of shape (n,) or (n, n_targets).

    Raises
    ------
    ValueError
        If the lengths differ, a target is NaN or infinite, or a crystal failed to featurize.
    """
    if y is None:
        raise ValueError("SiteNetRegressor requires y to be passed, but the target y is None")
    y = check_array(y, dtype=np.float64, ensure_2d=False, ensure_all_finite=False, input_name="y")
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    check_consistent_length(crystals, y)
    for problem, is_bad in (("NaN", np.isnan(y)), ("infinity or a value too large for float64", np.isinf(y))):
        rows = np.flatnonzero(is_bad.reshape(len(y), -1).any(axis=1))
        if len(rows):
            raise ValueError(
                f"Input y contains {problem}: {_row_names(crystals, rows)}. Remove unlabelled crystals: "
                f"keep = np.isfinite(y){'.all(axis=1)' if y.ndim == 2 else ''}; fit(X[keep], y[keep])"
            )
    if crystals.errors_:
        rows = np.flatnonzero(crystals.failed)
        raise ValueError(
            f"{len(rows)} of {len(y)} labelled crystals could not be featurized; the first is row {rows[0]}: "
            f"{crystals.errors_[int(rows[0])]}. Remove them: keep = ~X.failed; fit(X[keep], y[keep])"
        )
    return y


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
    # Only ratios of weights matter. Weights that single precision rounds to 0 are 0.
    weight = weight / weight.max()
    weight[weight < np.finfo(np.float32).tiny] = 0
    return weight


def _row_names(crystals, rows, at_most=3):
    names = [f"row {row} ({crystals.formula(row)})" for row in rows[:at_most].tolist()]
    return ", ".join(names) + (f" and {len(rows) - at_most} more" if len(rows) > at_most else "")
