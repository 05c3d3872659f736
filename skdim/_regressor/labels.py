"""Labels and sample weights: checked, with the row and the formula of what is wrong."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_array, check_consistent_length, column_or_1d


def check_labels(crystals, y, sample_weight=None):
    """Labels as float64 of shape (n,) or (n, n_targets), and weights of shape (n,).

    Raises
    ------
    ValueError
        If the lengths differ, a label is NaN or infinite, a labelled crystal failed to featurize, or no weight is
        positive. Rows are named with their formulas.
    """
    if y is None:
        raise ValueError("SiteNetRegressor requires y to be passed, but the target y is None")
    y = check_array(y, dtype=np.float64, ensure_2d=False, ensure_all_finite=False, input_name="y")
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    check_consistent_length(crystals, y)
    for what, bad in (("NaN", np.isnan(y)), ("infinity or a value too large for float64", np.isinf(y))):
        rows = np.flatnonzero(bad.reshape(len(y), -1).any(axis=1))
        if len(rows):
            raise ValueError(
                f"Input y contains {what}: {_name_rows(crystals, rows)}. Leave unlabelled crystals out: "
                f"keep = np.isfinite(y){'.all(axis=1)' if y.ndim == 2 else ''}; fit(X[keep], y[keep])"
            )
    if crystals.errors_:
        rows = np.flatnonzero(crystals.failed)
        raise ValueError(
            f"{len(rows)} of {len(y)} labelled crystals could not be featurized; the first is row {rows[0]}: "
            f"{crystals.errors_[int(rows[0])]}. "
            "Leave them out: keep = ~X.failed; fit(X[keep], y[keep])"
        )
    return y, _check_weights(sample_weight, y)


def _check_weights(weight, y):
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
        raise ValueError("every sample weight is zero: there is nothing to train on")
    # Only their ratios matter: the largest is 1, and what single precision holds for 0 is 0.
    weight = weight / weight.max()
    weight[weight < np.finfo(np.float32).tiny] = 0
    return weight


def _name_rows(crystals, rows, most=3):
    named = [f"row {row} ({crystals.formula(row)})" for row in rows[:most].tolist()]
    return ", ".join(named) + (f" and {len(rows) - most} more" if len(rows) > most else "")
