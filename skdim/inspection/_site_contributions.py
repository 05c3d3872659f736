"""Contributions of the sites of a crystal to a prediction of a Site-Net."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from .._chemistry.elements import SYMBOLS
from .._crystals.checks import check_crystals, usable_rows
from .._regressor.regressor import SiteNetRegressor
from .._shared.fitted import find_step

#: Error of the sums of contributions, relative to the largest contribution, above which a warning is raised.
_TOLERANCE = 0.01


def site_contributions(estimator, X, reference, *, target=0, n_steps=32) -> Bunch:
    """Compute how much each site contributes to a prediction, compared with a baseline.

    The baseline is the prediction for a crystal whose sites all have the mean local vector of the reference crystals.
    The contributions of the sites of a crystal sum to its prediction minus the baseline. They are integrated gradients
    (Sundararajan et al. 2017) with respect to the local vectors, which describe each site in its environment: a
    contribution is that of a site where it is, not of its element alone. Where the prediction is a sum over sites, as
    with ``representation="global"``, ``hidden_layer_sizes=()``, mean pooling and no layer after it, they are exact:
    the term of the site minus that of the baseline.

    Parameters
    ----------
    estimator : fitted SiteNetRegressor
        Or a FrozenEstimator or Pipeline of one; earlier steps of the Pipeline are applied to X and the reference.
    X : Crystals of shape (n_crystals,), or input of the Pipeline
    reference : Crystals of shape (n_reference,), or input of the Pipeline
        The crystals to compare with, usually those of the training set.
    target : int, default=0
        Column of y, for several targets.
    n_steps : int, default=32
        Number of points of the numerical integration.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        With the attributes

        sites : DataFrame with a row per site of the input structures and the columns
            crystal
                Row of X. Rows that failed to featurize are omitted.
            site
                Index of the site in the input structure, counted from 0.
            element
                Element symbol.
            contribution
                In the units of y.
        predictions : ndarray of float64 of shape (n_crystals,)
            NaN for rows that failed to featurize.
        baseline : float
            The prediction that the contributions are compared with.

    Raises
    ------
    TypeError
        If the estimator has no supervised Site-Net.
    ValueError
        If there is no such target, no reference crystal, or the network was fitted with ``statistics=True``: what
        statistics contribute does not belong to single sites.

    Warns
    -----
    UserWarning
        If the contributions of a crystal do not sum to its prediction minus the baseline, within 1 % of the largest
        contribution; increase ``n_steps``.

    See Also
    --------
    nearest_labelled : The labelled crystals that are most similar.
    skdim.plotting.SiteContributionDisplay : Draw a crystal coloured by the contributions.

    References
    ----------
    Sundararajan, Taly, Yan, "Axiomatic attribution for deep networks", ICML 2017, arXiv:1703.01365.

    Examples
    --------
    >>> from skdim import SiteNetFeaturizer, SiteNetRegressor
    >>> from skdim.datasets import make_crystals
    >>> from skdim.inspection import site_contributions
    >>> structures, y = make_crystals(40, random_state=0)
    >>> X = SiteNetFeaturizer().fit_transform(structures)
    >>> model = SiteNetRegressor(max_epochs=2, random_state=0).fit(X[:30], y[:30])
    >>> result = site_contributions(model, X[30:], X[:30])
    >>> sums = result.sites.groupby("crystal")["contribution"].sum()
    >>> bool(abs(result.baseline + sums - result.predictions).max() < 1e-4)
    True
    """
    transformers, network = find_step(estimator, "attention")
    if not isinstance(network, SiteNetRegressor):
        raise TypeError(f"site_contributions needs a SiteNetRegressor; got a {type(network).__name__}")
    check_is_fitted(network)
    if network.net_.module_.statistics:
        raise ValueError(
            "site_contributions needs a network without statistics=True: what statistics contribute does not belong to "
            "single sites"
        )
    for transformer in transformers:
        X, reference = transformer.transform(X), transformer.transform(reference)
    X = check_crystals(X, "site_contributions", like=network)
    reference = check_crystals(reference, "site_contributions", like=network)
    if not isinstance(target, int | np.integer) or not 0 <= target < network.n_outputs_:
        raise ValueError(f"target must be a column of y, from 0 to {network.n_outputs_ - 1}; got {target!r}")
    if not isinstance(n_steps, int | np.integer) or n_steps < 1:
        raise ValueError(f"n_steps must be a positive integer; got {n_steps!r}")
    from ._integrated_gradients import integrated_gradients, mean_local_vector  # imports torch, which takes seconds

    baseline = mean_local_vector(network.net_, reference, usable_rows(reference, "site_contributions.reference", 1))
    predictions, of_classes, start = np.full(len(X), np.nan), np.zeros(0), np.nan
    rows = np.flatnonzero(~X.failed)
    if len(rows):
        of_classes, outputs, start = integrated_gradients(network.net_, X, rows, baseline, target, n_steps)
        _check_sums(of_classes, outputs - start, X[rows], rows, n_steps)
        predictions[rows] = outputs + network._target_scaling.offset[target]
    return Bunch(
        sites=_table_of_sites(X, of_classes),
        predictions=predictions,
        baseline=float(start + network._target_scaling.offset[target]),
    )


def _check_sums(contributions, differences, crystals, rows, n_steps):
    errors = np.abs(np.add.reduceat(contributions, crystals.class_offsets[:-1]) - differences)
    worst = int(np.argmax(errors))
    if errors[worst] > _TOLERANCE * np.abs(contributions).max():
        warnings.warn(
            f"the contributions of row {rows[worst]} ({crystals.formula(worst)}) and the baseline differ from its "
            f"prediction by {errors[worst]:.2g}: increase n_steps, which is {n_steps}",
            stacklevel=3,
        )


def _table_of_sites(X, of_classes):
    """Table of sites; the contribution of a class is divided evenly among its sites in the input structure."""
    crystal = np.repeat(np.arange(len(X)), np.diff(X.site_offsets))
    site_class = X.class_offsets[crystal] + X.site_class
    n_sites = np.bincount(site_class, minlength=len(X.numbers))
    return pd.DataFrame(
        {
            "crystal": crystal,
            "site": np.arange(len(crystal)) - X.site_offsets[crystal],
            "element": np.array(SYMBOLS, dtype=object)[X.numbers[site_class]],
            "contribution": of_classes[site_class] / n_sites[site_class],
        }
    )
