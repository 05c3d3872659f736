"""Blocks of columns: by the names of columns, or given as slices, indices or names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.utils.validation import validate_data

#: Between block and column in the names that ColumnTransformer and FeatureUnion make.
SEPARATOR = "__"


def find_blocks(blocks, n_columns, names=None):
    """Columns of each block.

    Parameters
    ----------
    blocks : dict of str to (slice, array-like of int, or array-like of str), or None
        None takes the prefixes of names such as "block__column"; without such names all columns are one block.
    n_columns : int
        Number of columns.
    names : ndarray of str or None
        Names of the columns.

    Returns
    -------
    dict of str to ndarray of int
        Not empty, without overlap, and with all columns.

    Raises
    ------
    TypeError, ValueError
        If ``blocks`` is not as described.
    """
    if blocks is None:
        if names is None or not all(SEPARATOR in name for name in names):
            return {"all": np.arange(n_columns)}
        prefixes = np.array([name.partition(SEPARATOR)[0] for name in names], dtype=object)
        return {prefix: np.flatnonzero(prefixes == prefix) for prefix in dict.fromkeys(prefixes)}
    if not isinstance(blocks, Mapping) or not blocks:
        raise TypeError(f"blocks must be a dict of name to columns, or None; got {blocks!r}")
    columns = {name: _columns(name, selection, n_columns, names) for name, selection in blocks.items()}
    counts = np.bincount(np.concatenate(list(columns.values())), minlength=n_columns)
    for wrong, what in ((counts == 0, "no block"), (counts > 1, "several blocks")):
        if wrong.any():
            first = int(np.argmax(wrong))
            label = f" ({names[first]!r})" if names is not None else ""
            raise ValueError(f"column {first}{label} of X is in {what}: each column must be in one block")
    return columns


def _columns(name, selection, n_columns, names):
    if isinstance(selection, slice):
        columns = np.arange(n_columns)[selection]
    else:
        columns = np.atleast_1d(np.asarray(selection))
        if not columns.size:
            raise ValueError(f"block {name!r} has no columns")
        if columns.dtype.kind in "UO":
            columns = _by_name(name, columns, names)
        elif columns.dtype.kind not in "iu" or columns.ndim != 1:
            raise TypeError(
                f"block {name!r} must be a slice, or a list of columns by number or name; got {selection!r}"
            )
        elif not (-n_columns <= columns.min() and columns.max() < n_columns):
            raise ValueError(f"block {name!r} has columns up to {columns.max()}, but X has {n_columns} columns")
        columns = columns % n_columns
    if not len(columns):
        raise ValueError(f"block {name!r} has no columns")
    return columns


def _by_name(block, selected, names):
    if names is None:
        raise ValueError(f"block {block!r} has column names, but X has none: pass a DataFrame, or numbers of columns")
    numbers = {name: k for k, name in enumerate(names)}
    missing = [str(name) for name in selected if name not in numbers]
    if missing:
        raise ValueError(f"columns {missing} of block {block!r} are not in X")
    return np.array([numbers[name] for name in selected])


def validate_table(estimator, X, y):
    """Check training data as ``validate_data`` does, and keep the names of columns for inner estimators.

    Returns
    -------
    table : DataFrame or ndarray of shape (n_samples, n_features)
        X itself if its columns have names, else the array.
    X : ndarray of float64 of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,)
    """
    table = X
    X, y = validate_data(estimator, X, y, dtype=np.float64, y_numeric=True)
    return (table if hasattr(estimator, "feature_names_in_") else X), X, y
