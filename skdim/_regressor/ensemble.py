"""Members of an ensemble of networks, each trained without one fold of the formulas, and the errors on these folds."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import GroupKFold
from sklearn.utils import check_random_state

from .._training.net import draw_seed

#: Quantile of the held-out errors that sets the standard deviation of the noise, and the same of a normal distribution:
#: intervals of 90 % shall cover 90 % of the labels.
_COVERED, _DEVIATIONS = 0.9, 1.6448536269514722


def fit_members(regressor, crystals, y, weight):
    """Train the members of an ensemble.

    Parameters
    ----------
    regressor : SiteNetRegressor
        With ``n_estimators`` of at least 2.
    crystals : Crystals of shape (n_crystals,)
    y : ndarray of shape (n_crystals,) or (n_crystals, n_targets)
    weight : ndarray of shape (n_crystals,)

    Returns
    -------
    members : list of SiteNetRegressor
    noise : ndarray of shape (n_targets,)
        Standard deviation of the labels around predictions for crystals that were held out.

    Raises
    ------
    ValueError
        If there are fewer formulas with positive weight than members.
    """
    n_members = regressor.n_estimators
    rows = np.flatnonzero(weight > 0)
    formulas = np.unique([crystals.formula(row) for row in rows.tolist()], return_inverse=True)[1]
    if formulas.max() + 1 < n_members:
        raise ValueError(
            f"n_estimators={n_members} needs as many formulas, each of which one network does not see; X has "
            f"{formulas.max() + 1}"
        )
    rng = check_random_state(regressor.random_state)
    draw_seed(rng)  # that of the network that is trained on all crystals
    seeds = rng.randint(np.iinfo(np.int32).max, size=n_members + 1).tolist()
    errors = np.full((len(y), regressor.n_outputs_), np.nan)
    members, columns = [], y.reshape(len(y), -1)
    folds = GroupKFold(n_members, shuffle=True, random_state=seeds[-1]).split(rows, groups=formulas)
    for (train, test), seed in zip(folds, seeds, strict=False):
        # Not clone, which would empty an embedder that is not frozen.
        params = {**regressor.get_params(deep=False), "n_estimators": 1, "random_state": seed}
        member = type(regressor)(**params).fit(crystals[rows[train]], y[rows[train]], weight[rows[train]])
        held_out = rows[test]
        errors[held_out] = columns[held_out] - member.predict(crystals[held_out]).reshape(len(held_out), -1)
        members.append(member)
    return members, np.nanquantile(np.abs(errors), _COVERED, axis=0) / _DEVIATIONS


def combine(predictions, noise):
    """Mean of the members' predictions, and its standard deviation: their spread and the noise.

    Parameters
    ----------
    predictions : ndarray of shape (n_networks, n_crystals, n_targets)
    noise : ndarray of shape (n_targets,)

    Returns
    -------
    mean, std : ndarray of shape (n_crystals, n_targets)
    """
    return predictions.mean(axis=0), np.sqrt(noise**2 + predictions.var(axis=0))
