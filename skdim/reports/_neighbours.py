"""The nearest labelled crystal of each crystal of a report."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

#: Most neighbours that are searched for one of another formula.
_MOST = 50


def nearest_other(vectors, table, rows):
    """Nearest labelled crystal of another formula, among the crystals of a table themselves.

    Crystals of the same formula were tested together, so they were not in the training set of their predictions.

    Parameters
    ----------
    vectors : ndarray of shape (n, n_components)
    table : DataFrame of length n
        With "formula" and "label".
    rows : ndarray of int of shape (k,)

    Returns
    -------
    neighbour : ndarray of int of shape (k,)
        -1 if there is none.
    distance : ndarray of float of shape (k,)
    """
    known = np.flatnonzero(np.isfinite(vectors).all(axis=1) & table["label"].notna().to_numpy())
    formulas = table["formula"].astype(object).where(table["formula"].notna(), None).to_numpy()
    largest = pd.Series(formulas[known]).value_counts().max() if len(known) else 0
    neighbour, distance, usable = _search(vectors, vectors, known, rows, min(_MOST, int(largest) + 1))
    other = (neighbour >= 0) & (neighbour != rows[:, None])
    other &= (formulas[neighbour] != formulas[rows][:, None]) | (formulas[rows] == None)[:, None]  # noqa: E711
    first = other.argmax(axis=1)
    found = other.any(axis=1) & usable
    k = np.arange(len(rows))
    return np.where(found, neighbour[k, first], -1), np.where(found, distance[k, first], np.nan)


def nearest(vectors, labelled_vectors, rows):
    """Nearest of the labelled crystals; as :func:`nearest_other`."""
    known = np.flatnonzero(np.isfinite(labelled_vectors).all(axis=1))
    neighbour, distance, usable = _search(vectors, labelled_vectors, known, rows, 1)
    return np.where(usable, neighbour[:, 0], -1), np.where(usable, distance[:, 0], np.nan)


def _search(vectors, labelled, known, rows, k):
    usable = np.isfinite(vectors[rows]).all(axis=1)
    k = min(max(k, 1), len(known))
    neighbour, distance = np.full((len(rows), max(k, 1)), -1), np.full((len(rows), max(k, 1)), np.nan)
    if k and usable.any():
        index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(labelled[known])
        distance[usable], found = index.kneighbors(vectors[rows[usable]])
        neighbour[usable] = known[found]
    return neighbour, distance, usable & (k > 0)
