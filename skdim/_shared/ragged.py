"""Ragged arrays: rows of different lengths in one flat array; row k is at ``offsets[k]:offsets[k + 1]``."""

from __future__ import annotations

import numpy as np


def offsets_of(lengths):
    """Return the offsets of rows with these lengths: ndarray of int64 of shape (n + 1,)."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def take_rows(offsets, rows):
    """Find the elements of some rows, in order.

    Parameters
    ----------
    offsets : ndarray of int of shape (n + 1,)
    rows : ndarray of int of shape (k,)

    Returns
    -------
    elements : slice or ndarray of int
        Index of the flat array. A slice if the rows are consecutive, so that no data is copied.
    new_offsets : ndarray of int of shape (k + 1,)
        Offsets of the rows in the selected elements.
    """
    starts, lengths = offsets[rows], offsets[rows + 1] - offsets[rows]
    new_offsets = offsets_of(lengths)
    if len(rows) and (np.diff(rows) == 1).all():
        return slice(int(offsets[rows[0]]), int(offsets[rows[-1] + 1])), new_offsets
    elements = np.arange(new_offsets[-1]) + np.repeat(starts - new_offsets[:-1], lengths)
    return elements, new_offsets


def reduce_rows(ufunc, values, offsets):
    """Reduce the elements of each row, such as ``np.add`` to their sum.

    Parameters
    ----------
    ufunc : numpy.ufunc
    values : ndarray of float of shape (n_elements, n_columns)
    offsets : ndarray of int of shape (n + 1,)

    Returns
    -------
    ndarray of shape (n, n_columns)
        NaN for empty rows.
    """
    # Empty rows are excluded: for them, reduceat would return the next element.
    filled = np.diff(offsets) > 0
    result = np.full((len(filled), values.shape[1]), np.nan)
    result[filled] = ufunc.reduceat(values, offsets[:-1][filled])
    return result
