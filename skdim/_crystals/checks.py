"""What estimators check of the crystals that they are given."""

from __future__ import annotations

import warnings

import numpy as np

from .crystals import Crystals

#: Settings of the featurizer that decide which cell of a crystal a network sees.
_OF_CELLS = ("supercell", "max_sites")


def check_crystals(X, caller, *, like=None, min_crystals=1):
    """Check that X is Crystals, made as those that the estimator ``like`` was fitted on; say what to do otherwise.

    Raises
    ------
    TypeError, ValueError

    Warns
    -----
    UserWarning
        If they were made with other settings, which may be meant: of larger crystals, say.
    """
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
    if like is None:
        return X
    if tuple(like.site_features_) != X.site_features:
        raise ValueError(
            f"{caller} was fitted on the site features {list(like.site_features_)}, but X has {list(X.site_features)}: "
            "featurize with the same site_features and oxidation_states"
        )
    pairs = {name: (X.settings.get(name), like.featurizer_settings_.get(name)) for name in _OF_CELLS}
    different = [f"{name}={mine!r} (there {theirs!r})" for name, (mine, theirs) in pairs.items() if mine != theirs]
    if different:
        warnings.warn(
            f"X was featurized with {' and '.join(different)}, unlike what {caller} was fitted on: the same crystal "
            "has other values then. Featurize with the same settings",
            stacklevel=3,
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
