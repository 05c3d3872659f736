"""From a table of attention to what is drawn: weights of single neighbours, quantiles and densities by distance."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: Share of the pairs of sites that bins reach to: the few in very long supercells would make a noisy tail.
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
    """A copy of a table of attention with further columns.

    "weight" is the attention to one of the ``count`` neighbours, "even" what it would be if all got the same, "n_pairs"
    how many pairs of sites a row stands for, and "elements" names site and neighbour.

    Raises
    ------
    TypeError
        If it is no DataFrame.
    ValueError
        If it lacks a column, has no row, or holds what is not finite.
    """
    if not isinstance(table, pd.DataFrame):
        raise TypeError(
            f"attention must be the DataFrame that an estimator's attention(X) returns, not {type(table).__name__}"
        )
    missing = [name for name in _NEEDED if name not in table]
    if missing:
        raise ValueError(f"attention lacks the columns {missing}: pass what an estimator's attention(X) returns")
    if not len(table):
        raise ValueError("attention has no row: there is no crystal that could be featurized among those handed in")
    numbers = table[["distance", "multiplicity", "count", "supercell_sites", "attention"]].to_numpy(dtype=float)
    if not np.isfinite(numbers).all():
        row = table.index[~np.isfinite(numbers).all(axis=1)][0]
        raise ValueError(f"attention must be finite; it is not in the row {row}")
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
    """Edges of bins of the distance: those given, or ``bins`` of equal width from 0 to where almost all pairs are.

    Raises
    ------
    ValueError
        If they are no number of bins, and no ascending distances; or if no pair is between them.
    """
    if np.ndim(bins) == 0:
        if not isinstance(bins, int | np.integer) or bins < 1:
            raise ValueError(f"bins must be a positive number of bins, or their edges; got {bins!r}")
        distances, n_pairs = table["distance"].to_numpy(dtype=float), table["n_pairs"].to_numpy()
        return np.linspace(0, max(1.0, weighted_quantiles(distances, n_pairs, [ALMOST_ALL])[0]), int(bins) + 1)
    edges = np.asarray(bins, dtype=float)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"bins must be a positive number of bins, or their ascending edges; got {bins!r}")
    if not table["distance"].between(edges[0], edges[-1]).any():
        raise ValueError(f"no pair of sites is between {edges[0]:g} and {edges[-1]:g} angstrom apart: pass other bins")
    return edges


def weighted_quantiles(values, weights, shares):
    """The smallest values that at least these shares of the weight do not exceed."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    # A hair less, so that shares that are met exactly are met in spite of rounding.
    at = np.searchsorted(total, np.asarray(shares) * total[-1] * (1 - 1e-12))
    return values[order][np.minimum(at, len(order) - 1)]


def binned_quantiles(rows, edges, column="weight", shares=(0.25, 0.5, 0.75)):
    """Quantiles of a column over the pairs of sites at each distance, those of sites with themselves left out.

    Returns
    -------
    centres : ndarray of shape (n_bins,)
        Of the bins that hold a pair.
    quantiles : ndarray of shape (n_bins, len(shares))
    """
    rows = rows[rows["distance"] > 0]
    distances, values, weights = (rows[name].to_numpy(dtype=float) for name in ("distance", column, "n_pairs"))
    which = _bin_of(distances, edges)
    found = [k for k in np.unique(which) if 0 <= k < len(edges) - 1]
    quantiles = [weighted_quantiles(values[which == k], weights[which == k], shares) for k in found]
    return (edges[:-1] + edges[1:])[found] / 2, np.reshape(quantiles, (len(found), len(shares)))


def density(rows, edges, weight_edges):
    """Share of the pairs of sites at each distance that have each weight, (n_bins, n_weights); each row adds up to 1.

    Rows of bins that hold no pair are NaN.
    """
    distances, weights, n_pairs = (rows[name].to_numpy(dtype=float) for name in ("distance", "weight", "n_pairs"))
    heights = np.clip(weights, weight_edges[0], weight_edges[-1])
    counts, _, _ = np.histogram2d(distances, heights, bins=(edges, weight_edges), weights=n_pairs)
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)


def _bin_of(distances, edges):
    """Bin of each distance; the last edge belongs to the last bin, as in numpy's histograms."""
    which = np.searchsorted(edges, distances, side="right") - 1
    return np.where(distances == edges[-1], len(edges) - 2, which)
