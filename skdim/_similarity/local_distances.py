"""Local geometry of crystals of one formula, compared without their structures."""

from __future__ import annotations

import numpy as np

#: Neighbours of each element that are compared. More would miss copies: in a small supercell, several images of a
#: neighbour are one site, so that the ranks of further ones depend on the choice of the supercell.
N_NEIGHBOURS = 2
#: Distance of a site to itself, in angstrom, is less than this.
_SELF = 1e-3


def log_distances(crystals, row):
    """Mean distances to the nearest neighbours, for each pair of elements.

    Parameters
    ----------
    crystals : Crystals
    row : int

    Returns
    -------
    ndarray of float64 of shape (n_elements, n_elements, N_NEIGHBOURS)
        Entry (a, b, k) is the logarithm of the distance (angstrom) from sites of element a to their k-th nearest
        neighbour of element b, averaged over the sites; NaN where the supercell has fewer neighbours. Elements are in
        the order of their atomic numbers.
    """
    classes = slice(*crystals.class_offsets[row : row + 2].tolist())
    numbers, multiplicity = crystals.numbers[classes], crystals.multiplicity[classes]
    elements = np.unique(numbers)
    total = np.zeros((len(elements), len(elements), N_NEIGHBOURS))
    n_sites = np.zeros(len(elements))
    for site, (number, times) in enumerate(zip(numbers, multiplicity.astype(float), strict=True)):
        pairs = slice(*crystals.pair_offsets[classes.start + site : classes.start + site + 2].tolist())
        distance, count = crystals.distance[pairs], crystals.count[pairs]
        order = np.argsort(distance, kind="stable")
        order = order[distance[order] > _SELF]
        distance, count, species = distance[order], count[order], numbers[crystals.neighbour[pairs][order]]
        element = int(np.searchsorted(elements, number))
        n_sites[element] += times
        for other, neighbour in enumerate(elements):
            same = species == neighbour
            nearest = np.repeat(distance[same], count[same])[:N_NEIGHBOURS]
            padded = np.full(N_NEIGHBOURS, np.nan)
            padded[: len(nearest)] = nearest
            total[element, other] += times * padded
    return np.log(total / n_sites[:, None, None])


def relative_differences(one, others):
    """How much distances differ after both crystals are scaled to the same size.

    Parameters
    ----------
    one : ndarray of shape (n_elements, n_elements, N_NEIGHBOURS)
        From :func:`log_distances`.
    others : ndarray of shape (n_others, n_elements, n_elements, N_NEIGHBOURS)
        Of crystals of the same elements.

    Returns
    -------
    ndarray of float64 of shape (n_others,)
        Root mean square of the relative differences of distances; infinite if there are none to compare.
    """
    difference = (others - one).reshape(len(others), -1)
    known = ~np.isnan(difference)
    n_known = known.sum(axis=1)
    difference = np.where(known, difference, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = difference.sum(axis=1) / n_known
        mean_square = (difference**2).sum(axis=1) / n_known - scale**2
    return np.where(n_known > 0, np.sqrt(np.maximum(mean_square, 0.0)), np.inf)
