"""The labelled crystals that are most similar to the crystals of predictions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.base import is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import check_is_fitted

from .._crystals.checks import check_crystals
from .._crystals.crystals import Crystals
from .._regressor.regressor import SiteNetRegressor


def nearest_labelled(estimator, X, X_labelled, y, *, n_neighbors=3) -> pd.DataFrame:
    """Find the labelled crystals that are nearest to each crystal, in the vectors that a model predicts from.

    A prediction is more credible if crystals with similar vectors are labelled, and their labels agree.

    Parameters
    ----------
    estimator : fitted estimator
        A Pipeline of transformers and a regressor, such as the models "representation" and "structure" of
        :func:`~skdim.model_selection.make_arm`: its transformers are applied. Or a transformer, such as
        :class:`~skdim.DeepInfoMaxEmbedder`, or a :class:`~skdim.SiteNetRegressor`, whose vectors are the standardized
        inputs of its head.
    X : Crystals of shape (n_crystals,), or input of the estimator
    X_labelled : Crystals of shape (n_labelled,), or input of the estimator
        Usually the training set.
    y : array-like of shape (n_labelled,)
        Labels.
    n_neighbors : int, default=3
        Number of neighbours of each crystal, at most the number of labelled crystals.

    Returns
    -------
    DataFrame with at most ``n_neighbors`` rows per crystal, the nearest first, and the columns
        crystal
            Row of X. Rows whose vectors are NaN, which failed to featurize, are omitted.
        neighbour
            Row of X_labelled.
        formula, neighbour_formula
            Reduced formulas; only if the inputs are Crystals.
        distance
            Euclidean distance between the vectors.
        label
            Label of the neighbour.

    Raises
    ------
    TypeError
        If the estimator has no vectors.
    ValueError
        If the lengths of X_labelled and y differ, or no labelled crystal has a vector.

    See Also
    --------
    site_contributions : Contributions of the sites of a crystal to a prediction.

    Examples
    --------
    >>> from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
    >>> from skdim.datasets import make_crystals
    >>> from skdim.inspection import nearest_labelled
    >>> from skdim.model_selection import make_arm
    >>> structures, y = make_crystals(40, random_state=0)
    >>> X = SiteNetFeaturizer().fit_transform(structures)
    >>> model = make_arm("representation", DeepInfoMaxEmbedder.from_pretrained()).fit(X[:30], y[:30])
    >>> table = nearest_labelled(model, X[30:], X[:30], y[:30], n_neighbors=2)
    >>> table.shape, table.columns.tolist()
    ((20, 6), ['crystal', 'neighbour', 'formula', 'neighbour_formula', 'distance', 'label'])
    """
    y = np.asarray(y)
    check_consistent_length(X_labelled, y)
    labelled, vectors = (
        check_array(_vectors(estimator, rows), ensure_all_finite="allow-nan") for rows in (X_labelled, X)
    )
    usable, known = (np.flatnonzero(np.isfinite(rows).all(axis=1)) for rows in (vectors, labelled))
    if not len(known):
        raise ValueError("no labelled crystal has a vector: all failed to featurize")
    index = NearestNeighbors(n_neighbors=min(n_neighbors, len(known))).fit(labelled[known])
    distance, neighbor = np.zeros((0, index.n_neighbors)), np.zeros((0, index.n_neighbors), dtype=int)
    if len(usable):
        distance, neighbor = index.kneighbors(vectors[usable])
    table: dict = {"crystal": np.repeat(usable, index.n_neighbors), "neighbour": known[neighbor.ravel()]}
    if isinstance(X, Crystals) and isinstance(X_labelled, Crystals):
        for name, crystals, rows in (("formula", X, "crystal"), ("neighbour_formula", X_labelled, "neighbour")):
            formulas = {row: crystals.formula(row) for row in np.unique(table[rows]).tolist()}
            table[name] = [formulas[row] for row in table[rows].tolist()]
    return pd.DataFrame({**table, "distance": distance.ravel(), "label": y[table["neighbour"]]})


def _vectors(estimator, X):
    """Rows that the last step of a model is given, or that it makes."""
    if isinstance(estimator, FrozenEstimator):
        return _vectors(estimator.estimator, X)
    check_is_fitted(estimator)
    if isinstance(estimator, Pipeline):
        *steps, last = (step for _, step in estimator.steps if step not in (None, "passthrough"))
        for step in steps:
            X = step.transform(X)
        # A regressor on a table of features predicts from X itself.
        return X if not isinstance(X, Crystals) and is_regressor(last) else _vectors(last, X)
    if isinstance(estimator, SiteNetRegressor):
        X = check_crystals(X, "nearest_labelled", like=estimator)
        from ._integrated_gradients import head_inputs  # imports torch, which takes seconds

        return head_inputs(estimator.net_, X)
    if hasattr(estimator, "transform"):
        return estimator.transform(X)
    raise TypeError(
        f"{type(estimator).__name__} has no vectors to compare: pass a Pipeline of transformers and a regressor, a "
        "transformer such as DeepInfoMaxEmbedder, or a SiteNetRegressor"
    )
