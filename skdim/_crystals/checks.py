"""Checks of the Crystals that estimators are given."""

from __future__ import annotations

import warnings

import numpy as np

from .crystals import Crystals

#: Settings of the featurizer that determine the supercell.
_CELL_SETTINGS = ("supercell", "max_sites")


def check_crystals(X, caller, *, like=None, min_crystals=1):
    """Check that X is Crystals, featurized like those that the estimator ``like`` was fitted on.

    Parameters
    ----------
    X : object
    caller : str
        Name of the estimator or method, for messages.
    like : estimator, default=None
        Has ``site_features_`` and ``featurizer_settings_``. None checks the type and the number of crystals only.
    min_crystals : int, default=1

    Returns
    -------
    X : Crystals

    Raises
    ------
    TypeError
        If X is not Crystals.
    ValueError
        If there are too few crystals, or their site features differ.

    Warns
    -----
    UserWarning
        If they were featurized with other supercells, which can be intended, for example for larger crystals.
    """
    if not isinstance(X, Crystals):
        raise TypeError(
            f"{caller} needs the Crystals that SiteNetFeaturizer returns, not {type(X).__name__}: add a "
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
        difference = _difference(like.site_features_, X.site_features)
        raise ValueError(
            f"{caller} was fitted on the site features of other crystals: X {difference}. Featurize with the same "
            "site_features and oxidation_states"
        )
    warn_of_other_cells(X, caller, like.featurizer_settings_, stacklevel=4)
    return X


def warn_of_other_cells(X, caller, settings, stacklevel=3):
    """Warn if Crystals were featurized with other supercells than ``settings``, those of the fit."""
    pairs = {name: (X.settings.get(name), settings.get(name)) for name in _CELL_SETTINGS}
    different = [f"{name}={here!r} (fit: {fitted!r})" for name, (here, fitted) in pairs.items() if here != fitted]
    if different:
        warnings.warn(
            f"X was featurized with {' and '.join(different)}, unlike the crystals that {caller} was fitted on, which "
            "changes the results. Featurize with the same settings",
            stacklevel=stacklevel,
        )


def _difference(fitted, here):
    """How the site features of X differ from those of the fit, in words."""
    missing, further = ([name for name in a if name not in b] for a, b in ((fitted, here), (here, fitted)))
    parts = [f"has no {', '.join(missing)}"] * bool(missing) + [f"has also {', '.join(further)}"] * bool(further)
    return " and ".join(parts) or "has them in another order"


def usable_rows(crystals, caller, least):
    """Return the rows that did not fail to featurize, and warn about those that did.

    Returns
    -------
    ndarray of int

    Raises
    ------
    ValueError
        If there are fewer than ``least`` rows.
    """
    if crystals.errors_:
        warnings.warn(
            f"{caller} leaves out {len(crystals.errors_)} of {len(crystals)} rows that could not be featurized",
            stacklevel=3,
        )
    rows = np.flatnonzero(~crystals.failed)
    check_crystals(crystals[rows[:least]], caller.partition(".")[0], min_crystals=least)
    return rows
