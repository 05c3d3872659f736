"""What estimators check of the crystals that they are given."""

from __future__ import annotations

import warnings

import numpy as np

from ._crystals import Crystals


def check_crystals(X, caller, *, site_features=None, min_crystals=1):
    """Check that X is Crystals with the expected features, and say what to do where it is not."""
    if not isinstance(X, Crystals):
        raise TypeError(
            f"{caller} takes the Crystals that SiteNetFeaturizer returns, not {type(X).__name__}: put a "
            "SiteNetFeaturizer before it in a Pipeline, or call SiteNetFeaturizer().fit_transform(structures) first"
        )
    if len(X) < min_crystals:
        raise ValueError(
            f"Found array with {len(X)} sample(s) (shape={X.shape}) while a minimum of {min_crystals} is required by "
            f"{caller}."
        )
    if site_features is not None and tuple(site_features) != X.site_features:
        raise ValueError(
            f"{caller} was fitted on the site features {list(site_features)}, but X has {list(X.site_features)}: "
            "featurize with the same site_features and oxidation_states"
        )
    return X


def usable_rows(crystals, caller, least):
    """The rows that were featurized, ndarray of int, with a warning if some were not.

    Raises
    ------
    ValueError
        If they are fewer than ``least``.
    """
    if crystals.errors_:
        warnings.warn(
            f"{caller} leaves out {len(crystals.errors_)} of {len(crystals)} rows that could not be featurized",
            stacklevel=3,
        )
    rows = np.flatnonzero(~crystals.failed)
    check_crystals(crystals[rows[:least]], caller.partition(".")[0], min_crystals=least)
    return rows
