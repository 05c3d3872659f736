"""Features of a crystal from vectors of its sites: their mean and standard deviation."""

from __future__ import annotations

import numpy as np


def pooled(sites, crystal):
    """Concatenate the vector of a crystal, and mean and standard deviation of the vectors of its sites.

    Parameters
    ----------
    sites : ndarray of shape (n_sites, n_site)
    crystal : ndarray of shape (n_crystal,)

    Returns
    -------
    ndarray of shape (n_crystal + 2 * n_site,)
    """
    return np.concatenate([crystal, sites.mean(axis=0), sites.std(axis=0)])


def pooled_names(n_site, n_crystal):
    """Names of the columns of :func:`pooled`."""
    names = [f"crystal {k}" for k in range(n_crystal)]
    return names + [f"{statistic} site {k}" for statistic in ("mean", "std") for k in range(n_site)]
