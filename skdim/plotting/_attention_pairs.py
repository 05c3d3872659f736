"""Attention to single neighbours, and its quantiles and densities by distance, from a table of attention."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: Fraction of the pairs of sites within the default bins: the few beyond them make a noisy tail.
ALMOST_ALL = 0.99
_NEEDED = (
    "crystal",
    "block",
    "head",
    "element",
    "neighbour_element",
    "distance",
    "multiplicity",
    "count",
    "supercell_sites",
    "attention",
)


def read_attention(table):
    """Check a table of attention, and add columns to a copy.

    "weight" is the attention to one of the ``count`` neighbours, "even" the same for uniform attention, "n_pairs" the
    number of pairs of sites that a row stands for, and "elements" the elements of site and neighbour.

    Raises
    ------
    TypeError
        If it is not a DataFrame.
    ValueError
        If a column is missing, there are no rows, or a value is not finite.
    """
    if not isinstance(table, pd.DataFrame):
        raise TypeError(
            f"attention must be the DataFrame that an estimator's attention(X) returns; got {type(table).__name__}"
        )
    missing = [name for name in _NEEDED if name not in table]
    if missing:
        raise ValueError(f"attention has no columns {missing}: pass the result of an estimator's attention(X)")
    if not len(table):
        raise ValueError("attention has no rows: all crystals failed to featurize")
    numbers = table[["distance", "multiplicity", "count", "supercell_sites", "attention"]].to_numpy(dtype=float)
    if not np.isfinite(numbers).all():
        row = table.index[~np.isfinite(numbers).all(axis=1)][0]
        raise ValueError(f"attention must be finite; row {row} is not")
    return table.assign(
        weight=table["attention"] / table["count"],
        even=1 / table["supercell_sites"],
        n_pairs=table["multiplicity"].astype(float) * table["count"],
        elements=_elements(table),
    )


def _elements(table):
    """ "Na → Cl" for each row, categories."""
    site, near = (table[name].astype("category").cat for name in ("element", "neighbour_element"))
    key = site.codes.to_numpy(dtype=np.int64) * len(near.categories) + near.codes.to_numpy()
    present, codes = np.unique(key, return_inverse=True)
    pairs = zip(*np.divmod(present, len(near.categories)), strict=True)
    return pd.Categorical.from_codes(codes, [f"{site.categories[i]} → {near.categories[j]}" for i, j in pairs])


def bin_edges(table, bins):
    """Edges of the distance bins: those given, or ``bins`` bins of equal width that hold almost all pairs.

    Raises
    ------
    ValueError
        If ``bins`` is neither a positive number nor ascending edges, or no pair is within the edges.
    """
    if np.ndim(bins) == 0:
        if not isinstance(bins, int | np.integer) or bins < 1:
            raise ValueError(f"bins must be a positive number of bins or their edges; got {bins!r}")
        distances, n_pairs = table["distance"].to_numpy(dtype=float), table["n_pairs"].to_numpy()
        return np.linspace(0, max(1.0, weighted_quantiles(distances, n_pairs, [ALMOST_ALL])[0]), int(bins) + 1)
    edges = np.asarray(bins, dtype=float)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"bins must be a positive number of bins or their ascending edges; got {bins!r}")
    if not table["distance"].between(edges[0], edges[-1]).any():
        raise ValueError(f"no distance is between {edges[0]:g} and {edges[-1]:g} angstrom: pass other bins")
    return edges


def weighted_quantiles(values, weights, shares):
    """Weighted quantiles: the smallest values that at least these fractions of the weight do not exceed."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    # Slightly less, so that rounding does not miss fractions that are met exactly.
    at = np.searchsorted(total, np.asarray(shares) * total[-1] * (1 - 1e-12))
    return values[order][np.minimum(at, len(order) - 1)]


def binned_quantiles(rows, edges, column="weight", shares=(0.25, 0.5, 0.75)):
    """Quantiles of a column over the pairs of sites in each distance bin, except pairs of a site with itself.

    Returns
    -------
    centres : ndarray of shape (n_bins,)
        Of the bins that contain pairs.
    quantiles : ndarray of shape (n_bins, len(shares))
    """
    rows = rows[rows["distance"] > 0]
    distances, values, weights = (rows[name].to_numpy(dtype=float) for name in ("distance", column, "n_pairs"))
    which = _bin_of(distances, edges)
    filled = [k for k in np.unique(which) if 0 <= k < len(edges) - 1]
    quantiles = [weighted_quantiles(values[which == k], weights[which == k], shares) for k in filled]
    return (edges[:-1] + edges[1:])[filled] / 2, np.reshape(quantiles, (len(filled), len(shares)))


def density(rows, edges, weight_edges):
    """Fraction of the pairs of sites in each distance bin that have each weight, (n_bins, n_weights).

    Rows sum to 1; rows of empty bins are NaN.
    """
    distances, weights, n_pairs = (rows[name].to_numpy(dtype=float) for name in ("distance", "weight", "n_pairs"))
    heights = np.clip(weights, weight_edges[0], weight_edges[-1])
    counts, _, _ = np.histogram2d(distances, heights, bins=(edges, weight_edges), weights=n_pairs)
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)


def _bin_of(distances, edges):
    """Bin of each distance; the last edge is in the last bin, as in numpy.histogram."""
    which = np.searchsorted(edges, distances, side="right") - 1
    return np.where(distances == edges[-1], len(edges) - 2, which)
